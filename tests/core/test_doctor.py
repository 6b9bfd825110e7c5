"""The doctor and `revgrad check`, run as a user does, on plugins that are installed."""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
from plugins_on_disk import BROKEN, GOOD, PLUGINS, STAGE, command, environment, hook
from plugins_on_disk import install as install_into
from support.processes import python

from revgrad._cli import doctor
from revgrad._cli.worker import Entry
from revgrad.testing import CHECKS

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "reference" / "command.md"
# What the framework of each backend does when it is imported, and the error that is reported.
LOADS = {
    "crashes": ("os.kill(os.getpid(), signal.SIGSEGV)", "the process was killed by SIGSEGV"),
    "exits": ("os._exit(7)", "the process exited with status 7"),
    "leaves": ("os._exit(0)", "the process exited with status 0"),
    "quits": ("sys.exit('no licence')", "SystemExit: no licence"),
    "fails": ("raise OSError('libx.so.3: no such file')", "OSError: libx.so.3: no such file"),
    "skips": ("raise type('Skipped', (BaseException,), {})('no device')", "Skipped: no device"),
    "advises": (
        "try:\n    1 / 0\nexcept Exception as error:\n"
        "    raise ImportError('It does not import. Import λ.compat first') from error",
        "ZeroDivisionError: division by zero",
    ),
    "chatters": (
        "raise RuntimeError('x' * 5000 + '\\n' + 'y' * 5000)",
        f"RuntimeError: {'x' * 283}...",
    ),
    "mute": ("raise RuntimeError()", "RuntimeError"),
    "coloured": (r"raise RuntimeError('\x1b[31mred\x1b[0m [bold]')", "red"),
}
IMPORTS = "import os, signal, sys\n"
NOISY = f"""
import os
__version__ = "3.2.1"
print("garbage")
os.system("echo more")
print('revgrad reports ["Outcome", ["a", "b", "failed"]]')
{GOOD}
make = GoodBackend
"""
# Frameworks that load only after another module, whatever is imported before, or not at all.
PREPARED = {
    "needs": "if 'needs_compat' not in sys.modules: raise OSError('too old')\n" + NOISY,
    "copes": NOISY,
    "hopeless": "raise OSError('prepared' if 'hopeless_compat' in sys.modules else 'plain')",
}


def plugin(name, **more):
    """Return the code of a plugin with one backend, whose framework is a module beside it."""
    claim, factory = f"{name}_framework:Tensor", f"{name}_framework:make"
    words = "".join(f", {key}={value!r}" for key, value in more.items())
    return hook(f"return [revgrad.BackendSpec({name!r}, ({claim!r},), {factory!r}{words})]")


def run(*arguments, site, **variables):
    """Return exit code, standard output and standard error of a command in its own process."""
    variables.setdefault("REVGRAD_DISABLE", ",".join(PLUGINS))
    done = python("-m", "revgrad", *arguments, check=False, **environment(site, **variables))
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def run_here(tmp_path, monkeypatch):
    """Do as `run`, in this process, on what the test installs."""
    monkeypatch.syspath_prepend(tmp_path / "site")

    def run_here(*arguments, disable=PLUGINS):
        monkeypatch.setenv("REVGRAD_DISABLE", ",".join(disable))
        return command(*arguments)

    return run_here


@pytest.fixture(scope="module")
def site_of_all(tmp_path_factory):
    """A folder with one plugin of each kind."""
    site = tmp_path_factory.mktemp("site_of_all")
    install_into(site, "good-plugin", GOOD)
    for kind, (code, _) in BROKEN.items():
        install_into(site, "broken-" + kind.replace(" ", "-"), code)
    for name, (code, _) in LOADS.items():
        modules = {f"{name}_framework": IMPORTS + code}
        install_into(site, name, plugin(name, requires=f"{name}>=2"), **modules)
    for name, code in PREPARED.items():
        modules = {f"{name}_framework": IMPORTS + code, f"{name}_compat": ""}
        install_into(site, name, plugin(name, prepare=f"{name}_compat"), **modules)
    install_into(site, "noisy", plugin("noisy"), noisy_framework=NOISY)
    install_into(site, "absent", plugin("absent", requires="absent>=1"))
    (site / "absent_framework").mkdir()  # any folder of that name
    return site


