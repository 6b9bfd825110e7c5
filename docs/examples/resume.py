"""Train with a λ schedule, save a checkpoint after each step, and resume after a crash.

Run it, kill it at any time, and run it again: it resumes at the interrupted step, and the losses
are the same as without the interruption::

    python docs/examples/resume.py theano moons.checkpoint --log moons.log --die-at 120
    python docs/examples/resume.py theano moons.checkpoint --log moons.log

The log has a line for each step: its number, λ, the label loss and the domain loss.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
from typing import Optional, Sequence

import revgrad_theano.compat  # noqa: F401  before Theano, to run on a current Python

import numpy as np
import theano

import checkpoints
import problems
import revgrad


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("style", choices=["theano", "lasagne"], help="which network")
    parser.add_argument("checkpoint", help="file to save to, and to resume from if it exists")
    parser.add_argument("--log", default="training.log", help="file with a line for each step")
    parser.add_argument("--steps", type=int, default=300, help="steps of the training run")
    parser.add_argument("--die-at", type=int, metavar="N", help="kill the process in step N")
    args = parser.parse_args(arguments)

    module = importlib.import_module(f"dann_{args.style}")
    network = module.DomainAdversarialNetwork(2, 2, learning_rate=0.01)
    problem = problems.moons(0, dtype=theano.config.floatX)
    schedule = revgrad.schedules.Dann(gamma=10)
    scheduler = revgrad.LambdaScheduler(network.lam, schedule, args.steps)
    rng = np.random.RandomState(0)
    network.reset(0)
    if os.path.exists(args.checkpoint):
        checkpoint = checkpoints.load(args.checkpoint)
        scheduler.load_state_dict(checkpoint["scheduler"])  # first: it rejects another schedule
        network.set_state(checkpoint["network"])
        rng.set_state(checkpoint["rng"])
        print(f"resumed: {scheduler}")
    cut(args.log, scheduler.steps)

    while scheduler.steps < args.steps:
        source, target = (rng.choice(len(x), 30) for x in (problem.xs, problem.xt))
        lam = network.lam.value
        losses = network.train(problem.xs[source], problem.ys[source], problem.xt[target])
        with open(args.log, "a") as log:
            print(scheduler.steps, repr(lam), *(repr(float(x)) for x in losses), file=log)
        if scheduler.steps == args.die_at:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))  # Windows: the other
        scheduler.step()  # before saving: the checkpoint records this step as done
        checkpoints.save(
            args.checkpoint,
            {
                "network": network.get_state(),
                "scheduler": scheduler.state_dict(),
                "rng": rng.get_state(),
            },
        )
    print(f"done: {scheduler}")


def cut(log: str, steps: int) -> None:
    """Remove the lines of steps that the checkpoint does not have: they are done again."""
    if os.path.exists(log):
        with open(log) as file:
            lines = file.readlines()[:steps]
        with open(log + ".new", "w") as file:
            file.writelines(lines)
        os.replace(log + ".new", log)


if __name__ == "__main__":
    main()
