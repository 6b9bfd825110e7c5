"""Schedules of every kind, for the tests of the core and of the backends."""

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
    Sequence,
)


def parabola(p):
    """A schedule of a user's own, written in arithmetic alone."""
    return 4 * p * (1 - p)


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
    Sequence([Linear(0, 1), Constant(0.3), Dann()], boundaries=[0.3, 0.6]),
    Sequence([Delayed(Dann(), until=0.5), 2 * Cosine(1, 0)], boundaries=[0.7]),
    0.3 * Dann(),
]
OWN = [
    Delayed(parabola, until=0.2),
    Sequence([parabola, Linear(0, 1), parabola], boundaries=[0.3, 0.6]),
    Linear() * 0.5,
]
