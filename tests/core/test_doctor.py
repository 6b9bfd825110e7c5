"""The doctor and `revgrad check`, run as a user does, on plugins that are installed."""

import json
import os
import pathlib
import re
import subprocess
import sys
from importlib import metadata

import pytest
from plugins_on_disk import BROKEN, GOOD, STAGE, environment
from plugins_on_disk import install as install_into

from revgrad._cli import doctor
from revgrad._cli.main import main
from revgrad.testing import CHECKS

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "reference" / "command.md"
PLUGIN = """
import revgrad

@revgrad.hookimpl
def revgrad_backends():
    return [revgrad.BackendSpec({name!r}, ("{module}:Tensor",), "{module}:make", {more})]
"""
# What each does when it is loaded, the words of the doctor, and what it shows besides.
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
OURS = [
    entry_point.name
    for entry_point in metadata.distribution("revgrad").entry_points
    if entry_point.group == "revgrad"
]
"""The plugins of this repository, which the tests leave out: each stands for itself."""

IMPORTS = "import os, signal, sys\n"


def plugin(name, **more):
    words = ", ".join(f"{key}={value!r}" for key, value in more.items())
    return PLUGIN.format(name=name, module=f"{name}_framework", more=words)


def revgrad(*arguments, site, **variables):
    """Return exit code, standard output and standard error of a command."""
    # Whether Theano is installed beside us is no concern of these tests.
    variables.setdefault("REVGRAD_DISABLE", ",".join(OURS))
    done = subprocess.run(
        [sys.executable, "-m", "revgrad", *arguments],
        env=environment(site, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    """A folder with one plugin of each broken kind, one that works, and one without framework."""
    site = tmp_path_factory.mktemp("ward")
    install_into(site, "good-plugin", GOOD)
    for kind, (code, _) in BROKEN.items():
        install_into(site, "broken-" + kind.replace(" ", "-"), code)
    for name, (code, _) in LOADS.items():
        modules = {f"{name}_framework": IMPORTS + code}
        install_into(site, name, plugin(name, requires=f"{name}>=2"), **modules)
    noisy = "import os\n__version__ = '3.2.1'\nprint('garbage')\nos.system('echo more')\n"
    noisy += "print('revgrad reports {\"error\": 1}')\n" + GOOD
    install_into(site, "noisy", plugin("noisy"), noisy_framework=noisy + "make = GoodBackend")
    install_into(site, "absent", plugin("absent", requires="absent>=1"))
    (site / "absent_framework").mkdir()  # any folder of that name
    return site


@pytest.fixture(scope="module")
def found(ward):
    status, printed, errors = revgrad("--json", site=ward)
    assert status == 1 and errors == ""
    return json.loads(printed)


def entry_of(found, **wanted):
    (entry,) = [
        each
        for each in found["backends"]
        if all(each[key] == value for key, value in wanted.items())
    ]
    return entry


def documented(number):
    """Return the keys in one of the tables of the page on the command."""
    tables = PAGE.read_text(encoding="utf-8").split("\n| key | value |\n|---|---|\n")[1:]
    rows = tables[number].split("\n\n")[0].splitlines()
    return [key for row in rows for key in re.findall(r"`(\w+)`", row.split(" | ")[0])]


def test_the_keys_of_the_json_are_those_that_are_documented(found):
    assert list(found) == documented(0)
    assert found["ok"] is False and found["disabled"] == OURS
    for entry in found["backends"]:
        assert list(entry) == documented(1)
    assert {entry["state"] for entry in found["backends"]} == {"ok", "not installed", "broken"}


def test_what_works_is_ok(found):
    numpy = entry_of(found, backend="numpy")
    assert (numpy["state"], numpy["plugin"], numpy["distribution"]) == ("ok", None, "revgrad")
    good = entry_of(found, backend="good")
    assert (good["state"], good["distribution"], good["version"]) == ("ok", "good-plugin", "1.5")
    assert good["claims"] == ["good_plugin:Tensor"] and good["error"] is good["stage"] is None


def test_one_that_prints_garbage_is_ok(found):
    noisy = entry_of(found, backend="noisy")
    assert (noisy["state"], noisy["framework"]) == ("ok", "3.2.1")


def test_what_is_not_installed_is_no_fault(found):
    absent = entry_of(found, backend="absent")
    assert absent["state"] == "not installed"
    assert absent["error"] is absent["advice"] is absent["framework"] is None


@pytest.mark.parametrize("kind", BROKEN)
def test_each_broken_plugin_is_named_with_its_stage(found, kind):
    entry = entry_of(found, plugin="broken-" + kind.replace(" ", "-"), state="broken")
    words = BROKEN[kind][1].split(". The other")[0]
    assert entry["stage"] == STAGE[kind] and words in entry["error"]
    assert entry["backend"] is None and "\n" not in entry["error"]
    assert entry["advice"] == (
        f"Upgrade or uninstall {entry['plugin']}, or set REVGRAD_DISABLE={entry['plugin']} to do "
        "without."
    )
    assert kind in ("name", "record", "not a record") or "Traceback" in entry["traceback"]


@pytest.mark.parametrize("name", LOADS)
def test_each_broken_backend_is_named_and_takes_nothing_along(found, name):
    entry = entry_of(found, backend=name)
    words = LOADS[name][1]
    assert (entry["state"], entry["stage"]) == ("broken", "load")
    if words.startswith("the process"):
        words += " while the backend was loaded"
        assert f'revgrad.get_backend("{name}")' in entry["advice"]
    assert words in entry["error"] if name == "coloured" else words == entry["error"]
    assert entry["advice"].endswith(
        f"It requires {name}>=2. Set REVGRAD_DISABLE={name} to do without."
    )
    if name not in ("exits", "leaves"):
        assert f"{name}_framework.py" in entry["traceback"]


def test_the_advice_of_a_plugin_is_shown_whole(found):
    advice = entry_of(found, backend="advises")["advice"]
    assert advice.startswith("It does not import. Import λ.compat first. It requires advises>=2.")


def test_the_text_tells_the_same(found, capsys):
    doctor.show(found)
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert {each for each in printed if not each.isascii()} == {"λ"}
    head, table, *sections = printed.split("\n\n")
    assert head.startswith(f"revgrad {found['revgrad']}, Python {found['python']}, ")
    lines = table.splitlines()
    columns = [lines[0].index(name) for name in lines[0].split()]
    assert lines[0].split() == "backend plugin distribution framework state claims".split()
    rows = [
        [line[i:j].strip() for i, j in zip(columns, [*columns[1:], None])] for line in lines[1:]
    ]
    assert [row[0] for row in rows] == [each["backend"] or "-" for each in found["backends"]]
    assert ["good", "good-plugin", "good-plugin 1.5", "-", "ok", "good_plugin:Tensor"] in rows
    assert ["noisy", "noisy", "noisy 1.5", "3.2.1", "ok", "noisy_framework:Tensor"] in rows
    assert f"REVGRAD_DISABLE leaves out: {', '.join(OURS)}." in sections
    broken = [each for each in found["backends"] if each["state"] == "broken"]
    assert sum(" is broken, at stage '" in each for each in sections) == len(broken)
    assert (
        "plugin broken-exit is broken, at stage 'import':\n"
        "  SystemExit: bye\n"
        "  What to do: Upgrade or uninstall broken-exit, or set REVGRAD_DISABLE=broken-exit to do "
        "without." in sections
    )
    assert "backend fails is broken, at stage 'load':\n  OSError: libx.so.3: no" in printed
    assert "Traceback" not in printed and "revgrad --traceback" in sections[-1]
    assert "RuntimeError: red [bold]" in printed


def test_tracebacks_are_printed_on_demand_even_in_a_poor_locale(install, tmp_path):
    install("broken-plugin", BROKEN["hook"][0])
    for name in ("crashes", "advises"):
        install(name, plugin(name), **{f"{name}_framework": IMPORTS + LOADS[name][0]})
    site = tmp_path / "site"
    status, printed, errors = revgrad("--traceback", site=site, PYTHONIOENCODING="ascii")
    assert status == 1 and errors == ""
    # Of the plugin; of the root, the ImportError and the BackendUnavailableError.
    assert printed.count("    Traceback (most recent call last):\n") >= 4
    assert "Fatal Python error: Segmentation fault" in printed
    assert "crashes_framework.py" in printed and "\x1b" not in printed
    assert r"Import \u03bb.compat first" in printed
    assert "--traceback" not in printed


def test_reverse_works_on_the_others(ward):
    code = "import good_plugin as g, revgrad; print(revgrad.reverse(g.Tensor(), 1.0))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment(ward),
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert (done.returncode, done.stdout) == (0, "reversed by good\n")


def test_a_backend_that_hangs_is_broken(install, tmp_path):
    hang = "import time\nwhile True:\n    time.sleep(1)"
    install("hangs", plugin("hangs"), hangs_framework=hang)
    status, printed, _ = revgrad("--json", "--timeout", "1", site=tmp_path / "site")
    entry = entry_of(json.loads(printed), backend="hangs")
    assert status == 1 and (entry["state"], entry["stage"]) == ("broken", "load")
    assert entry["error"] == (
        "the process was not done within 1 seconds while the backend was loaded"
    )


def test_a_plugin_that_no_process_survives_is_found(install, tmp_path):
    install("good-plugin", GOOD)
    install("broken-plugin", BROKEN["hook"][0])
    install("deadly", "import os; os._exit(3)")
    status, printed, _ = revgrad("--json", site=tmp_path / "site")
    found = json.loads(printed)
    deadly = entry_of(found, plugin="deadly")
    assert status == 1 and (deadly["state"], deadly["stage"]) == ("broken", "discovery")
    assert deadly["error"] == "the process exited with status 3 while the plugin was discovered"
    assert deadly["distribution"] == "deadly"
    assert deadly["advice"].endswith("Until then every process that uses revgrad fares like that.")
    assert entry_of(found, backend="good")["state"] == "ok"
    assert entry_of(found, plugin="broken-plugin")["stage"] == "hook"


def test_nothing_broken_and_what_is_disabled(install, tmp_path):
    install("good-plugin", GOOD)
    install("broken-plugin", BROKEN["hook"][0])
    disable = ",".join(["broken-plugin, thaeno", *OURS])
    status, printed, errors = revgrad(site=tmp_path / "site", REVGRAD_DISABLE=disable)
    assert status == 0 and errors == ""
    assert f"REVGRAD_DISABLE leaves out: {', '.join(['broken-plugin', *OURS])}.\n" in printed
    assert "REVGRAD_DISABLE names what is no plugin: thaeno.\n" in printed
    assert "is broken" not in printed and "--traceback" not in printed


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["thaeno"], "there is no command 'thaeno': choose from check, schedule"),
        (["--json", "check"], "the options of a command stand behind it: revgrad check ..."),
        (["--jsn"], "unrecognized arguments: --jsn"),
        (["--timeout", "0"], "argument --timeout: invalid"),
        (["--timeout", "soon"], "argument --timeout: invalid"),
        (["check"], "name backends, or give --all"),
        (["check", "numpy", "--all"], "name backends, or give --all, not both"),
        (["check", "numpy", "--jsn"], "unrecognized arguments: --jsn"),
    ],
)
def test_arguments_that_make_no_sense(arguments, words, capsys):
    with pytest.raises(SystemExit) as exited:
        main(arguments)
    printed, errors = capsys.readouterr()
    assert exited.value.code == 2 and printed == "" and words in errors