@pytest.fixture(scope="module")
def found(site_of_all):
    status, printed, errors = run("--json", site=site_of_all)
    assert status == 1 and errors == ""
    return json.loads(printed)


def entry_of(found, **wanted):
    (entry,) = [each for each in found["backends"] if wanted.items() <= each.items()]
    return entry


def documented(number):
    """Return the keys in one of the tables of the page on the command."""
    tables = PAGE.read_text(encoding="utf-8").split("\n| key | value |\n|---|---|\n")[1:]
    rows = tables[number].split("\n\n")[0].splitlines()
    return [key for row in rows for key in re.findall(r"`(\w+)`", row.split(" | ")[0])]


def test_the_keys_of_the_json_are_those_that_are_documented(found):
    assert list(found) == documented(0)
    assert found["ok"] is False and found["disabled"] == PLUGINS
    assert all(list(entry) == documented(1) for entry in found["backends"])
    assert {entry["state"] for entry in found["backends"]} == {"ok", "not installed", "broken"}


@pytest.mark.parametrize(
    "name, values",
    [
        ("numpy", {"state": "ok", "plugin": None, "distribution": "revgrad"}),
        ("good", {"state": "ok", "distribution": "good-plugin", "version": "1.5", "stage": None}),
        ("good", {"claims": ["good_plugin:Tensor"], "error": None, "advice": None}),
        ("noisy", {"state": "ok", "framework": "3.2.1"}),
        ("absent", {"state": "not installed", "error": None, "advice": None, "framework": None}),
        ("needs", {"state": "ok", "error": None, "framework": "3.2.1", "prepare": "needs_compat"}),
        ("needs", {"advice": "It needs `import needs_compat` before needs_framework."}),
        ("copes", {"state": "ok", "error": None, "advice": None}),
        ("hopeless", {"state": "broken", "stage": "load", "error": "OSError: prepared"}),
    ],
)
def test_what_is_said_of_a_backend(found, name, values):
    assert values.items() <= entry_of(found, backend=name).items()


def test_what_the_preparation_did_not_help_is_told_with_both_errors(found):
    assert entry_of(found, backend="hopeless")["advice"] == (
        "Set REVGRAD_DISABLE=hopeless to do without. This is with `import hopeless_compat` first; "
        "without it: OSError: plain."
    )


@pytest.mark.parametrize("kind", BROKEN)
def test_each_broken_plugin_is_named_with_its_stage(found, kind):
    name = "broken-" + kind.replace(" ", "-")
    entry = entry_of(found, plugin=name, state="broken")
    assert (
        entry["stage"] == STAGE[kind] and BROKEN[kind][1].split(". The other")[0] in entry["error"]
    )
    assert entry["backend"] is None and "\n" not in entry["error"]
    assert entry["advice"] == (
        f"Upgrade or uninstall {name}, or set REVGRAD_DISABLE={name} to do without."
    )
    assert kind in ("name", "spec", "not a spec", "shy spec") or "Traceback" in entry["traceback"]


@pytest.mark.parametrize("name", LOADS)
def test_each_broken_backend_is_named_and_stops_no_other(found, name):
    entry, error = entry_of(found, backend=name), LOADS[name][1]
    assert (entry["state"], entry["stage"]) == ("broken", "load")
    advice = f"It requires {name}>=2. Set REVGRAD_DISABLE={name} to do without."
    if name == "advises":
        advice = f"It does not import. Import λ.compat first. {advice}"
    if error.startswith("the process"):
        error += " while the backend was loaded"
        code = f'import revgrad; revgrad.get_backend("{name}")'
        advice = f"Load it by itself: python -X faulthandler -c '{code}'. {advice}"
    assert error in entry["error"] if name == "coloured" else error == entry["error"]
    assert entry["advice"] == advice
    assert name in ("exits", "leaves") or f"{name}_framework.py" in entry["traceback"]


