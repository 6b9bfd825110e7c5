"""Importing and choosing load nothing that is not needed (C19)."""

import textwrap

import pytest
from support.processes import python


def modules_after(code):
    """Return the names of all modules that are loaded after `code`, in a fresh interpreter."""
    # What the interpreter loads at start, for .pth files say, is no doing of ours; numpy neither.
    program = "import sys, numpy\nbefore = set(sys.modules)\n" + textwrap.dedent(code)
    program += "\nprint('\\n'.join(set(sys.modules) - before))"
    return set(python(code=program).stdout.split())


HEAVY = {"theano", "lasagne", "torch", "jax", "tensorflow", "scipy"}


def test_import_revgrad_loads_numpy_and_its_own_modules_only():
    loaded = modules_after("import revgrad")
    assert "revgrad" in loaded
    assert not loaded & {"pluggy", "importlib.metadata", "importlib_metadata", *HEAVY}
    assert not {name for name in loaded if name.startswith(("revgrad_theano", "revgrad_lasagne"))}


@pytest.mark.parametrize(
    "code",
    [
        "import revgrad; assert 'theano' in revgrad.backends and 'lasagne' in revgrad.backends",
        "import revgrad, numpy; revgrad.reverse(numpy.ones(3), 1.0)",
        "import revgrad, revgrad_theano, revgrad_lasagne",
    ],
    ids=["discover", "choose", "import the packages of the backends"],
)
def test_discovering_and_choosing_import_no_framework(code):
    loaded = modules_after(code)
    assert not loaded & HEAVY
    assert "revgrad_theano.compat" not in loaded


def test_hookimpl_is_pluggys_marker():
    import pluggy

    import revgrad

    assert isinstance(revgrad.hookimpl, pluggy.HookimplMarker)


def test_every_public_name_exists_and_has_a_docstring():
    import revgrad

    for name in revgrad.__all__:
        assert getattr(revgrad, name).__doc__, name
