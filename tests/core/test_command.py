"""The command line: help, errors, output that cannot be written, and `revgrad schedule`."""

import csv
import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from plugins_on_disk import PLUGINS, command

from revgrad import schedules

DELAYED = schedules.Delayed(schedules.Dann(), until=0.5)


@pytest.mark.parametrize(
    "arguments, shown",
    [
        ("--help", "\n  check     run the checks of the contract on backends\n"),
        ("--help", "\n  doctor    say what is installed, what is broken, and why; the default\n"),
        ("--help", "exit codes:\n  0  nothing is broken"),
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
    if arguments == "--help":  # they have no address yet
        assert "Documentation: the folder docs of the source distribution\n" in printed


@pytest.mark.parametrize("arguments", ["--help", "doctor", "schedule dann --csv"])
@pytest.mark.parametrize("output, error", [("pipe", ""), ("/dev/full", "No space left on device")])
def test_output_that_cannot_be_written(arguments, output, error):
    if output == "pipe":  # which nobody reads
        reader, written = os.pipe()
        os.close(reader)
    elif os.path.exists(output):
        written = os.open(output, os.O_WRONLY)
    else:
        pytest.skip(f"there is no {output} here")
    names = ",".join(PLUGINS)
    done = subprocess.run(
        [sys.executable, "-m", "revgrad", *arguments.split()],
        # argparse ignores what it cannot write, and sees that only where nothing is buffered.
        env={**os.environ, "REVGRAD_DISABLE": names, "PYTHONUNBUFFERED": ""},
        stdout=written,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    os.close(written)
    lines = done.stderr.splitlines()
    assert done.returncode == 3
    assert lines == ([f"revgrad: [Errno 28] {error}"] if error else [])


# --- revgrad schedule -----------------------------------------------------------------------------


# The last training run is longer than any int64.
@pytest.mark.parametrize("steps, every", [(1000, 100), (4, 1), (10**30, 10**29)])
def test_the_table_has_eleven_steps_or_all_and_any_schedule_may_be_json(steps, every):
    delayed = json.dumps(DELAYED.to_dict())
    status, printed, _ = command("schedule", f"--steps={steps}", delayed, "cosine", "--end", "0.5")
    headings, *rows = (re.split("  +", line) for line in printed.splitlines())
    curves = [DELAYED, schedules.Cosine(end=0.5)]
    assert status == 0 and headings == ["step", "p", *map(repr, curves)]
    assert [int(row[0]) for row in rows] == [*range(0, steps + 1, every)]
    for step, p, *values in rows:
        assert float(p) == pytest.approx(int(step) / steps, rel=1e-6)
        assert np.allclose([float(each) for each in values], [c(float(p)) for c in curves], 1e-5)


def test_csv_has_every_step_with_all_digits():
    status, printed, _ = command("schedule", "linear", "--end", ".7", "dann", "--steps=7", "--csv")
    headings, *rows = csv.reader(io.StringIO(printed))
    curves = [schedules.Linear(0, 0.7), schedules.Dann()]
    assert status == 0 and headings == ["step", "p", *map(repr, curves)]
    assert [int(row[0]) for row in rows] == list(range(8))
    for step, p, *values in rows:
        assert float(p) == int(step) / 7
        assert [float(each) for each in values] == [curve(float(p)) for curve in curves]


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
