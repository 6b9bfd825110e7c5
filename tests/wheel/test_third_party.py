"""A third party's package, built into a wheel and installed beside revgrad in a fresh environment."""

import ast
import filecmp
import json
import os
import pathlib
import shutil
import sys

import pytest
from support.processes import call

ROOT = pathlib.Path(__file__).parents[2]
THIRD_PARTY = ROOT / "tests" / "third_party"
CAPABILITIES = {"", "half_precision", "lambda_array", "threads"}
"""What its backend declares."""


class Environment:
    """A fresh virtual environment, and a folder that has nothing to do with the repository."""

    def __init__(self, folder):
        self.folder = folder / "elsewhere"
        self.folder.mkdir()
        call(sys.executable, "-m", "venv", folder / "environment", cwd=folder)
        self.bin = folder / "environment" / ("Scripts" if os.name == "nt" else "bin")

    def install(self, *what):
        self("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what)

    def __call__(self, command, *arguments, code=0):
        return call(self.bin / command, *arguments, cwd=self.folder, code=code)


def wheel(source, folder):
    """Build a wheel from a copy of the sources, which building would litter."""
    litter = shutil.ignore_patterns(".*", "build", "*.egg-info")
    copy = shutil.copytree(source, folder / "sources", ignore=litter)
    call(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", copy, cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    made = Environment(tmp_path_factory.mktemp("fresh"))
    wheels = [wheel(each, tmp_path_factory.mktemp("build")) for each in (ROOT, THIRD_PARTY)]
    made.install(*wheels, "pytest", "hypothesis", "autograd")
    return made


@pytest.fixture(scope="module")
def skipped(environment):
    """The checks that a backend skips which declares what this one does."""
    code = "from revgrad.testing import CHECKS; print({n: c.needs for n, c in CHECKS.items()})"
    needs = ast.literal_eval(environment("python", "-c", code))
    return {name for name, capability in needs.items() if capability not in CAPABILITIES}


def test_the_doctor_finds_it_through_its_entry_point(environment):
    found = json.loads(environment("revgrad", "--json"))
    (entry,) = [each for each in found["backends"] if each["backend"] == "mygrad"]
    assert (entry["distribution"], entry["version"]) == ("mygrad-revgrad", "1.0")
    assert entry["state"] == "ok" and entry["framework"]


def test_it_conforms(environment, skipped):
    found = json.loads(environment("revgrad", "check", "mygrad", "--json"))
    (entry,) = found["backends"]
    outcomes = {each["check"]: each["outcome"] for each in entry["checks"]}
    assert {name for name, outcome in outcomes.items() if outcome == "skipped"} == skipped
    assert set(outcomes.values()) == {"passed", "skipped"} and len(outcomes) > len(skipped) > 10
    assert entry["hypothesis"]


def test_its_own_test_passes(environment, skipped):
    shutil.copy(THIRD_PARTY / "test_mygrad.py", environment.folder)
    printed = environment("python", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert f" passed, {len(skipped)} skipped" in printed


def test_it_reverses(environment):
    code = """
import mygrad, revgrad
x = mygrad.tensor(2.0)
revgrad.reverse(x, 3).backward()
print(x.grad)
"""
    assert environment("python", "-c", code).strip() == "-3.0"


def test_the_wheel_holds_every_file_as_it_is_here(environment):
    code = "import revgrad, os; print(os.path.dirname(revgrad.__file__))"
    installed = pathlib.Path(environment("python", "-c", code).strip()).parent
    sources = [each for each in ROOT.glob("revgrad*/**/*") if each.suffix in (".py", ".typed")]
    names = {each.relative_to(ROOT).as_posix() for each in sources}
    assert {"revgrad/testing/checks/usage.py", "revgrad_torch/py.typed"} <= names
    _, different, missing = filecmp.cmpfiles(ROOT, installed, names, shallow=False)
    assert installed != ROOT and not different and not missing


RESIDUAL = """
import json
import revgrad
import only_stop_gradient as own
from revgrad.testing import CHECKS, run_check

revgrad.unregister("autograd")  # both claim autograd's class
revgrad.register(own.SPEC)
print(json.dumps({name: run_check(name, own.ResidualHarness()).outcome for name in CHECKS}))
"""


def test_with_only_a_stop_gradient(environment, skipped):
    shutil.copy(ROOT / "tests" / "wheel" / "only_stop_gradient.py", environment.folder)
    outcomes = json.loads(environment("python", "-c", RESIDUAL))
    more = {"second_order", "forward_mode"}  # which the third party leaves out
    expected = {name: "skipped" if name in skipped - more else "passed" for name in outcomes}
    assert outcomes == {**expected, "any_cotangent": "expected", "half_precision": "expected"}


def test_a_lost_sign_is_found(environment, tmp_path):
    source = shutil.copytree(THIRD_PARTY, tmp_path / "wrong")
    backend = source / "mygrad_revgrad" / "backend.py"
    backend.write_text(backend.read_text().replace("self.factor * grad", "-self.factor * grad"))
    environment.install("--force-reinstall", "--no-deps", wheel(source, tmp_path))
    printed = environment("revgrad", "check", "mygrad", code=1)
    assert "C2 any_cotangent: Backward: any cotangent g comes back as -λ·g" in printed
    assert "input:    x = 1., g = 1., λ = 1.0 (float32, shape ())" in printed