# --- on a terminal --------------------------------------------------------------------------------


def on_terminal(site, *arguments, columns=200, **variables):
    """Return exit code and output of a command on a terminal of its own."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    terminal = {"TERM": "xterm", "COLUMNS": str(columns), "REVGRAD_DISABLE": ",".join(OURS[1:])}
    variables = {**terminal, **variables}
    env = environment(site, **variables)
    if "NO_COLOR" not in variables:
        env.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "revgrad", *arguments], env=env, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    printed = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
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
from revgrad.backend import (
    cast_lambda, check_lambda_shape, no_gradient_error, unknown_lambda_error
)
from revgrad.testing import Harness

print("garbage")

class Tensor:
    def __init__(self, value, back=lambda g: g):
        self.value, self.back = value, back

    def __mul__(self, weight):
        weight = np.asarray(weight, self.value.dtype)
        return Tensor(self.value * weight, lambda g: self.back(g * weight))

    def __add__(self, other):
        back = lambda g: self.back(g) + other.back(g)
        return Tensor(self.value + other.value, back)

class Backend(revgrad.Backend):
    sign = -1

    def reverse(self, x, lam):
        if x.value.dtype.kind != "f":
            raise no_gradient_error(x, x.value.dtype)
        if isinstance(lam, revgrad.LambdaVariable):
            lam = lam.value
        if not isinstance(lam, (float, np.ndarray)):
            raise unknown_lambda_error(lam, "nothing else")
        lam = cast_lambda(lam, x.value.dtype)
        check_lambda_shape(lam.shape, x.value.shape)
        {trouble}
        factor = np.asarray(self.sign, lam.dtype) * lam
        return Tensor(x.value, lambda g: x.back(factor * g))

class ToyHarness(Harness):
    backend = {name!r}
    examples = 3
    expected_failures = {expected!r}

    def program(self, fn, shape, dtype):
        def run(x, g):
            with np.errstate(all="ignore"):
                y = fn(Tensor(x))
                return y.value, np.asarray(y.back(g))
        return run

class Wrong(Backend):
    sign = 1

make = {kind}
"""


