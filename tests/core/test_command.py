"""The command line: help, errors, output that cannot be written, and `revgrad schedule`."""

import csv
import io
import json
import os
import subprocess
import sys

import pytest
from plugins_on_disk import PLUGINS, command, rows_of

from revgrad import schedules


@pytest.mark.parametrize(
    "arguments, shown",
    [
        ("--help", "\n  check     run the checks of the contract on backends\n"),
        ("--help", "\n  doctor    say what is installed, what is broken, and why; the default\n"),
        ("--help", "exit codes:\n  0  nothing is broken"),
        ("--help", "Documentation: the folder docs of the source distribution\n"),
        ("check --help", "exit codes:\n  0  nothing is broken"),
        ("doctor --help", "--timeout SECONDS  how long a backend may take to load (default: 120)"),
        ("schedule --help", "\n  revgrad schedule dann --gamma 10 --steps 1000\n"),
        ("schedule", "usage: revgrad schedule SCHEDULE"),
        ("schedule dann --help", "  --gamma NUMBER  default: 10"),
        ("schedule constant --help", "  --value NUMBER  required"),
        ("--version", "revgrad 0.1.0\n"),
    ],
)
def test_help(arguments, shown, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    status, printed, errors = command(*arguments.split())
    assert (status, errors) == (0, "") and shown in printed


@pytest.mark.parametrize("arguments", ["--help", "doctor", "schedule dann --csv"])
@pytest.mark.parametrize("device, error", [("", ""), ("/dev/full", "No space left on device")])
def test_output_that_cannot_be_written(arguments, device, error):
    if device and not os.path.exists(device):
        pytest.skip(f"there is no {device} here")
    reader, pipe = os.pipe()
    os.close(reader)  # nobody reads it
    with open(pipe, "wb") as unread, open(device or os.devnull, "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "revgrad", *arguments.split()],
            # argparse ignores what it cannot write, and sees that only where nothing is buffered.
            env={**os.environ, "REVGRAD_DISABLE": ",".join(PLUGINS), "PYTHONUNBUFFERED": ""},
            stdout=full if device else unread,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
    assert done.returncode == 3
    assert done.stderr == (f"revgrad: [Errno 28] {error}\n" if error else "")


# --- revgrad schedule -----------------------------------------------------------------------------


# The options, how to read what they print, and how a number is written.
TABLE = [], rows_of, "{:.6g}".format
CSV = ["--csv"], lambda text: list(csv.reader(io.StringIO(text))), repr


# The last table is of a training run that is longer than any int64.
@pytest.mark.parametrize(
    "form, steps, every",
    [(TABLE, 1000, 100), (TABLE, 4, 1), (TABLE, 10**30, 10**29), (CSV, 7, 1)],
    ids=["eleven", "all", "long", "csv"],
)
def test_the_table_has_eleven_steps_or_all_and_the_csv_has_all(form, steps, every):
    options, read, write = form
    curves = [schedules.Delayed(schedules.Dann(), until=0.5), schedules.Cosine(end=0.5)]
    arguments = [f"--steps={steps}", json.dumps(curves[0].to_dict()), "cosine", "--end", "0.5"]
    status, printed, _ = command("schedule", *arguments, *options)
    expected = [["step", "p", *map(repr, curves)]]
    for step in range(0, steps + 1, every):
        p = step / steps
        expected.append([str(step), *map(write, [p, *(curve(p) for curve in curves)])])
    assert status == 0 and read(printed) == expected


def test_a_figure_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "ramp.png"
    status, _, errors = command("schedule", "dann", "linear", "--plot", str(path))
    assert (status, errors) == (0, f"figure: {path}\n")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    status, _, errors = command("schedule", "dann", "--plot", "a.png")
    assert status == 2 and "--plot needs matplotlib: pip install 'revgrad[examples]'" in errors
