"""Schedules of every kind, for the tests of the core and of the backends."""

import re

from revgrad.schedules import (
    Constant,
    Cosine,
    Dann,
    Delayed,
    Exponential,
    InverseDecay,
    Linear,
    Piecewise,
    Polynomial,
    Sequential,
)


def parabola(p):
    """A schedule of a user, written in arithmetic alone."""
    return 4 * p * (1 - p)


def label(schedule):
    """Return an id for a parametrised test: the repr without addresses, which differ each time."""
    return re.sub(r"<function (\w+) at \w+>", r"\1", repr(schedule))


EXAMPLES = [
    Constant(0.3),
    Dann(),
    Dann(gamma=3, low=0.1, high=0.7),
    Linear(0.1, 0.7),
    Linear(0.7, 0.1),
    Cosine(0.1, 0.7),
    Cosine(0.7, 0.1),
    Exponential(1, 0.01),
    Exponential(0.01, 1),
    Polynomial(0.1, 0.7, power=2.5),
    Polynomial(0.7, 0.1, power=0.3),
    InverseDecay(),
    Piecewise([(0.2, 0.1), (0.4, 1), (0.9, 0.3)]),
    Piecewise([(0.5, 0.7)]),
    Delayed(Dann(), until=0.2, hold=0.05),
    Sequential([Linear(0, 1), Constant(0.3), Dann()], boundaries=[0.3, 0.6]),
    Sequential([Delayed(Dann(), until=0.5), 2 * Cosine(1, 0)], boundaries=[0.7]),
    0.3 * Dann(),
]
OWN = [
    Delayed(parabola, until=0.2),
    Sequential([parabola, Linear(0, 1), parabola], boundaries=[0.3, 0.6]),
    Linear() * 0.5,
]
