"""The doctor and `revgrad check`, run as a user does, on plugins that are installed."""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
from plugins_on_disk import BROKEN, GOOD, PLUGINS, STAGE, environment, hook
from plugins_on_disk import install as install_into
from support.processes import python

from revgrad._cli import doctor
from revgrad._cli.worker import Entry
from revgrad.testing import CHECKS

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "reference" / "command.md"
DISABLE = ",".join(PLUGINS)
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
    "coloured": ("raise RuntimeError('\x1b[31mred [bold]')", "RuntimeError: \x1b[31mred [bold]"),
}
IMPORTS = "import os, signal, sys\n"
NOISY = f"""
import os
__version__ = "3.2.1"
print("garbage")
os.system("echo more")
{GOOD}
make = GoodBackend
"""
# Frameworks that load only after another module, whatever is imported before, or not at all.
PREPARED = {
    "needs": "if 'needs_compat' not in sys.modules: raise OSError('too old')\n" + NOISY,
    "copes": NOISY,
    "hopeless": "raise OSError('prepared' if 'hopeless_compat' in sys.modules else 'plain')",
}
HOPELESS = (
    "Set REVGRAD_DISABLE=hopeless to do without. This is with `import hopeless_compat` first; "
    "without it: OSError: plain."
)


def plugin(name, **more):
    """Return the code of a plugin with one backend, whose framework is a module beside it."""
    claim, factory = f"{name}_framework:Tensor", f"{name}_framework:make"
    words = "".join(f", {key}={value!r}" for key, value in more.items())
    return hook(f"return [revgrad.BackendSpec({name!r}, ({claim!r},), {factory!r}{words})]")


