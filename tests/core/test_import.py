"""Importing and choosing load nothing that is not needed (C19)."""

import pytest
from support.processes import python

import revgrad

FRAMEWORKS = {"theano", "lasagne", "torch", "jax", "tensorflow", "scipy", "revgrad_theano.compat"}


@pytest.mark.parametrize(
    "code, others",
    [
        ("", "pluggy importlib.metadata importlib_metadata revgrad_theano revgrad_lasagne"),
        ("assert {'theano', 'lasagne'} <= {*revgrad.backends}", ""),
        ("revgrad.reverse(numpy.ones(3), 1.0)", ""),
        ("import revgrad_theano, revgrad_lasagne", ""),
    ],
    ids=["import", "discover", "choose", "import the packages of the backends"],
)
def test_importing_discovering_and_choosing_import_no_framework(code, others):
    # What the interpreter loads at start, for .pth files say, is no doing of ours; numpy neither.
    program = f"""
        import sys, numpy
        before = {{*sys.modules}}
        import revgrad
        {code}
        print(*{{*sys.modules}} - before)
    """
    loaded = set(python(code=program).stdout.split())
    assert "revgrad" in loaded and not loaded & {*FRAMEWORKS, *others.split()}


def test_every_public_name_exists_and_has_a_docstring():
    for name in revgrad.__all__:
        assert getattr(revgrad, name).__doc__, name
