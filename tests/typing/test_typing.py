"""mypy and pyright agree with what the programs in this folder assert."""

import pathlib

import pytest
from support.processes import python


@pytest.mark.parametrize("framework", ["numpy", "jax", "torch"])
@pytest.mark.parametrize(
    "checker", [["mypy", "--strict", "--warn-unused-ignores"], ["pyright"]], ids=lambda c: c[0]
)
def test_a_program(framework, checker):
    pytest.importorskip(checker[0])
    pytest.importorskip(framework)
    python("-m", *checker, f"{framework}_program.py", cwd=pathlib.Path(__file__).parent)