@pytest.fixture
def install_toy(install):
    def install_toy(name, kind="Backend", trouble="", expected={}, harness="ToyHarness"):
        module = f"{name}_framework"
        code = TOY.format(name=name, kind=kind, trouble=trouble, expected=expected)
        record = plugin(name, harness=harness and f"{module}:{harness}")
        install(name, record, **{module: code})

    return install_toy


def entries_of(printed):
    """Return what the JSON of a check says of each backend, and the outcomes of its checks."""
    entries = {entry["backend"]: entry for entry in json.loads(printed)["backends"]}
    outcomes = {
        name: {each["check"]: each["outcome"] for each in entry["checks"]}
        for name, entry in entries.items()
    }
    return entries, outcomes


def test_a_right_and_a_wrong_backend(install_toy, tmp_path):
    install_toy("right")
    install_toy("wrong", "Wrong", expected={"stay_apart": "not yet", "twice": "no idea"})
    status, printed, errors = revgrad("check", "right", "wrong", "right", site=tmp_path / "site")
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
    clauses = [int(row[0][1:]) for row in rows]
    assert clauses == sorted(clauses) and set(clauses) == set(range(1, 21))
    assert ["C1", "identity", "passed", "passed"] in rows
    assert ["C2", "any_cotangent", "passed", "failed"] in rows
    assert ["C7", "stay_apart", "passed", "expected"] in rows
    assert ["C11", "forward_mode", "skipped", "skipped"] in rows
    assert summaries.splitlines() == [right, wrong]
    # Every reason once, every failure whole.
    assert (
        "  C3 dtype_of_graph_lambda, C5 no_gradient_for_lambda, C16 graph_lambda_array (right, "
        "wrong): the backend does not declare the capability 'graph_lambda'"
    ) in skipped.splitlines()
    assert expected == "expected:\n  C7 stay_apart (wrong): not yet"
    assert failures[0].startswith(
        f"{wrong}:\n"
        "  C2 any_cotangent: Backward: any cotangent g comes back as -λ·g, non-finite values "
        "included.\n    input:    x = "
    )
    assert len(failures) == [row[3] for row in rows].count("failed")
    assert "    expected: " in failures[0] and "    came: " in failures[0]
    assert failures[2].startswith("  C6 twice: it was expected to fail (no idea), and passes.")


