"""Progress p in [0, 1], and the evaluation of one formula in Python, in NumPy and in the graph.

A formula is a function ``formula(x, xp, number)``, written with arithmetic and the namespace `xp`
(``tanh``, ``cos``, ``exp``, ``minimum``, ``maximum``, ``where``). It passes each of its numbers
through ``number``, which gives the number the dtype of `x` where the framework would not.
"""

import math
import numbers
import sys
from typing import Any, Callable, TypeVar, overload

import numpy as np

from revgrad._lambda import as_float, describe_value, is_real
from revgrad._registry import registry
from revgrad._tracers import not_rewritten
from revgrad.exceptions import UnsupportedTypeError
from revgrad.schedules._arguments import as_integer

Number = Callable[[float], Any]
Formula = Callable[[Any, Any, Number], Any]
X = TypeVar("X")

_NEVER_IN_GRAPH = (bool, str, bytes, type(None), list, tuple, dict, set, numbers.Number, np.generic)


@overload
def progress(step: float, total_steps: int) -> float: ...


@overload
def progress(step: X, total_steps: int) -> X: ...


def progress(step: Any, total_steps: int) -> Any:
    """Return the progress of a training run: ``step / total_steps``, clipped to [0, 1].

    Parameters
    ----------
    step : number, numpy.ndarray or in-graph value
        The number of steps done. A step may be a batch or an epoch.
    total_steps : int
        The number of steps of the training run, at least 1, counted in the same unit. No default:
        the horizon depends on the run.

    Returns
    -------
    float, numpy.ndarray or in-graph value
        Progress p: a float for a number, otherwise a value of the shape of `step`. It has the
        dtype of `step` if that is floating. For integers it is float64 in NumPy, and in the graph
        the dtype of a quotient of integers (Theano: ``floatX``).

    Raises
    ------
    ValueError
        If `total_steps` is not a positive integer, or `step` is nan or of another type. A nan in
        the graph is not detected: p is then nan.

    Examples
    --------
    >>> progress(250, 1000)
    0.25
    >>> progress(1001, 1000)
    1.0
    >>> import numpy as np
    >>> progress(np.arange(5), 4)
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    total: float = as_integer("progress: total_steps", total_steps)
    if is_real(step) and isinstance(step, numbers.Integral):
        return min(max(int(step), 0), total) / total  # exact, also where an int exceeds any float
    total = float(min(total, sys.float_info.max))
    return evaluate(lambda x, xp, number: clip(x / number(total), xp, number), step, "step")


def clip(p: Any, xp: Any, number: Number) -> Any:
    """Return `p` limited to [0, 1]; a nan stays nan."""
    return xp.minimum(xp.maximum(p, number(0.0)), number(1.0))


def finish(start: float, end: float, t: Any, value: Any, xp: Any, number: Number) -> Any:
    """Return the `value` of a curve from `start` to `end`: never past `end`, and `end` at t = 1."""
    value = (xp.minimum if end >= start else xp.maximum)(value, number(end))
    return xp.where(t >= number(1.0), number(end), value)


def lerp(start: float, end: float, t: Any, xp: Any, number: Number) -> Any:
    """Return the linear interpolation from `start` to `end` at t in [0, 1]."""
    return finish(start, end, t, number(start) + number(end - start) * t, xp, number)


def inverse_lerp(start: float, end: float, p: Any, xp: Any, number: Number) -> Any:
    """Return the fraction of the interval from `start` to `end` that lies before `p`, in [0, 1]."""
    return clip((p - number(start)) / number(end - start), xp, number)


def is_before(p: Any, boundary: float, number: Number) -> Any:
    """Return whether `p` is less than `boundary` by more than a rounding error.

    λ must jump at the same step everywhere, also where ``step / total_steps`` is rounded to
    float32, or computed as ``step * (1 / total_steps)``, as Theano rewrites it. A nan is before no
    boundary, so it reaches the last schedule, which returns nan.
    """
    return p < number(boundary * (1 - 1e-6))


@not_rewritten
def evaluate(formula: Formula, x: Any, name: str) -> Any:
    """Apply a formula to a number, an array or an in-graph value, which errors call `name`."""
    if isinstance(x, np.ndarray):
        return _on_array(formula, x, name)
    if is_real(x):
        value = as_float(x)
        if math.isnan(value):
            raise _invalid(name, x, "Check the code that computed it.")
        with np.errstate(over="ignore", under="ignore"):
            return float(formula(value, np, float))
    if isinstance(x, _NEVER_IN_GRAPH):
        raise _invalid(name, x, "Convert it with float() or numpy.asarray() first.")
    return _in_graph(formula, x, name)


def _on_array(formula: Formula, x: Any, name: str) -> Any:
    if x.dtype.kind not in "fiu":
        raise _invalid(name, x, f"Its dtype is {x.dtype}: cast it to a float dtype.")
    nan = np.isnan(x)
    if nan.any():
        where = tuple(int(i) for i in np.argwhere(nan)[0])
        raise _invalid(name, x, f"It is nan at index {where} of shape {x.shape}.")
    # In float64 or wider: a formula loses precision in float16, and NumPy 1 turns a 0-d float32
    # array into float64 anyway where it meets a Python float.
    wide = np.asarray(x, dtype=np.result_type(x.dtype, np.float64))
    with np.errstate(over="ignore", under="ignore"):
        result = formula(wide, np, float)
    return np.asarray(result, dtype=x.dtype if x.dtype.kind == "f" else np.float64)


def _in_graph(formula: Formula, x: Any, name: str) -> Any:
    try:
        backend = registry.by_type.get(type(x)) or registry.find(type(x))
    except UnsupportedTypeError as error:
        raise _invalid(name, x, "No backend claims its type.") from error
    dtype = str(getattr(x, "dtype", None))
    kind = dtype.lower()  # MindSpore writes Float32
    if "float" not in kind:
        if "int" not in kind:
            raise _invalid(name, x, f"Its dtype is {dtype}: cast it to a float dtype.")
        x = x / 1  # true division: the float dtype that the framework chooses for integers
    return formula(x, backend.xp, lambda value: backend.constant(value, x))


def _invalid(name: str, x: Any, advice: str) -> ValueError:
    return ValueError(
        f"{name} must be a real number, a NumPy array or an in-graph value, and not nan; got "
        f"{describe_value(x)}. {advice}"
    )
