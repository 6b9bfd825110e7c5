"""The doctor and `revgrad check`, run as a user does, on plugins that are installed."""

import contextlib
import json
import os
import re
import subprocess
import sys

import pytest
from plugins_on_disk import BROKEN, GOOD, PLUGINS, RAISES, environment, hook, install, rows_of, spec
from support.pages import ROOT
from support.processes import python

from revgrad._cli import doctor
from revgrad._cli.worker import Entry
from revgrad.testing import CHECKS

# What the framework of each backend does when it is imported, and the error that is reported.
LOADS = {
    "crashes": ("os.kill(os.getpid(), signal.SIGSEGV)", "the process was killed by SIGSEGV"),
    "leaves": ("os._exit(0)", "the process exited with status 0"),
    "quits": ("sys.exit('no licence')", "SystemExit: no licence"),
    "fails": ("raise OSError('libx.so.3: no such file')", "OSError: libx.so.3: no such file"),
    "skips": ("raise type('Skipped', (BaseException,), {})('no device')", "Skipped: no device"),
    "advises": (
        "raise ImportError('Too new. Import λ.compat') from OSError('no x')",
        "OSError: no x",
    ),
    "chatters": ("raise RuntimeError('x\\n' * 5000)", f"RuntimeError: {'x ' * 141}x..."),
    "mute": ("raise RuntimeError()", "RuntimeError"),
    "coloured": ("raise RuntimeError('\x1b[31mred [bold]')", "RuntimeError: \x1b[31mred [bold]"),
}
NOISY = f"__version__ = '3.2.1'\nprint('garbage')\nos.system('echo more')\n{GOOD}"
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


def install_backend(site, name, framework, **more):
    """Install a plugin with one backend, whose framework is a module beside it."""
    module = f"{name}_framework"
    plugin = hook(f"return {spec(name, f'{module}:Tensor', f'{module}:Backend', **more)}")
    install(site, name, plugin, **{module: f"import os, signal, sys\n{framework}"})


def run_at(site, *arguments, **variables):
    """Return exit code, output (JSON is read) and standard error of a command in its process."""
    done = python("-m", "revgrad", *arguments, check=False, **environment(site, **variables))
    printed = json.loads(done.stdout) if "--json" in arguments else done.stdout
    return done.returncode, printed, done.stderr


@pytest.fixture(scope="module", autouse=True)
def variables():
    """Leave out the plugins of this repository, and let the framework of the suite be found."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("REVGRAD_DISABLE", ",".join(PLUGINS))
        patched.setenv("PYTHONPATH", str(ROOT / "tests" / "testing"), prepend=os.pathsep)
        patched.delenv("NO_COLOR", raising=False)
        yield


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the doctor prints as JSON where there is one plugin of each kind."""
    site = tmp_path_factory.mktemp("site_of_all")
    install(site, "good-plugin", GOOD)
    for name, (_, code, _) in BROKEN.items():
        install(site, name, code)
    for name, (code, _) in LOADS.items():
        install_backend(site, name, code, requires=f"{name}>=2")
    for name, code in PREPARED.items():
        install_backend(site, name, code, prepare=f"{name}_compat")
        (site / f"{name}_compat.py").touch()
    install(site, "absent", hook(f"return {spec('absent', 'absent_framework:Tensor')}"))
    (site / "absent_framework").mkdir()  # any folder of that name
    status, printed, errors = run_at(site, "--json")
    assert status == 1 and errors == ""
    return printed


def entry_of(found, **wanted):
    (entry,) = [each for each in found["backends"] if wanted.items() <= each.items()]
    return entry


def documented(number):
    """Return the keys in one of the tables of the page on the command."""
    page = (ROOT / "docs" / "reference" / "command.md").read_text(encoding="utf-8")
    table = page.split("\n| key | value |\n|---|---|\n")[number + 1].split("\n\n")[0]
    first_column = [row.split(" | ")[0] for row in table.splitlines()]
    return re.findall(r"`(\w+)`", " ".join(first_column))


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


@pytest.mark.parametrize("name", BROKEN)
def test_each_broken_plugin_is_named_with_its_stage(found, name):
    stage, _, words = BROKEN[name]
    entry = entry_of(found, plugin=name, state="broken", stage=stage, backend=None)
    assert words.split(". The other")[0] in entry["error"] and "\n" not in entry["error"]
    advice = f"Upgrade or uninstall {name}, or set REVGRAD_DISABLE={name} to do without."
    assert entry["advice"] == advice and "Traceback" in entry["traceback"]


