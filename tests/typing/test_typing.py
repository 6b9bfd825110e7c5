"""mypy and pyright agree with what the programs in this folder assert."""

import pathlib
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).parent
PROGRAMS = ["core_program.py", "jax_program.py", "torch_program.py"]


def run(*command):
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=str(FOLDER), capture_output=True, encoding="utf-8"
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    "checker", [["mypy", "--strict", "--warn-unused-ignores"], ["pyright"]], ids=lambda c: c[0]
)
def test_a_program(program, checker):
    pytest.importorskip(checker[0], reason=f"{checker[0]} is not installed")
    if program != "core_program.py":
        pytest.importorskip(program.partition("_")[0])
    code, printed = run(*checker, program)
    assert code == 0, printed


def test_the_checks_fail_where_a_type_is_wrong(tmp_path):
    pytest.importorskip("mypy")
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import revgrad\nx: str = revgrad.reverse(1.5, 0.5)\n")
    code, printed = run("mypy", "--strict", str(wrong))
    assert code == 1 and "Incompatible types in assignment" in printed