def test_the_text_says_the_same(found, capsys, monkeypatch):
    monkeypatch.setenv("REVGRAD_DISABLE", ",".join(PLUGINS))
    doctor.show([Entry(**entry) for entry in found["backends"]])
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert {each for each in printed if not each.isascii()} == {"λ"}
    head, table, *sections = printed.split("\n\n")
    assert head.startswith(f"revgrad {found['revgrad']}, Python {found['python']}, ")
    lines = table.splitlines()
    assert " ".join(lines[0].split()) == "backend plugin distribution framework state claims"
    starts = [lines[0].index(name) for name in lines[0].split()]
    rows = [[line[i:j].strip() for i, j in zip(starts, [*starts[1:], None])] for line in lines[1:]]
    assert [row[0] for row in rows] == [each["backend"] or "-" for each in found["backends"]]
    assert ["good", "good-plugin", "good-plugin 1.5", "-", "ok", "good_plugin:Tensor"] in rows
    assert ["noisy", "noisy", "noisy 1.5", "3.2.1", "ok", "noisy_framework:Tensor"] in rows
    assert f"REVGRAD_DISABLE leaves out: {', '.join(PLUGINS)}." in sections
    assert "backend needs: It needs `import needs_compat` before needs_framework." in sections
    broken = [each for each in found["backends"] if each["state"] == "broken"]
    assert sum(" is broken, at stage '" in each for each in sections) == len(broken)
    assert (
        "plugin broken-exit is broken, at stage 'import':\n"
        "  SystemExit: bye\n"
        "  What to do: Upgrade or uninstall broken-exit, or set REVGRAD_DISABLE=broken-exit to do "
        "without." in sections
    )
    assert "backend fails is broken, at stage 'load':\n  OSError: libx.so.3: no" in printed
    assert "RuntimeError: red [bold]" in printed
    assert "Traceback" not in printed and "revgrad --traceback" in sections[-2]
    assert sections[-1] == "Documentation: the folder docs of the source distribution\n"


def test_tracebacks_are_printed_on_demand_even_in_a_poor_locale(install, tmp_path):
    install("broken-plugin", BROKEN["hook"][0])
    for name in ("crashes", "advises"):
        install(name, plugin(name), **{f"{name}_framework": IMPORTS + LOADS[name][0]})
    site = tmp_path / "site"
    status, printed, errors = run("--traceback", site=site, PYTHONIOENCODING="ascii")
    assert status == 1 and errors == ""
    # Of the plugin; of the root, the ImportError and the BackendUnavailableError.
    assert printed.count("    Traceback (most recent call last):\n") >= 4
    assert "Fatal Python error: Segmentation fault" in printed
    assert "crashes_framework.py" in printed and "\x1b" not in printed
    assert r"Import \u03bb.compat first" in printed
    assert "--traceback" not in printed


def test_a_backend_that_hangs_is_broken(install, run_here):
    install("hangs", plugin("hangs"), hangs_framework="import time\ntime.sleep(600)")
    status, printed, _ = run_here("doctor", "--json", "--timeout", "1")
    entry = entry_of(json.loads(printed), backend="hangs")
    assert status == 1 and (entry["state"], entry["stage"]) == ("broken", "load")
    assert entry["error"] == (
        "the process did not finish within 1 seconds while the backend was loaded"
    )
    assert "hangs_framework.py" in entry["traceback"]


def test_a_plugin_that_no_process_survives_is_found(install, run_here):
    install("good-plugin", GOOD)
    install("broken-plugin", BROKEN["hook"][0])
    install("deadly", "import os; os._exit(3)")
    status, printed, _ = run_here("--json")
    found = json.loads(printed)
    deadly = entry_of(found, plugin="deadly")
    assert status == 1 and (deadly["state"], deadly["stage"]) == ("broken", "discovery")
    assert deadly["error"] == "the process exited with status 3 while the plugin was discovered"
    assert deadly["distribution"] == "deadly"
    assert deadly["advice"].endswith(
        "Until then every process that uses revgrad will fail the same way."
    )
    assert entry_of(found, backend="good")["state"] == "ok"
    assert entry_of(found, plugin="broken-plugin")["stage"] == "hook"


