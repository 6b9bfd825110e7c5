"""The training loop that the examples share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Optional, Sequence, Tuple

import numpy as np

from problems import Problem


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes
    ----------
    lam : float
        λ.
    reading : str
        "shallow" multiplies the domain loss by λ and reverses with 1; "deep" gives the domain
        loss weight 1 and reverses with λ.
    ramp : float
        If positive, λ increases from 0 as ``2 / (1 + exp(-ramp * p)) - 1``, where p is the
        completed fraction of the training.
    epochs : int
        The number of passes over the source.
    batch : int
        The number of samples of each domain in a step.
    average : float
        The fraction of the epochs, at the end, over which the parameters are averaged. Adversarial
        training circles around its equilibrium; the average is closer to it than the last point.
    holdout : float
        The fraction of the source that is held out. If positive, the parameters of the epoch with
        the highest accuracy on it are kept, instead of the average.
    stop_early : bool
        Stop when the best accuracy on the held-out source was reached before two thirds of the
        epochs, and after 30 epochs at least: the rule of the authors' code.
    """

    lam: float
    reading: str
    ramp: float
    epochs: int
    batch: int
    average: float = 0.0
    holdout: float = 0.0
    stop_early: bool = False


def fit(
    network: Any,
    problem: Problem,
    settings: Settings,
    seed: int,
    adversarial: bool = True,
    tick: Callable[..., Any] = lambda n=1: None,
    start: Optional[Sequence[np.ndarray]] = None,
    held_out: Optional[Tuple[Any, np.ndarray]] = None,
) -> None:
    """Train a network.

    Parameters
    ----------
    network : DomainAdversarialNetwork
        A compiled network; its parameters are reset.
    problem : Problem
        The data. The labels of the target are not used.
    settings : Settings
        How to train.
    seed : int
        The seed of the parameters and of the order of the samples.
    adversarial : bool, optional
        If False, the reversal has λ = 0: the domain classifier is trained without any effect on
        the features. This is the plain network.
    tick : callable, optional
        Called after each epoch, and with the number of those that are left if it stops early.
    start : sequence of numpy.ndarray, optional
        The parameters to start from, in place of new ones.
    held_out : (samples, labels), optional
        In place of a part of the source.
    """
    rng = np.random.RandomState(seed)
    network.reset(seed)
    if start is not None:
        network.set_parameters(start)
    xs, ys, xt = problem.xs, problem.ys, problem.xt
    if held_out is None:
        held = int(settings.holdout * xs.shape[0])
        order = rng.permutation(xs.shape[0])
        held_out = xs[order[:held]], ys[order[:held]]
        xs, ys = xs[order[held:]], ys[order[held:]]
    xh, yh = held_out
    steps = max(1, xs.shape[0] // settings.batch)
    kept, n_kept, best, until = None, 0, -1.0, 30
    for epoch in range(settings.epochs):
        source = np.array_split(rng.permutation(xs.shape[0]), steps)
        target = np.array_split(rng.permutation(xt.shape[0]), steps)
        for step, (i, j) in enumerate(zip(source, target)):
            lam = settings.lam
            if settings.ramp > 0:
                done = (epoch + step / steps) / settings.epochs
                lam *= 2 / (1 + np.exp(-settings.ramp * done)) - 1
            reversal, weight = (1.0, lam) if settings.reading == "shallow" else (lam, 1.0)
            network.lam.value = reversal if adversarial else 0.0
            network.train(xs[i], ys[i], xt[j], weight)
        if len(yh):
            accuracy = float(np.mean(network.predict(xh) == yh))
            if accuracy >= best:
                best, kept = accuracy, network.get_parameters()
                until = max(until, int(1.5 * epoch))
            elif settings.stop_early and epoch > until:
                tick(settings.epochs - epoch)
                break
        elif epoch >= (1 - settings.average) * settings.epochs:
            n_kept += 1
            now = network.get_parameters()
            kept = now if kept is None else [a + (b - a) / n_kept for a, b in zip(kept, now)]
        tick()
    if kept is not None:
        network.set_parameters(kept)


def accuracy(network: Any, problem: Problem) -> float:
    """Return the accuracy of a network on the test samples of the target."""
    return float(np.mean(network.predict(problem.test_x) == problem.test_y))
