"""A third party's package, built into a wheel and installed beside revgrad in a fresh environment."""

import ast
import json
import os
import shutil
import sys

import pytest
from support.pages import ROOT
from support.processes import call

THIRD_PARTY = ROOT / "tests" / "third_party"
CAPABILITIES = {"", "half_precision", "lambda_array", "threads"}
"""What its backend declares."""


def wheel(source, folder):
    """Build a wheel from a copy of the sources, which building would litter."""
    litter = shutil.ignore_patterns(".*", "build", "*.egg-info")
    copy = shutil.copytree(source, folder / "sources", ignore=litter)
    call(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", copy, cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder that has nothing to do with the repository."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def run(tmp_path_factory, folder):
    """Run a command of a fresh environment in that folder; both packages are installed."""
    made = tmp_path_factory.mktemp("environment")
    call(sys.executable, "-m", "venv", made, cwd=folder)

    def run(command, *arguments, code=0):
        path = made / ("Scripts" if os.name == "nt" else "bin") / command
        return call(path, *arguments, cwd=folder, code=code)

    wheels = [wheel(each, tmp_path_factory.mktemp("build")) for each in (ROOT, THIRD_PARTY)]
    run("pip", "install", "--quiet", *wheels, "pytest", "hypothesis", "autograd")
    return run


@pytest.fixture(scope="module")
def skipped(run):
    """The checks that a backend skips which declares what this one does."""
    code = "from revgrad.testing import CHECKS; print({n: c.needs for n, c in CHECKS.items()})"
    needs = ast.literal_eval(run("python", "-c", code))
    return {name for name, capability in needs.items() if capability not in CAPABILITIES}


def test_the_doctor_finds_it_through_its_entry_point(run):
    entries = json.loads(run("revgrad", "--json"))["backends"]
    (entry,) = [each for each in entries if each["backend"] == "mygrad"]
    assert (entry["distribution"], entry["version"]) == ("mygrad-revgrad", "1.0")
    assert entry["state"] == "ok" and entry["framework"]


def test_it_conforms(run, skipped):
    (entry,) = json.loads(run("revgrad", "check", "mygrad", "--json"))["backends"]
    outcomes = {each["check"]: each["outcome"] for each in entry["checks"]}
    assert {name for name, outcome in outcomes.items() if outcome == "skipped"} == skipped
    assert set(outcomes.values()) == {"passed", "skipped"} and len(outcomes) > len(skipped) > 10
    assert entry["hypothesis"]


def test_its_own_test_passes(run, folder, skipped):
    shutil.copy(THIRD_PARTY / "test_mygrad.py", folder)
    printed = run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert f" passed, {len(skipped)} skipped" in printed


RESIDUAL = """
import json
import revgrad
import only_stop_gradient as own
from revgrad.testing import CHECKS, run_check

revgrad.unregister("autograd")  # both claim autograd's class
revgrad.register(own.SPEC)
print(json.dumps({name: run_check(name, own.ResidualHarness()).outcome for name in CHECKS}))
"""


def test_with_only_a_stop_gradient(run, folder, skipped):
    shutil.copy(ROOT / "tests" / "wheel" / "only_stop_gradient.py", folder)
    outcomes = json.loads(run("python", "-c", RESIDUAL))
    more = {"second_order", "forward_mode"}  # which the third party leaves out
    expected = {name: "skipped" if name in skipped - more else "passed" for name in outcomes}
    assert outcomes == {**expected, "any_cotangent": "expected", "half_precision": "expected"}


def test_a_lost_sign_is_found(run, tmp_path):
    source = shutil.copytree(THIRD_PARTY, tmp_path / "wrong")
    backend = source / "mygrad_revgrad" / "backend.py"
    backend.write_text(backend.read_text().replace("self.factor * grad", "-self.factor * grad"))
    wrong = wheel(source, tmp_path)
    run("pip", "install", "--quiet", "--force-reinstall", "--no-deps", wrong)
    printed = run("revgrad", "check", "mygrad", code=1)
    assert "C2 any_cotangent: Backward: any cotangent g comes back as -λ·g" in printed
    assert "input:    x = 1., g = 1., λ = 1.0 (float32, shape ())" in printed