@pytest.mark.parametrize("name", LOADS)
def test_each_broken_backend_is_named_and_stops_no_other(found, name):
    entry, error = entry_of(found, backend=name, state="broken", stage="load"), LOADS[name][1]
    advice = f"It requires {name}>=2. Set REVGRAD_DISABLE={name} to do without."
    if name == "advises":
        advice = f"Too new. Import λ.compat. {advice}"
    if error.startswith("the process"):
        error += " while the backend was loaded"
        code = f'import revgrad; revgrad.get_backend("{name}")'
        advice = f"Load it by itself: python -X faulthandler -c '{code}'. {advice}"
    assert (entry["error"], entry["advice"]) == (error, advice)
    assert name == "leaves" or f"{name}_framework.py" in entry["traceback"]


def test_the_text_says_the_same(found, capsys):
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
    broken = [each for each in found["backends"] if each["state"] == "broken"]
    assert sum(" is broken, at stage '" in each for each in sections) == len(broken)
    assert {
        f"REVGRAD_DISABLE leaves out: {', '.join(PLUGINS)}.",
        "backend needs: It needs `import needs_compat` before needs_framework.",
        "plugin broken-exit is broken, at stage 'import':\n"
        "  SystemExit: bye\n"
        "  What to do: Upgrade or uninstall broken-exit, or set REVGRAD_DISABLE=broken-exit to do "
        "without.",
    } <= set(sections)
    assert "backend fails is broken, at stage 'load':\n  OSError: libx.so.3: no" in printed
    assert "RuntimeError: red [bold]" in printed
    assert "Traceback" not in printed and "revgrad --traceback" in sections[-2]
    assert sections[-1] == "Documentation: the folder docs of the source distribution\n"


def test_tracebacks_are_printed_on_demand_even_in_a_poor_locale(tmp_path):
    install(tmp_path, "broken-plugin", RAISES)
    for name in ("crashes", "advises"):
        install_backend(tmp_path, name, LOADS[name][0])
    status, printed, errors = run_at(tmp_path, "--traceback", PYTHONIOENCODING="ascii")
    assert status == 1 and errors == ""
    # Of the plugin, the ImportError and the BackendUnavailableError.
    assert printed.count("    Traceback (most recent call last):\n") == 3
    assert "Fatal Python error: Segmentation" in printed and "crashes_framework.py" in printed
    assert "\n    OSError: no x\n" in printed and r"Import \u03bb.compat" in printed
    assert "--traceback" not in printed


def test_a_backend_that_hangs_is_broken(tmp_path):
    install_backend(tmp_path, "hangs", "import time\ntime.sleep(600)")
    status, found, _ = run_at(tmp_path, "doctor", "--json", "--timeout", "1")
    error = "the process did not finish within 1 seconds while the backend was loaded"
    entry = entry_of(found, backend="hangs", state="broken", stage="load", error=error)
    assert status == 1 and "hangs_framework.py" in entry["traceback"]


def test_a_plugin_that_no_process_survives_is_found(tmp_path):
    install(tmp_path, "good-plugin", GOOD)
    install(tmp_path, "broken-plugin", RAISES)
    install(tmp_path, "deadly", "import os; os._exit(3)")
    status, found, _ = run_at(tmp_path, "--json")
    deadly = entry_of(found, plugin="deadly", distribution="deadly", stage="discovery")
    assert (status, deadly["state"]) == (1, "broken")
    assert deadly["error"] == "the process exited with status 3 while the plugin was discovered"
    advice = "Until then every process that uses revgrad will fail the same way."
    assert deadly["advice"].endswith(advice)
    assert entry_of(found, backend="good", state="ok")
    assert entry_of(found, plugin="broken-plugin", stage="hook")


def test_nothing_broken_and_what_is_disabled(tmp_path):
    install(tmp_path, "good-plugin", GOOD)
    install(tmp_path, "broken-plugin", RAISES)
    known = ", ".join(["broken-plugin", *PLUGINS])
    status, printed, errors = run_at(tmp_path, "doctor", REVGRAD_DISABLE=f"thaeno,{known}")
    assert status == 0 and errors == ""
    assert f"REVGRAD_DISABLE leaves out: {known}.\n" in printed
    assert "REVGRAD_DISABLE lists unknown plugins: thaeno.\n" in printed
    assert "is broken" not in printed and "--traceback" not in printed


