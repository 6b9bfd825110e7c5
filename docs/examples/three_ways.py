"""One λ schedule, driven in three ways: the losses are the same.

The network of ``dann_theano.py`` is trained on the inter-twinning moons with the schedule of the
papers

- by a `revgrad.LambdaScheduler` that drives a `revgrad.LambdaVariable`,
- with λ as an input of the compiled function,
- with λ computed in the graph, from a step counter in ``updates``.

Run ``python docs/examples/three_ways.py``.
"""

from __future__ import annotations

import argparse
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from dann_theano import DomainAdversarialNetwork

import numpy as np
import theano
import theano.tensor as T

import problems
import report
import revgrad
from revgrad.schedules import progress

Way = Tuple[Any, Callable[[int, Any], Any]]


def by_a_variable(schedule: Any, total_steps: int) -> Way:
    """Return a network and its step; a scheduler drives its `LambdaVariable`."""
    network = DomainAdversarialNetwork(2, 2, learning_rate=0.01)
    scheduler = revgrad.LambdaScheduler(network.lam, schedule, total_steps)

    def step(number: int, problem: Any) -> Any:
        losses = network.train(problem.xs, problem.ys, problem.xt)
        scheduler.step()
        return losses

    return network, step


def by_an_input(schedule: Any, total_steps: int) -> Way:
    """Return a network and its step; λ is an input of the compiled function."""
    lam = T.scalar("lam")
    network = DomainAdversarialNetwork(2, 2, learning_rate=0.01, lam=lam, inputs=[lam])

    def step(number: int, problem: Any) -> Any:
        strength = schedule(progress(number, total_steps))
        return network.train(problem.xs, problem.ys, problem.xt, strength)

    return network, step


def in_the_graph(schedule: Any, total_steps: int) -> Way:
    """Return a network and its step; λ is computed in the graph, from a counter."""
    counter = theano.shared(np.int64(0), "counter")
    network = DomainAdversarialNetwork(
        2,
        2,
        learning_rate=0.01,
        lam=schedule(progress(counter, total_steps)),
        updates=[(counter, counter + 1)],
    )
    return network, lambda number, problem: network.train(problem.xs, problem.ys, problem.xt)


WAYS = {"variable": by_a_variable, "input": by_an_input, "graph": in_the_graph}


def train(way: Way, problem: Any, total_steps: int, seed: int) -> np.ndarray:
    """Train one network from scratch.

    Parameters
    ----------
    way : tuple
        A network and its step, as a function in `WAYS` returns them.
    problem : Problem
        Each batch has all of its samples.
    total_steps : int
        The number of steps.
    seed : int
        The seed of the parameters.

    Returns
    -------
    numpy.ndarray
        The label loss and the domain loss of each step, in two columns.
    """
    network, step = way
    network.reset(seed)
    losses: List[Any] = [step(number, problem) for number in range(total_steps)]
    return np.array(losses, dtype=float)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=300, help="steps of the training run")
    parser.add_argument("--seed", type=int, default=0, help="of the data and the parameters")
    parser.add_argument("--figure", metavar="FILE", help="PNG file of λ and the curves to write")
    args = parser.parse_args(arguments)
    problem = problems.moons(args.seed, dtype=theano.config.floatX)
    schedule = revgrad.schedules.Dann(gamma=10)
    curves: Dict[str, np.ndarray] = {
        name: train(make(schedule, args.steps), problem, args.steps, args.seed)
        for name, make in WAYS.items()
    }
    print(f"{schedule}, {args.steps} steps, {theano.config.floatX}")
    print("lambda by   label loss   domain loss   largest difference from the first, all steps")
    for name, losses in curves.items():
        difference = np.abs(losses - curves["variable"]).max()
        print(f"{name:10s} {losses[-1, 0]:11.6f} {losses[-1, 1]:13.6f}   {difference:.1e}")
    if args.figure:
        lam = [schedule(step / args.steps) for step in range(args.steps)]
        report.curves_figure(args.figure, lam, curves)
        print(f"\nfigure: {args.figure}")


if __name__ == "__main__":
    main()