def run_at(site, *arguments, **variables):
    """Return exit code, standard output and standard error of a command in its own process."""
    variables = {"REVGRAD_DISABLE": DISABLE, **variables}
    done = python("-m", "revgrad", *arguments, check=False, **environment(site, **variables))
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def site(tmp_path):
    """The folder that `install` installs into."""
    return tmp_path / "site"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the doctor prints as JSON where there is one plugin of each kind."""
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
    install_into(site, "absent", plugin("absent", requires="absent>=1"))
    (site / "absent_framework").mkdir()  # any folder of that name
    status, printed, errors = run_at(site, "--json")
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
        ("absent", {"state": "not installed", "error": None, "advice": None, "framework": None}),
        ("needs", {"state": "ok", "error": None, "framework": "3.2.1", "prepare": "needs_compat"}),
        ("needs", {"advice": "It needs `import needs_compat` before needs_framework."}),
        ("copes", {"state": "ok", "error": None, "advice": None, "framework": "3.2.1"}),
        ("hopeless", {"state": "broken", "stage": "load", "error": "OSError: prepared"}),
        ("hopeless", {"advice": HOPELESS}),
    ],
)
def test_what_is_said_of_a_backend(found, name, values):
    assert values.items() <= entry_of(found, backend=name).items()


@pytest.mark.parametrize("kind", BROKEN)
def test_each_broken_plugin_is_named_with_its_stage(found, kind):
    name, stage = "broken-" + kind.replace(" ", "-"), STAGE[kind]
    entry = entry_of(found, plugin=name, state="broken", stage=stage, backend=None)
    assert BROKEN[kind][1].split(". The other")[0] in entry["error"] and "\n" not in entry["error"]
    advice = f"Upgrade or uninstall {name}, or set REVGRAD_DISABLE={name} to do without."
    assert entry["advice"] == advice
    assert stage == "spec" or "Traceback" in entry["traceback"]


@pytest.mark.parametrize("name", LOADS)
def test_each_broken_backend_is_named_and_stops_no_other(found, name):
    entry, error = entry_of(found, backend=name, state="broken", stage="load"), LOADS[name][1]
    advice = f"It requires {name}>=2. Set REVGRAD_DISABLE={name} to do without."
    if name == "advises":
        advice = f"It does not import. Import λ.compat first. {advice}"
    if error.startswith("the process"):
        error += " while the backend was loaded"
        code = f'import revgrad; revgrad.get_backend("{name}")'
        advice = f"Load it by itself: python -X faulthandler -c '{code}'. {advice}"
    assert (entry["error"], entry["advice"]) == (error, advice)
    assert name in ("exits", "leaves") or f"{name}_framework.py" in entry["traceback"]


def rows_of(table):
    return [re.split("  +", line) for line in table.splitlines()]


def test_the_text_says_the_same(found, capsys, monkeypatch):
    monkeypatch.setenv("REVGRAD_DISABLE", DISABLE)
    doctor.show([Entry(**entry) for entry in found["backends"]])
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert {each for each in printed if not each.isascii()} == {"λ"}
    head, table, *sections = printed.split("\n\n")
    assert head.startswith(f"revgrad {found['revgrad']}, Python {found['python']}, ")
    headings, *rows = rows_of(table)
    assert headings == ["backend", "plugin", "distribution", "framework", "state", "claims"]
    assert [row[0] for row in rows] == [each["backend"] or "-" for each in found["backends"]]
    assert ["good", "good-plugin", "good-plugin 1.5", "-", "ok", "good_plugin:Tensor"] in rows
    assert ["copes", "copes", "copes 1.5", "3.2.1", "ok", "copes_framework:Tensor"] in rows
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


def test_tracebacks_are_printed_on_demand_even_in_a_poor_locale(install, site):
    install("broken-plugin", BROKEN["hook"][0])
    for name in ("crashes", "advises"):
        install(name, plugin(name), **{f"{name}_framework": IMPORTS + LOADS[name][0]})
    status, printed, errors = run_at(site, "--traceback", PYTHONIOENCODING="ascii")
    assert status == 1 and errors == ""
    # Of the plugin; of the root, the ImportError and the BackendUnavailableError.
    assert printed.count("    Traceback (most recent call last):\n") >= 4
    assert "Fatal Python error: Segmentation fault" in printed
    assert "crashes_framework.py" in printed and "\x1b" not in printed
    assert r"Import \u03bb.compat first" in printed
    assert "--traceback" not in printed


def test_a_backend_that_hangs_is_broken(install, site):
    install("hangs", plugin("hangs"), hangs_framework="import time\ntime.sleep(600)")
    status, printed, _ = run_at(site, "doctor", "--json", "--timeout", "1")
    entry = entry_of(json.loads(printed), backend="hangs", state="broken", stage="load")
    error = "the process did not finish within 1 seconds while the backend was loaded"
    assert status == 1 and entry["error"] == error
    assert "hangs_framework.py" in entry["traceback"]


def test_a_plugin_that_no_process_survives_is_found(install, site):
    install("good-plugin", GOOD)
    install("broken-plugin", BROKEN["hook"][0])
    install("deadly", "import os; os._exit(3)")
    status, printed, _ = run_at(site, "--json")
    found = json.loads(printed)
    deadly = entry_of(found, plugin="deadly", state="broken", stage="discovery")
    error = "the process exited with status 3 while the plugin was discovered"
    assert (status, deadly["error"], deadly["distribution"]) == (1, error, "deadly")
    advice = "Until then every process that uses revgrad will fail the same way."
    assert deadly["advice"].endswith(advice)
    assert entry_of(found, backend="good")["state"] == "ok"
    assert entry_of(found, plugin="broken-plugin")["stage"] == "hook"


def test_nothing_broken_and_what_is_disabled(install, site):
    install("good-plugin", GOOD)
    install("broken-plugin", BROKEN["hook"][0])
    disable = f"broken-plugin, thaeno,{DISABLE}"
    status, printed, errors = run_at(site, "doctor", REVGRAD_DISABLE=disable)
    assert status == 0 and errors == ""
    assert f"REVGRAD_DISABLE leaves out: {', '.join(['broken-plugin', *PLUGINS])}.\n" in printed
    assert "REVGRAD_DISABLE lists unknown plugins: thaeno.\n" in printed
    assert "is broken" not in printed and "--traceback" not in printed


# --- on a terminal --------------------------------------------------------------------------------


def on_terminal(site, *arguments, **variables):
    """Return exit code and output of a command on a terminal of its own."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    terminal = {"TERM": "xterm", "COLUMNS": "200", "REVGRAD_DISABLE": DISABLE}
    command = [sys.executable, "-m", "revgrad", *arguments]
    env = environment(site, **{**terminal, **variables})
    if "NO_COLOR" not in variables:
        env.pop("NO_COLOR", None)
    process = subprocess.Popen(command, env=env, stdout=theirs, stderr=theirs)
    os.close(theirs)
    printed = b""
    with contextlib.suppress(OSError):  # how Linux says that the other end is closed
        for part in iter(lambda: os.read(ours, 4096), b""):
            printed += part
    os.close(ours)
    return process.wait(), printed.decode("utf-8")


