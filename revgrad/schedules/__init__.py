"""Schedules: pure maps from progress p to λ.

Each is a frozen dataclass: comparable, hashable, picklable, and a plain dict if you like. Each maps
progress p in [0, 1] to λ, and is called with p: a number gives a float, a NumPy array an array,
an in-graph value an in-graph value, all by the same formula. p is clamped to [0, 1].

Wherever a schedule takes another one, any callable p -> λ of your own will do. In the graph it is
called with an in-graph p.

>>> import numpy as np
>>> import revgrad
>>> ramp = revgrad.schedules.Dann()
>>> round(ramp(0.5), 6)
0.986614
>>> ramp(np.array([0.0, 0.5])).round(6)
array([0.      , 0.986614])
>>> revgrad.schedules.Delayed(0.5 * ramp, until=0.2)
Delayed(schedule=Scaled(schedule=Dann(gamma=10.0, low=0.0, high=1.0), factor=0.5), until=0.2, \
hold=0.0)
"""

from __future__ import annotations

from revgrad.schedules._joins import Delayed, Piecewise, Sequence
from revgrad.schedules._progress import progress
from revgrad.schedules._ramps import Constant, Cosine, Dann, Exponential, InverseDecay, Linear, Polynomial
from revgrad.schedules._base import Scaled, Schedule, from_dict
from revgrad.schedules._scheduler import LambdaScheduler

__all__ = [
    "Constant",
    "Cosine",
    "Dann",
    "Delayed",
    "Exponential",
    "InverseDecay",
    "LambdaScheduler",
    "Linear",
    "Piecewise",
    "Polynomial",
    "Scaled",
    "Schedule",
    "Sequence",
    "from_dict",
    "progress",
]