def test_all_that_are_installed(install_toy, install, tmp_path):
    install_toy("bare", harness="")
    install("absent", plugin("absent", harness="a:B"))
    status, printed, errors = revgrad("check", "--all", site=tmp_path / "site")
    assert (status, errors) == (0, "")
    assert printed == "numpy: no harness\nabsent: not installed\nbare: no harness\n"
    # A plugin that is broken cannot be checked; one that no process survives leaves the others.
    install("broken-plugin", BROKEN["hook"][0])
    install("deadly", "import os; os._exit(3)")
    install_toy("right")
    status, printed, errors = revgrad("check", "--all", "--json", site=tmp_path / "site")
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


def test_what_was_named_and_cannot_be_checked_is_a_failure(install_toy, install, tmp_path):
    install_toy("bare", harness="")
    install_toy("odd", expected={"sign": "why not"})
    for name in ("fails", "leaves"):
        code = IMPORTS + LOADS[name][0]
        install(name, plugin(name, harness=f"{name}_framework:A"), **{f"{name}_framework": code})
    names = ["numpy", "bare", "gone", "odd", "fails", "leaves"]
    status, printed, errors = revgrad("check", "--json", *names, site=tmp_path / "site")
    found = json.loads(printed)
    assert status == 1 and found["ok"] is False and found["contract"] == 1
    assert list(found) == documented(2)
    entries, _ = entries_of(printed)
    assert list(entries) == names
    assert all(list(entry) == documented(3) for entry in entries.values())
    for name, words in {
        "numpy": "The backend 'numpy' offers no harness, so nothing checks it: name its class in",
        "bare": "The backend 'bare' offers no harness",
        "gone": "There is no backend named 'gone'. Known backends: numpy, ",
        "odd": "There is no check 'sign'. Known: identity, ",
        "fails": "The harness of the backend 'fails' does not load: fails_framework:A failed with "
        "OSError: libx.so.3: no such file.",
        "leaves": "the process exited with status 0 while the backend was loaded. The doctor says",
    }.items():
        assert entries[name]["error"].startswith(words)
        assert entries[name]["state"] == "unavailable" and f"{name}: unavailable" in errors
    assert "fails_framework.py" in entries["fails"]["traceback"]
    status, printed, _ = revgrad("check", "gone", site=tmp_path / "site")
    assert status == 1 and printed.startswith("gone: unavailable\n\ngone: unavailable:\n  There is")


