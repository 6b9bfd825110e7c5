"""mypy and pyright agree with what the programs in this folder assert."""

import pathlib

import pytest
from support.processes import python

FOLDER = pathlib.Path(__file__).parent
PROGRAMS = ["core_program.py", "jax_program.py", "torch_program.py"]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    "checker", [["mypy", "--strict", "--warn-unused-ignores"], ["pyright"]], ids=lambda c: c[0]
)
def test_a_program(program, checker):
    pytest.importorskip(checker[0], reason=f"{checker[0]} is not installed")
    if program != "core_program.py":
        pytest.importorskip(program.partition("_")[0])
    python("-m", *checker, program, cwd=FOLDER)


def test_the_checks_fail_where_a_type_is_wrong(tmp_path):
    pytest.importorskip("mypy")
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import revgrad\nx: str = revgrad.reverse(1.5, 0.5)\n")
    done = python("-m", "mypy", "--strict", wrong, cwd=FOLDER, check=False)
    assert done.returncode == 1 and "Incompatible types in assignment" in done.stdout
