"""λ over time on the moons: driven in three ways, and resumed after a crash."""

import random

import numpy as np
import pytest

from test_examples import STYLES, run  # it makes Theano importable
import three_ways
import theano

import problems
import revgrad
from revgrad_theano.testing import TheanoHarness

compilations = TheanoHarness().compilations


def test_three_ways_give_one_loss_curve_with_one_compilation_each():
    problem, steps = problems.moons(0, dtype="float64"), 120
    assert theano.config.floatX == "float64"
    schedule = revgrad.schedules.Dann(gamma=10)
    curves = {}
    for name, make in three_ways.WAYS.items():
        before = compilations()
        way = make(schedule, steps)
        assert compilations() == before + 2  # the one that trains and the one that predicts
        curves[name] = three_ways.train(way, problem, steps, seed=1)
        assert compilations() == before + 2
    first = curves.pop("variable")
    assert first.shape == (steps, 2) and np.ptp(first[:, 0]) > 0.1
    for name, losses in curves.items():
        np.testing.assert_allclose(losses, first, rtol=0, atol=1e-6, err_msg=name)
    # λ matters: without it the losses are others.
    constant = three_ways.by_a_variable(revgrad.schedules.Constant(0), steps)
    assert np.abs(three_ways.train(constant, problem, steps, seed=1) - first).max() > 1e-3


def test_the_program_of_the_three_ways_prints_them(capsys):
    three_ways.main(["--steps", "20"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["variable", "input", "graph"]
    assert all(float(line.split()[-1]) < 1e-6 for line in lines[2:])


def resume(folder, style, name, *arguments):
    options = f"{name}.checkpoint", "--log", f"{name}.log", "--steps", "60"
    done = run("resume.py", style, *options, *arguments, cwd=folder, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("style", STYLES)
def test_a_killed_training_run_goes_on_as_if_nothing_had_been(style, tmp_path):
    status, printed = resume(tmp_path, style, "whole")
    assert status == 0, printed
    die_at = random.randrange(1, 59)
    status, printed = resume(tmp_path, style, "killed", "--die-at", str(die_at))
    assert status != 0 and "done" not in printed, printed
    status, printed = resume(tmp_path, style, "killed", "--steps", "61")
    assert status != 0
    assert "another LambdaScheduler: its total_steps is 60, here it is 61." in printed
    status, printed = resume(tmp_path, style, "killed")
    assert status == 0 and f"resumed: <LambdaScheduler step {die_at} of 60" in printed, printed
    whole, killed = ((tmp_path / f"{name}.log").read_text() for name in ("whole", "killed"))
    assert whole.count("\n") == 60
    assert killed == whole, f"killed in step {die_at}"
    lams = [float(line.split()[1]) for line in whole.splitlines()]
    assert lams == [revgrad.schedules.Dann()(step / 60) for step in range(60)]
    checkpoint = tmp_path / "killed.checkpoint"
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: random.randrange(len(content))])
    status, printed = resume(tmp_path, style, "killed")
    assert status == 1 and "error: killed.checkpoint is not a whole checkpoint (" in printed
