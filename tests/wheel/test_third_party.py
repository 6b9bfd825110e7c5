"""A third party's package, built into a wheel and installed beside revgrad in a fresh environment."""

import ast
import filecmp
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
THIRD_PARTY = ROOT / "tests" / "third_party"
CAPABILITIES = {"", "half_precision", "lambda_array", "threads"}
"""What its backend declares."""


def call(*command, cwd, code=0):
    environment = {name: os.environ[name] for name in os.environ if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(each) for each in command],
        cwd=str(cwd),
        env={**environment, "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


class Environment:
    """A fresh virtual environment, and a folder that has nothing to do with the repository."""

    def __init__(self, folder):
        self.folder = folder / "elsewhere"
        self.folder.mkdir()
        call(sys.executable, "-m", "venv", folder / "environment", cwd=folder)
        self.bin = folder / "environment" / ("Scripts" if os.name == "nt" else "bin")

    def install(self, *what):
        self.python("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what)

    def python(self, *arguments, code=0):
        return call(self.bin / "python", *arguments, cwd=self.folder, code=code)

    def revgrad(self, *arguments, code=0):
        return call(self.bin / "revgrad", *arguments, cwd=self.folder, code=code)


def wheel(source, folder):
    """Build a wheel from a copy of the sources, which building would litter."""
    copy = folder / "sources"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns(".*", "build", "*.egg-info"))
    built = folder / "wheel"
    pip = sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"
    call(*pip, "-w", built, copy, cwd=folder)
    (found,) = built.glob("*.whl")
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
    needs = ast.literal_eval(environment.python("-c", code))
    return {name for name, capability in needs.items() if capability not in CAPABILITIES}


def test_the_doctor_finds_it_through_its_entry_point(environment):
    found = json.loads(environment.revgrad("--json"))
    (entry,) = [each for each in found["backends"] if each["backend"] == "mygrad"]
    assert (entry["distribution"], entry["version"]) == ("mygrad-revgrad", "1.0")
    assert entry["state"] == "ok" and entry["framework"]


def test_it_conforms(environment, skipped):
    found = json.loads(environment.revgrad("check", "mygrad", "--json"))
    (entry,) = found["backends"]
    outcomes = {each["check"]: each["outcome"] for each in entry["checks"]}
    assert {name for name, outcome in outcomes.items() if outcome == "skipped"} == skipped
    assert set(outcomes.values()) == {"passed", "skipped"} and len(outcomes) > len(skipped) > 10
    assert entry["hypothesis"]


def test_its_own_test_passes(environment, skipped):
    shutil.copy(THIRD_PARTY / "test_mygrad.py", environment.folder)
    printed = environment.python("-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert f" passed, {len(skipped)} skipped" in printed


def test_it_reverses(environment):
    code = """
import mygrad, revgrad
x = mygrad.tensor(2.0)
revgrad.reverse(x, 3).backward()
print(x.grad)
"""
    assert environment.python("-c", code).strip() == "-3.0"


def test_the_wheel_holds_every_package_and_its_types(environment):
    code = "import importlib.util as u, sys; print(*[u.find_spec(n).origin for n in sys.argv[1:]])"
    sources = [each for each in ROOT.glob("revgrad*/**/*") if each.suffix in (".py", ".typed")]
    names = {each.relative_to(ROOT).as_posix() for each in sources}
    installed = pathlib.Path(environment.python("-c", code, "revgrad").strip()).parents[1]
    found = [each for each in installed.glob("revgrad*/**/*") if each.suffix in (".py", ".typed")]
    assert {each.relative_to(installed).as_posix() for each in found} == names
    assert "revgrad/testing/checks/usage.py" in names and "revgrad_torch/py.typed" in names


def test_no_file_of_the_core_was_touched(environment):
    code = "import revgrad, os; print(os.path.dirname(revgrad.__file__))"
    installed = pathlib.Path(environment.python("-c", code).strip())
    names = [each.relative_to(ROOT) for each in (ROOT / "revgrad").rglob("*.py")]
    _, different, missing = filecmp.cmpfiles(ROOT, installed.parent, names, shallow=False)
    assert ROOT not in installed.parents and not different and not missing


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
    outcomes = json.loads(environment.python("-c", RESIDUAL))
    more = {"second_order", "forward_mode"}  # which the third party leaves out
    for name, outcome in outcomes.items():
        if name in ("any_cotangent", "half_precision"):
            assert outcome == "expected"
        else:
            assert outcome == ("skipped" if name in skipped - more else "passed"), name


def test_a_lost_sign_is_found(environment, tmp_path):
    source = tmp_path / "wrong"
    shutil.copytree(THIRD_PARTY, source)
    backend = source / "mygrad_revgrad" / "backend.py"
    backend.write_text(backend.read_text().replace("self.factor * grad", "-self.factor * grad"))
    environment.install("--force-reinstall", "--no-deps", wheel(source, tmp_path))
    printed = environment.revgrad("check", "mygrad", code=1)
    assert "C2 any_cotangent: Backward: any cotangent g comes back as -λ·g" in printed
    assert "input:    x = 1., g = 1., λ = 1.0 (float32, shape ())" in printed
