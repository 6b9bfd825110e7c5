"""The command `revgrad` with its help, and `revgrad schedule`, run as a user does."""

import csv
import io
import os
import subprocess
import sys

import numpy as np
import pytest

from revgrad import schedules


def run(*arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "revgrad", *arguments],
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "80", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    return done.returncode, done.stdout, done.stderr


def test_the_chart_shows_the_curve():
    status, printed, _ = run("schedule", "dann", "--gamma", "10", "--steps", "1000")
    assert status == 0
    lines = printed.splitlines()
    assert lines[0].split("|")[0].strip() == "0.9999" and lines[14].split("|")[0].strip() == "0"
    assert max(map(len, lines[:17])) <= 80
    # The mark of each column stands on the row of its λ, to half a row.
    dann = schedules.Dann()
    chart = [line[10:].ljust(70) for line in lines[:15]]
    for column in range(70):
        (row,) = [i for i in range(15) if chart[i][column] == "*"]
        assert abs((1 - row / 14) - dann(column / 69)) <= 0.5 / 14 + 1e-3
    assert "step 1000" in lines[16]
    assert lines[17] == "* Dann(gamma=10.0, low=0.0, high=1.0): λ from 0 to 0.999909"


@pytest.mark.parametrize("end", [0.25, 1.0, 40.0])
def test_the_chart_fills_its_height_whatever_the_values(end):
    _, printed, _ = run("schedule", "linear", "--end", str(end))
    lines = printed.splitlines()
    assert lines[0].split("|")[0].strip() == f"{end:g}"
    assert lines[0].endswith("*") and lines[14][10] == "*"
    assert all("*" in line for line in lines[:15])


def test_csv_has_every_step_with_all_digits():
    status, printed, _ = run("schedule", "linear", "--end", "0.7", "dann", "--steps", "7", "--csv")
    rows = list(csv.reader(io.StringIO(printed)))
    assert status == 0
    assert rows[0] == ["step", "p", repr(schedules.Linear(0, 0.7)), repr(schedules.Dann())]
    assert [int(row[0]) for row in rows[1:]] == list(range(8))
    for step, p, linear, dann in rows[1:]:
        assert float(p) == int(step) / 7
        assert float(linear) == schedules.Linear(0, 0.7)(float(p))
        assert float(dann) == schedules.Dann()(float(p))


def test_several_are_compared_and_any_schedule_may_be_json():
    delayed = schedules.Delayed(schedules.Dann(), until=0.5)
    import json

    status, printed, _ = run("schedule", "--steps", "10", json.dumps(delayed.to_dict()), "cosine")
    assert status == 0
    assert f"* {delayed!r}" in printed and "+ Cosine(start=0.0, end=1.0)" in printed


def test_a_figure_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "ramp.png"
    status, _, errors = run("schedule", "dann", "linear", "--plot", str(path))
    assert status == 0 and f"figure: {path}" in errors
    assert path.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_error_says_what_to_install(tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not here')")
    status, _, errors = run(
        "schedule", "dann", "--plot", str(tmp_path / "a.png"), PYTHONPATH=str(tmp_path)
    )
    assert status == 2 and "pip install 'revgrad[examples]'" in errors


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--steps", "10"], "name a schedule: constant, cosine, dann"),
        (["dann", "--gamma", "-10"], "Dann: gamma must be a finite number > 0; got -10.0"),
        (["dann", "--steps", "0"], "--steps must be an integer >= 1; got 0"),
        (["constant"], "the following arguments are required: --value"),
        (["thaeno"], "unrecognized arguments: thaeno"),
        (["linear", "--gamma", "1"], "unrecognized arguments: --gamma 1"),
        (["{"], "{ is no JSON"),
        (['{"kind": "dann"}'], "There is no schedule of the kind 'dann'"),
        (["dann", "--plot", "no-such-folder/a.png"], "--plot no-such-folder/a.png: "),
    ],
)
def test_a_bad_argument_is_refused(arguments, words):
    if "--plot" in arguments:
        pytest.importorskip("matplotlib")
    status, printed, errors = run("schedule", *arguments)
    assert status == 2 and printed == ""
    assert words in errors


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--help"], "check     put backends to the checks of the contract"),
        (["--help"], "exit codes:\n  0  nothing is broken"),
        (["check", "--help"], "exit codes:\n  0  every check that was run passed"),
        (["schedule", "--help"], "revgrad schedule dann --gamma 10 --steps 1000"),
        (["schedule"], "usage: revgrad schedule SCHEDULE"),
        (["schedule", "dann", "--help"], "--gamma NUMBER"),
        (["--version"], "revgrad 0"),
    ],
)
def test_help(arguments, words):
    status, printed, _ = run(*arguments)
    assert status == 0 and words in printed


def test_a_chart_of_zeros_and_of_one_column_more_than_a_narrow_terminal():
    status, printed, _ = run("schedule", "constant", "--value", "0", COLUMNS="5")
    assert status == 0 and "*" * 20 in printed


def test_the_marks_do_not_run_out():
    status, printed, _ = run("schedule", *["linear"] * 9)
    assert status == 0 and printed.count("Linear(") == 9
    assert np.count_nonzero([line.startswith("* ") for line in printed.splitlines()]) == 2