def test_a_terminal_gets_colour_and_boxes(install, site):
    pytest.importorskip("rich")
    install("broken-plugin", BROKEN["hook"][0])
    status, printed = on_terminal(site)
    assert status == 1
    assert re.search(r"\x1b\[32mok", printed) and re.search(r"\x1b\[1;31mbroken", printed)
    assert "│" in printed and "KeyError: 'version'" in printed
    status, printed = on_terminal(site, COLUMNS="60", NO_COLOR="1")
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

class ToyHarness(Harness):
    backend = {name!r}
    examples = 0
    expected_failures = {expected!r}
    unsupported = {{"*": "a toy"}}

    def evaluate(self, fn, x, g):
        with np.errstate(all="ignore"):
            y = fn(Tensor(x))
            return y.value, np.asarray(y.back(g))

make = Backend
"""


@pytest.fixture
def install_toy(install):
    def install_toy(name, trouble="", expected=(), harness="ToyHarness"):
        module = f"{name}_framework"
        code = TOY.format(name=name, trouble=trouble, expected=dict(expected))
        spec = plugin(name, harness=harness and f"{module}:{harness}")
        install(name, spec, **{module: code})

    return install_toy


def test_a_right_and_a_wrong_backend(install_toy, site):
    install_toy("right")
    expected = {"stay_apart": "not yet", "double_reversal": "no idea"}
    install_toy("wrong", "factor = -factor", expected)
    status, printed, errors = run_at(site, "check", "right", "wrong", "right")
    # A plain line for each backend, among what the framework prints.
    garbage, right, more_garbage, wrong = errors.splitlines()
    assert status == 1 and garbage == more_garbage == "garbage"
    for line, pattern in {
        right: r"right: (\d+) passed, (\d+) skipped",
        wrong: r"wrong: (\d+) passed, (\d+) failed, (\d+) skipped, (1) expected",
    }.items():
        assert sum(map(int, re.fullmatch(pattern, line).groups())) == len(CHECKS)
    assert "\x1b" not in printed and "│" not in printed and "garbage" not in printed
    table, summaries, skipped, expected, *failures = printed.split("\n\n")
    head, *rows = rows_of(table)
    assert head == ["clause", "check", "right", "wrong"]
    assert [row[:2] for row in rows] == [[check.clause, name] for name, check in CHECKS.items()]
    outcomes = {name: outcomes for _, name, *outcomes in rows}
    assert outcomes["identity"] == ["passed", "passed"]
    assert outcomes["any_cotangent"] == ["passed", "failed"]
    assert outcomes["stay_apart"] == ["passed", "expected"]
    assert outcomes["forward_mode"] == ["skipped", "skipped"]
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


def test_all_that_are_installed(install_toy, install, site):
    install_toy("bare", harness="")
    install("absent", plugin("absent", harness="a:B"))
    printed = "numpy: no harness\nabsent: not installed\nbare: no harness\n"
    assert run_at(site, "check", "--all") == (0, printed, "")
    # A plugin that is broken cannot be checked; one that no process survives leaves the others.
    install("broken-plugin", BROKEN["hook"][0])
    install("deadly", "import os; os._exit(3)")
    install_toy("right")
    status, printed, _ = run_at(site, "check", "--all", "--json")
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


def test_there_is_nothing_to_check_on_numpy(site):
    reason = "reverse() returns a NumPy array as it is, a constant without a gradient"
    line = f"numpy: nothing to check: {reason}\n"
    assert run_at(site, "check", "numpy") == (0, line, line)
    status, printed, _ = run_at(site, "check", "numpy", "--json")
    assert status == 0
    assert entry_of(json.loads(printed), state="nothing to check", error=reason)


def test_what_was_named_and_cannot_be_checked_is_a_failure(install_toy, install, site):
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
    status, printed, errors = run_at(site, "check", "--json", *errors_of)
    found = json.loads(printed)
    assert status == 1 and found["ok"] is False and found["contract"] == 1
    assert list(found) == documented(2)
    assert [entry["backend"] for entry in found["backends"]] == list(errors_of)
    for entry in found["backends"]:
        assert list(entry) == documented(3) and entry["state"] == "unavailable"
        assert entry["error"].startswith(errors_of[entry["backend"]])
        assert f"{entry['backend']}: unavailable" in errors
    assert "fails_framework.py" in entry_of(found, backend="fails")["traceback"]
    status, printed, _ = run_at(site, "check", "gone")
    assert status == 1 and printed.startswith("gone: unavailable\n\ngone: unavailable:\n  There is")


def test_a_check_that_ends_the_process_has_failed(install_toy, site):
    install_toy("dies", trouble="if len(x.shape) == 4: os._exit(9)")
    install_toy("raises", trouble="if len(x.shape) == 4: raise SystemExit('no 4-d')")
    status, printed, _ = run_at(site, "check", "dies", "raises", "--json")
    for name, reason in {
        "dies": "the process exited with status 9 while the check was run",
        "raises": "it raised SystemExit: no 4-d",
    }.items():
        entry = entry_of(json.loads(printed), backend=name, state="checked")
        checks = {each["check"]: each for each in entry["checks"]}
        assert status == 1 and list(checks) == list(CHECKS)
        assert checks["scaled_gradient"]["outcome"] == "passed"
        check = checks["any_shape"]
        assert list(check) == documented(4) and check["outcome"] == "failed"
        assert check["clause"] == "C16" and check["reason"] == f"C16 any_shape: {reason}"
    assert check["traceback"].endswith("SystemExit: no 4-d\n")


def test_without_hypothesis_it_says_so(install_toy, site):
    install_toy("right", trouble="assert len(x.shape) != 4")
    (site / "hypothesis.py").write_text("raise ImportError('not here')")
    status, printed, _ = run_at(site, "check", "right", "--traceback")
    notice = "Only fixed examples were tried, hypothesis is not installed: pip install"
    assert status == 1 and printed.count(f"\n\n{notice} 'revgrad[testing]'.\n") == 1
    # What an author wants to see of an error: where it was raised.
    assert "  C16 any_shape: " in printed and "it raised AssertionError" in printed
    assert "    Traceback (most recent call last):" in printed
    assert "in multiply_gradient\n" in printed


def test_progress_and_colour_of_a_check_on_a_terminal(install_toy, site):
    pytest.importorskip("rich")
    install_toy("right")
    status, printed = on_terminal(site, "check", "right")
    assert status == 0 and f"\rright: 1/{len(CHECKS)} identity " in printed and "│" in printed
    assert re.search(r"\x1b\[32mpassed", printed) and "│ C23" in printed
