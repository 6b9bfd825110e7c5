"""λ over time on the moons: driven in three ways, and resumed after a crash."""

import random

import numpy as np
import pytest
from support.processes import python
from support.programs import EXAMPLES

from test_examples import STYLES  # it makes Theano importable
import three_ways

import problems
import revgrad
from revgrad_theano.testing import TheanoHarness


def test_three_ways_give_one_loss_curve_with_one_compilation_each(capsys):
    compilations = TheanoHarness().compilations
    before = compilations()
    three_ways.main(["--steps", "120", "--seed", "1"])
    assert compilations() == before + 3 * 2  # the one that trains and the one that predicts
    title, _, *rows = capsys.readouterr().out.splitlines()
    assert title == "Dann(gamma=10.0, low=0.0, high=1.0), 120 steps, float64"
    names, *losses, differences = zip(*map(str.split, rows))
    assert names == ("variable", "input", "graph")
    assert max(map(float, differences)) < 1e-6
    losses = np.array(losses, float)
    assert np.ptp(losses, axis=1).max() < 2e-6  # printed with six decimals
    # λ matters: without it the losses are others.
    constant = three_ways.by_a_variable(revgrad.schedules.Constant(0), 120)
    without = three_ways.train(constant, problems.moons(1), 120, seed=1)
    assert np.ptp(without[:, 0]) > 0.1 and np.abs(without[-1] - losses[:, 0]).max() > 1e-3


@pytest.mark.parametrize("style", STYLES)
def test_a_killed_training_run_goes_on_as_if_nothing_had_been(style, tmp_path):
    def run(name, *arguments, fails=False):
        """Run the example, assert that it succeeds or fails, and return what it prints."""
        program = EXAMPLES / "resume.py", style, f"{name}.checkpoint", f"--log={name}.log"
        done = python(*program, "--steps=60", *arguments, cwd=tmp_path, check=not fails)
        assert (done.returncode != 0) == fails
        return done.stdout + done.stderr

    run("whole")
    die_at = random.randrange(1, 59)
    run("killed", f"--die-at={die_at}", fails=True)
    printed = run("killed", "--steps=61", fails=True)
    assert "another LambdaScheduler: its total_steps is 60, here it is 61." in printed
    assert f"resumed: <LambdaScheduler step {die_at} of 60" in run("killed")
    whole, killed = ((tmp_path / f"{name}.log").read_text() for name in ("whole", "killed"))
    assert killed == whole, f"killed in step {die_at}"
    lams = [float(line.split()[1]) for line in whole.splitlines()]
    assert lams == [revgrad.schedules.Dann()(step / 60) for step in range(60)]
    checkpoint = tmp_path / "killed.checkpoint"
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: random.randrange(len(content))])
    assert "error: killed.checkpoint is not a whole checkpoint (" in run("killed", fails=True)