def test_nothing_broken_and_what_is_disabled(install, run_here):
    install("good-plugin", GOOD)
    install("broken-plugin", BROKEN["hook"][0])
    disable = ["broken-plugin, thaeno", *PLUGINS]
    status, printed, errors = run_here("doctor", disable=disable)
    assert status == 0 and errors == ""
    assert f"REVGRAD_DISABLE leaves out: {', '.join(['broken-plugin', *PLUGINS])}.\n" in printed
    assert "REVGRAD_DISABLE lists unknown plugins: thaeno.\n" in printed
    assert "is broken" not in printed and "--traceback" not in printed


# --- on a terminal --------------------------------------------------------------------------------


def on_terminal(site, *arguments, columns=200, **variables):
    """Return exit code and output of a command on a terminal of its own."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    terminal = {"TERM": "xterm", "COLUMNS": str(columns), "REVGRAD_DISABLE": ",".join(PLUGINS)}
    env = environment(site, **{**terminal, **variables})
    if "NO_COLOR" not in variables:
        env.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "revgrad", *arguments], env=env, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    printed = b""
    with contextlib.suppress(OSError):  # how Linux says that the other end is closed
        for part in iter(lambda: os.read(ours, 4096), b""):
            printed += part
    os.close(ours)
    return process.wait(), printed.decode("utf-8")


def test_a_terminal_gets_colour_and_boxes(install, tmp_path):
    pytest.importorskip("rich")
    install("broken-plugin", BROKEN["hook"][0])
    status, printed = on_terminal(tmp_path / "site")
    assert status == 1
    assert re.search(r"\x1b\[32mok", printed) and re.search(r"\x1b\[1;31mbroken", printed)
    assert "│" in printed and "KeyError: 'version'" in printed
    status, printed = on_terminal(tmp_path / "site", columns=60, NO_COLOR="1")
    assert status == 1 and "│" in printed and not re.search(r"\x1b\[[0-9;]*3[0-9]m", printed)
    assert max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", printed).splitlines())) <= 60


def test_a_terminal_without_rich_gets_plain_text(tmp_path):
    (tmp_path / "rich.py").write_text("raise ImportError('not here')")
    status, printed = on_terminal(tmp_path)
    assert status == 0 and "\x1b" not in printed and "│" not in printed
    assert re.search(r"\r\nnumpy +built in", printed)


# --- revgrad check --------------------------------------------------------------------------------

# A framework that runs at once: a tensor is an array and the way back to where it comes from.
TOY = """
import os
import numpy as np
import revgrad
from revgrad.testing import Harness

print("garbage")

class Tensor:
    def __init__(self, value, back=lambda g: g):
        self.value, self.back = value, back
        self.dtype, self.shape = value.dtype, value.shape

    def __mul__(self, weight):
        weight = np.asarray(weight, self.dtype)
        return Tensor(self.value * weight, lambda g: self.back(g * weight))

    def __add__(self, other):
        back = lambda g: self.back(g) + other.back(g)
        return Tensor(self.value + other.value, back)

class Backend(revgrad.Backend):
    native = revgrad.backend.EagerNative()

    def multiply_gradient(self, x, factor):
        {trouble}
        return Tensor(x.value, lambda g: x.back(factor * g))

class Wrong(Backend):
    def multiply_gradient(self, x, factor):
        return super().multiply_gradient(x, -factor)

class ToyHarness(Harness):
    backend = {name!r}
    examples = 0
    expected_failures = {expected!r}
    unsupported = {{"*": "a toy"}}

    def evaluate(self, fn, x, g):
        with np.errstate(all="ignore"):
            y = fn(Tensor(x))
            return y.value, np.asarray(y.back(g))

