"""A stranger's package, built into a wheel and installed beside revgrad in a fresh environment."""

import filecmp
import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections import Counter

import pytest

ROOT = pathlib.Path(__file__).parents[2]
STRANGER = ROOT / "tests" / "stranger"
SKIPPED = {
    "no_copy",
    "dtype_of_graph_lambda",
    "no_gradient_for_lambda",
    "survives_rewriting",
    "compiled_once",
    "schedule_in_graph",
    "forward_mode",
    "second_order",
    "vectorised",
    "no_trace",
    "copies_reverse",
    "graph_lambda_array",
}


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
    wheels = [wheel(each, tmp_path_factory.mktemp("build")) for each in (ROOT, STRANGER)]
    made.install(*wheels, "pytest", "hypothesis", "autograd")
    return made


@pytest.fixture(scope="module")
def passes(environment):
    """How many checks a backend passes that has the stranger's capabilities."""
    code = "from revgrad.testing import CHECKS; print(*CHECKS)"
    names = environment.python("-c", code).split()
    assert SKIPPED < set(names)
    return len(names) - len(SKIPPED)


def test_the_doctor_finds_it_through_its_entry_point(environment):
    found = json.loads(environment.revgrad("--json"))
    (entry,) = [each for each in found["backends"] if each["backend"] == "stranger"]
    assert (entry["distribution"], entry["version"]) == ("stranger-mygrad", "1.0")
    assert entry["state"] == "ok" and entry["framework"]


def test_it_conforms(environment, passes):
    found = json.loads(environment.revgrad("check", "stranger", "--json"))
    (entry,) = found["backends"]
    outcomes = {each["check"]: each["outcome"] for each in entry["checks"]}
    assert {name for name, outcome in outcomes.items() if outcome == "skipped"} == SKIPPED
    assert Counter(outcomes.values()) == {"passed": passes, "skipped": len(SKIPPED)}
    assert entry["hypothesis"]


def test_its_own_test_passes(environment, passes):
    shutil.copy(STRANGER / "test_stranger.py", environment.folder)
    printed = environment.python("-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert f"{passes} passed, {len(SKIPPED)} skipped" in printed


def test_it_reverses(environment):
    code = """
import mygrad, revgrad
x = mygrad.tensor(2.0)
revgrad.reverse(x, 3).backward()
print(x.grad)
"""
    assert environment.python("-c", code).strip() == "-3.0"


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


def test_with_only_a_stop_gradient(environment, passes):
    shutil.copy(ROOT / "tests" / "wheel" / "only_stop_gradient.py", environment.folder)
    outcomes = json.loads(environment.python("-c", RESIDUAL))
    expected = {name for name, outcome in outcomes.items() if outcome == "expected"}
    assert expected == {"any_cotangent", "half_precision"}
    more = {"second_order", "forward_mode"}  # which the stranger leaves out
    assert {outcomes[each] for each in more} == {"passed"}
    assert Counter(outcomes.values()) == {
        "expected": 2,
        "passed": passes + len(more) - 2,
        "skipped": len(SKIPPED) - len(more),
    }


def test_a_lost_sign_is_found(environment, tmp_path):
    source = tmp_path / "wrong"
    shutil.copytree(STRANGER, source)
    backend = source / "stranger_mygrad" / "backend.py"
    backend.write_text(backend.read_text().replace("-self.factor", "self.factor"))
    environment.install("--force-reinstall", "--no-deps", wheel(source, tmp_path))
    printed = environment.revgrad("check", "stranger", code=1)
    assert "C2 any_cotangent: Backward: any cotangent g comes back as -λ·g" in printed
    assert "input:    x = 1., g = 1., λ = 1.0 (float32, shape ())" in printed
