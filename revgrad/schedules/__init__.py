"""Schedules: pure maps from progress p in [0, 1] to λ.

Each schedule is a frozen dataclass: it can be compared, hashed, pickled and converted to a plain
dict. It is called with progress p, clipped to [0, 1]: a number gives a float, a NumPy array an
array, and an in-graph value an in-graph value, all by the same formula.

Wherever a schedule takes another one, any callable p -> λ works. In the graph it is called with an
in-graph p.

>>> import numpy as np
>>> import revgrad
>>> ramp = revgrad.schedules.Dann()
>>> round(ramp(0.5), 6)
0.986614
>>> ramp(np.array([0.0, 0.5])).round(6)
array([0.      , 0.986614])
>>> revgrad.schedules.Delayed(0.5 * ramp, until=0.2)
Delayed(schedule=Scaled(schedule=Dann(gamma=10.0, low=0.0, high=1.0), scale=0.5), until=0.2, \
hold=0.0)
"""

from revgrad._names import set_modules
from revgrad.schedules._base import KINDS, Scaled, Schedule, from_dict
from revgrad.schedules._joins import Constant, Delayed, Piecewise, Sequential
from revgrad.schedules._progress import progress
from revgrad.schedules._ramps import Cosine, Dann, Exponential, InverseDecay, Linear, Polynomial

__all__ = [
    "Constant",
    "Cosine",
    "Dann",
    "Delayed",
    "Exponential",
    "InverseDecay",
    "Linear",
    "Piecewise",
    "Polynomial",
    "Scaled",
    "Schedule",
    "Sequential",
    "from_dict",
    "progress",
]
set_modules(globals())
KINDS.update({kind.__name__: kind for kind in Schedule.__subclasses__()})