# --- on a terminal --------------------------------------------------------------------------------


def on_terminal(site, *arguments, **variables):
    """Return exit code and output of a command on a terminal of its own."""
    ours, theirs = pytest.importorskip("pty").openpty()
    env = {**environment(site), "TERM": "xterm", "COLUMNS": "200", **variables}
    command = [sys.executable, "-m", "revgrad", *arguments]
    process = subprocess.Popen(command, env=env, stdout=theirs, stderr=theirs)
    os.close(theirs)
    printed = b""
    with contextlib.suppress(OSError):  # how Linux says that the other end is closed
        for part in iter(lambda: os.read(ours, 4096), b""):
            printed += part
    os.close(ours)
    return process.wait(), printed.decode("utf-8")


def test_a_terminal_gets_colour_and_boxes(tmp_path):
    pytest.importorskip("rich")
    install(tmp_path, "broken-plugin", RAISES)
    status, printed = on_terminal(tmp_path)
    assert status == 1
    assert re.search(r"\x1b\[32mok", printed) and re.search(r"\x1b\[1;31mbroken", printed)
    assert "│" in printed and "KeyError: 'version'" in printed
    status, printed = on_terminal(tmp_path, COLUMNS="60", NO_COLOR="1")
    assert status == 1 and "│" in printed and not re.search(r"\x1b\[[0-9;]*3[0-9]m", printed)
    assert max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", printed).splitlines())) <= 60


def test_a_terminal_without_rich_gets_plain_text(tmp_path):
    (tmp_path / "rich.py").write_text("raise ImportError('not here')")
    status, printed = on_terminal(tmp_path)
    assert status == 0 and "\x1b" not in printed and "│" not in printed
    assert re.search(r"\r\nnumpy +built in", printed)


# --- revgrad check --------------------------------------------------------------------------------

# The framework of the tests of the suite, run at once and without its capabilities.
TOY = """
import tape
from revgrad.backend import EagerNative
from revgrad.testing import Harness
from tape import Tensor

print("garbage")

class ToyNative(EagerNative, tape.TapeNative):
    pass

class Backend(tape.TapeBackend):
    native = ToyNative()
    capabilities = frozenset()

    def multiply_gradient(self, x, factor):
        {trouble}
        return super().multiply_gradient(x, factor)

class ToyHarness(tape.TapeHarness):
    backend = {name!r}
    examples = 0
    expected_failures = {expected!r}
    unsupported = {{"*": "a toy"}}
    program, values = Harness.program, Harness.values

    def evaluate(self, fn, x, g):
        return super().program(fn, x.shape, str(x.dtype))(x, g)
"""


def install_toy(site, name, trouble="", expected=()):
    code = TOY.format(name=name, trouble=trouble, expected=dict(expected))
    install_backend(site, name, code, harness=f"{name}_framework:ToyHarness")


def test_a_right_and_a_wrong_backend(tmp_path):
    install_toy(tmp_path, "right")
    expected = {"stay_apart": "not yet", "double_reversal": "no idea"}
    install_toy(tmp_path, "wrong", "factor = -factor", expected)
    status, printed, errors = run_at(tmp_path, "check", "right", "wrong", "right")
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


def test_all_that_are_installed(tmp_path):
    install_backend(tmp_path, "bare", "")
    install(tmp_path, "absent", hook(f"return {spec('absent', harness='a:B')}"))
    printed = "numpy: no harness\nabsent: not installed\nbare: no harness\n"
    assert run_at(tmp_path, "check", "--all") == (0, printed, "")
    # A plugin that is broken cannot be checked; one that no process survives leaves the others.
    install(tmp_path, "broken-plugin", RAISES)
    install(tmp_path, "deadly", "import os; os._exit(3)")
    install_toy(tmp_path, "right")
    status, found, _ = run_at(tmp_path, "check", "--all", "--json")
    assert status == 1
    assert [(each["backend"], each["plugin"], each["state"]) for each in found["backends"]] == [
        ("numpy", None, "no harness"),
        ("absent", None, "not installed"),
        ("bare", None, "no harness"),
        ("right", None, "checked"),
        (None, "broken-plugin", "unavailable"),
        (None, "deadly", "unavailable"),
    ]
    assert entry_of(found, plugin="broken-plugin")["error"] == (
        "the plugin of broken-plugin 1.5 was left out at stage 'hook': KeyError: 'version'. "
        "The doctor says more: revgrad, without a command."
    )