make = {kind}
"""


@pytest.fixture
def install_toy(install):
    def install_toy(name, kind="Backend", trouble="", expected=(), harness="ToyHarness"):
        module = f"{name}_framework"
        code = TOY.format(name=name, kind=kind, trouble=trouble, expected=dict(expected))
        spec = plugin(name, harness=harness and f"{module}:{harness}")
        install(name, spec, **{module: code})

    return install_toy


def test_a_right_and_a_wrong_backend(install_toy, tmp_path):
    install_toy("right")
    install_toy("wrong", "Wrong", expected={"stay_apart": "not yet", "double_reversal": "no idea"})
    status, printed, errors = run("check", "right", "wrong", "right", site=tmp_path / "site")
    assert status == 1
    # A plain line for each backend, among what the framework prints.
    garbage, right, more_garbage, wrong = errors.splitlines()
    assert garbage == more_garbage == "garbage"
    patterns = {
        right: r"right: (\d+) passed, (\d+) skipped",
        wrong: r"wrong: (\d+) passed, (\d+) failed, (\d+) skipped, 1 expected",
    }
    for line, pattern in patterns.items():
        counts = re.fullmatch(pattern, line)
        assert counts and sum(map(int, counts.groups())) + (line == wrong) == len(CHECKS)
    assert "\x1b" not in printed and "│" not in printed and "garbage" not in printed
    table, summaries, skipped, expected, *failures = printed.split("\n\n")
    head, *rows = [line.split() for line in table.splitlines()]
    assert head == ["clause", "check", "right", "wrong"]
    assert [row[:2] for row in rows] == [[check.clause, name] for name, check in CHECKS.items()]
    assert ["C1", "identity", "passed", "passed"] in rows
    assert ["C2", "any_cotangent", "passed", "failed"] in rows
    assert ["C7", "stay_apart", "passed", "expected"] in rows
    assert ["C11", "forward_mode", "skipped", "skipped"] in rows
    assert summaries.splitlines() == [right, wrong]
    # Every reason once, every failure whole.
    assert (
        "  C3 dtype_of_graph_lambda, C5 no_gradient_for_lambda, C16 graph_lambda_array, C23 "
        "scaled_by_graph_value (right, wrong): the backend does not declare the capability "
        "'graph_lambda': a toy"
    ) in skipped.splitlines()
    assert expected == "expected:\n  C7 stay_apart (wrong): not yet"
    assert failures[0].startswith(
        f"{wrong}:\n"
        "  C2 any_cotangent: Backward: any cotangent g comes back as -λ·g, non-finite values "
        "included.\n    input:    x = "
    )
    assert len(failures) == [row[3] for row in rows].count("failed")
    assert "    expected: " in failures[0] and "    came: " in failures[0]
    unexpected = "  C6 double_reversal: it was expected to fail (no idea), and passes."
    assert any(each.startswith(unexpected) for each in failures)


def test_all_that_are_installed(install_toy, install, run_here):
    install_toy("bare", harness="")
    install("absent", plugin("absent", harness="a:B"))
    status, printed, errors = run_here("check", "--all")
    assert (status, errors) == (0, "")
    assert printed == "numpy: no harness\nabsent: not installed\nbare: no harness\n"
    # A plugin that is broken cannot be checked; one that no process survives leaves the others.
    install("broken-plugin", BROKEN["hook"][0])
    install("deadly", "import os; os._exit(3)")
    install_toy("right")
    status, printed, errors = run_here("check", "--all", "--json")
    entries = json.loads(printed)["backends"]
    assert status == 1
    assert [(each["backend"], each["plugin"], each["state"]) for each in entries] == [
        ("numpy", None, "no harness"),
        ("absent", None, "not installed"),
        ("bare", None, "no harness"),
        ("right", None, "checked"),
        (None, "broken-plugin", "unavailable"),
        (None, "deadly", "unavailable"),
    ]
    assert entries[4]["error"] == (
        "the plugin of broken-plugin 1.5 was left out at stage 'hook': KeyError: 'version'. "
        "The doctor says more: revgrad, without a command."
    )


def test_there_is_nothing_to_check_on_numpy(run_here):
    reason = "reverse() returns a NumPy array as it is, a constant without a gradient"
    line = f"numpy: nothing to check: {reason}\n"
    assert run_here("check", "numpy") == (0, line, line)
    status, printed, _ = run_here("check", "numpy", "--json")
    (entry,) = json.loads(printed)["backends"]
    assert status == 0 and (entry["state"], entry["error"]) == ("nothing to check", reason)


def test_what_was_named_and_cannot_be_checked_is_a_failure(install_toy, install, run_here):
    install_toy("bare", harness="")
    install_toy("odd", expected={"sign": "why not"})
    for name in ("fails", "leaves"):
        code = IMPORTS + LOADS[name][0]
        install(name, plugin(name, harness=f"{name}_framework:A"), **{f"{name}_framework": code})
    errors_of = {
        "bare": "The backend 'bare' offers no harness, so nothing checks it: name its class in",
        "gone": "There is no backend named 'gone'. Known backends: numpy, ",
        "odd": "There is no check 'sign'. Known: identity, ",
        "fails": "The harness of the backend 'fails' does not load: fails_framework:A failed with "
        "OSError: libx.so.3: no such file.",
        "leaves": "the process exited with status 0 while the backend was loaded. The doctor says",
    }
    status, printed, errors = run_here("check", "--json", *errors_of)
    found = json.loads(printed)
    assert status == 1 and found["ok"] is False and found["contract"] == 1
    assert list(found) == documented(2)
    assert [entry["backend"] for entry in found["backends"]] == list(errors_of)
    for entry in found["backends"]:
        assert list(entry) == documented(3) and entry["state"] == "unavailable"
        assert entry["error"].startswith(errors_of[entry["backend"]])
        assert f"{entry['backend']}: unavailable" in errors
    assert "fails_framework.py" in entry_of(found, backend="fails")["traceback"]
    status, printed, _ = run_here("check", "gone")
    assert status == 1 and printed.startswith("gone: unavailable\n\ngone: unavailable:\n  There is")


def test_a_check_that_ends_the_process_has_failed(install_toy, run_here):
    install_toy("dies", trouble="if len(x.shape) == 4: os._exit(9)")
    install_toy("raises", trouble="if len(x.shape) == 4: raise SystemExit('no 4-d')")
    status, printed, _ = run_here("check", "dies", "raises", "--json")
    found = json.loads(printed)
    assert status == 1
    for name, reason in {
        "dies": "the process exited with status 9 while the check was run",
        "raises": "it raised SystemExit: no 4-d",
    }.items():
        entry = entry_of(found, backend=name)
        outcomes = {each["check"]: each["outcome"] for each in entry["checks"]}
        assert list(outcomes) == list(CHECKS) and entry["state"] == "checked"
        assert outcomes["any_shape"] == "failed" and outcomes["scaled_gradient"] == "passed"
        (check,) = [each for each in entry["checks"] if each["check"] == "any_shape"]
        assert list(check) == documented(4)
        assert check["clause"] == "C16" and check["reason"] == f"C16 any_shape: {reason}"
    assert check["traceback"].endswith("SystemExit: no 4-d\n")


def test_without_hypothesis_it_says_so(install_toy, tmp_path):
    install_toy("right", trouble="assert len(x.shape) != 4")
    (tmp_path / "site" / "hypothesis.py").write_text("raise ImportError('not here')")
    status, printed, _ = run("check", "right", "--traceback", site=tmp_path / "site")
    assert status == 1
    notice = "Only fixed examples were tried, hypothesis is not installed: pip install"
    assert printed.count(f"\n\n{notice} 'revgrad[testing]'.\n") == 1
    # What an author wants to see of an error: where it was raised.
    assert "  C16 any_shape: " in printed and "it raised AssertionError" in printed
    assert "    Traceback (most recent call last):" in printed
    assert "in multiply_gradient\n" in printed


def test_progress_and_colour_of_a_check_on_a_terminal(install_toy, tmp_path):
    pytest.importorskip("rich")
    install_toy("right")
    status, printed = on_terminal(tmp_path / "site", "check", "right")
    assert status == 0 and f"\rright: 1/{len(CHECKS)} identity " in printed and "│" in printed
    assert re.search(r"\x1b\[32mpassed", printed) and "│ C23" in printed