def test_a_check_that_takes_the_process_along_has_failed(install_toy, tmp_path):
    install_toy("dies", trouble="if lam.ndim == 0 and lam == 0: os._exit(9)")
    install_toy("raises", trouble="if lam.ndim == 0 and lam == 0: raise SystemExit('no zero')")
    arguments = ["check", "dies", "raises", "--json"]
    status, printed, _ = revgrad(*arguments, site=tmp_path / "site")
    entries, outcomes = entries_of(printed)
    assert status == 1
    for name, words in {
        "dies": "the process exited with status 9 while the check was run",
        "raises": "it raised SystemExit: no zero",
    }.items():
        assert len(outcomes[name]) == len(CHECKS) and entries[name]["state"] == "checked"
        assert outcomes[name]["zero_lambda"] == "failed" and outcomes[name]["double_reversal"] == "passed"
        (check,) = [each for each in entries[name]["checks"] if each["check"] == "zero_lambda"]
        assert list(check) == documented(4)
        assert check["clause"] == "C4" and check["reason"] == f"C4 zero_lambda: {words}"
    assert check["traceback"].endswith("SystemExit: no zero\n")


def test_without_hypothesis_it_says_so(install_toy, tmp_path):
    install_toy("right", trouble="assert lam.ndim or lam != 0")
    (tmp_path / "site" / "hypothesis.py").write_text("raise ImportError('not here')")
    status, printed, _ = revgrad("check", "right", "--traceback", site=tmp_path / "site")
    assert status == 1 and "To draw examples too: pip install 'revgrad[testing]'." in printed
    assert printed.count("Fixed examples alone: hypothesis is not installed.") == 1
    # What an author wants to see of an error: where it was raised.
    assert "  C4 zero_lambda: " in printed and "it raised AssertionError" in printed
    assert "    Traceback (most recent call last):" in printed and "in reverse\n" in printed


def test_progress_and_colour_of_a_check_on_a_terminal(install_toy, tmp_path):
    pytest.importorskip("rich")
    install_toy("right")
    status, printed = on_terminal(tmp_path / "site", "check", "right")
    assert status == 0 and f"\rright: 1/{len(CHECKS)} identity " in printed and "│" in printed
    assert re.search(r"\x1b\[32mpassed", printed) and "│ C20" in printed