def test_there_is_nothing_to_check_on_numpy(tmp_path):
    reason = "reverse() returns a NumPy array as it is, a constant without a gradient"
    line = f"numpy: nothing to check: {reason}\n"
    assert run_at(tmp_path, "check", "numpy") == (0, line, line)


def test_what_was_named_and_cannot_be_checked_is_a_failure(tmp_path):
    install_backend(tmp_path, "bare", "")
    install_toy(tmp_path, "odd", expected={"sign": "why not"})
    for name in ("fails", "leaves"):
        install_backend(tmp_path, name, LOADS[name][0], harness=f"{name}_framework:A")
    errors_of = {
        "bare": "The backend 'bare' offers no harness, so nothing checks it: name its class in",
        "gone": "There is no backend named 'gone'. Known backends: numpy, ",
        "odd": "There is no check 'sign'. Known: identity, ",
        "fails": "The harness of the backend 'fails' does not load: fails_framework:A failed with "
        "OSError: libx.so.3: no such file.",
        "leaves": "the process exited with status 0 while the backend was loaded. The doctor says",
    }
    status, found, errors = run_at(tmp_path, "check", "--json", *errors_of)
    assert (status, found["ok"], found["contract"], list(found)) == (1, False, 1, documented(2))
    assert [entry["backend"] for entry in found["backends"]] == list(errors_of)
    for entry in found["backends"]:
        assert list(entry) == documented(3) and entry["state"] == "unavailable"
        assert entry["error"].startswith(errors_of[entry["backend"]])
        assert f"{entry['backend']}: unavailable" in errors
    assert "fails_framework.py" in entry_of(found, backend="fails")["traceback"]
    status, printed, _ = run_at(tmp_path, "check", "gone")
    assert status == 1 and printed.startswith("gone: unavailable\n\ngone: unavailable:\n  There is")


def test_a_check_that_ends_the_process_has_failed(tmp_path):
    install_toy(tmp_path, "dies", trouble="if len(x.shape) == 4: os._exit(9)")
    install_toy(tmp_path, "raises", trouble="if len(x.shape) == 4: raise SystemExit('no 4-d')")
    status, found, _ = run_at(tmp_path, "check", "dies", "raises", "--json")
    for name, reason in {
        "dies": "the process exited with status 9 while the check was run",
        "raises": "it raised SystemExit: no 4-d",
    }.items():
        checks = {each["check"]: each for each in entry_of(found, backend=name)["checks"]}
        assert status == 1 and list(checks) == list(CHECKS)
        assert checks["scaled_gradient"]["outcome"] == "passed"
        check = checks["any_shape"]
        assert list(check) == documented(4) and check["outcome"] == "failed"
        assert check["clause"] == "C16" and check["reason"] == f"C16 any_shape: {reason}"
    assert check["traceback"].endswith("SystemExit: no 4-d\n")


def test_without_hypothesis_it_says_so(tmp_path):
    install_toy(tmp_path, "right", trouble="assert len(x.shape) != 4")
    (tmp_path / "hypothesis.py").write_text("raise ImportError('not here')")
    status, printed, _ = run_at(tmp_path, "check", "right", "--traceback")
    notice = "Only fixed examples were tried, hypothesis is not installed: pip install"
    assert status == 1 and printed.count(f"\n\n{notice} 'revgrad[testing]'.\n") == 1
    # What an author wants to see of an error: where it was raised.
    assert "  C16 any_shape: " in printed and "it raised AssertionError" in printed
    assert "    Traceback (most recent call last):" in printed
    assert "in multiply_gradient\n" in printed


def test_progress_and_colour_of_a_check_on_a_terminal(tmp_path):
    pytest.importorskip("rich")
    install_toy(tmp_path, "right")
    status, printed = on_terminal(tmp_path, "check", "right")
    assert status == 0 and f"\rright: 1/{len(CHECKS)} identity " in printed and "│" in printed
    assert re.search(r"\x1b\[32mpassed", printed) and "│ C23" in printed
