"""Progress p in [0, 1], and one formula for Python, NumPy and the graph.

A formula is a function ``formula(x, xp, number)`` written over the namespace `xp` (``tanh``,
``cos``, ``exp``, ``minimum``, ``maximum``, ``where``) and arithmetic. Each number in it goes
through ``number``, which gives it the dtype of `x` where the framework would not.
"""

from __future__ import annotations

import math
import numbers
from typing import Any, Callable

import numpy as np

from revgrad.schedules._arguments import as_integer
from revgrad._lambda import describe_value
from revgrad._registry import registry
from revgrad._tracers import not_rewritten
from revgrad.exceptions import UnsupportedTypeError

Number = Callable[[float], Any]
Formula = Callable[[Any, Any, Number], Any]

_NO_VALUE = (bool, str, bytes, type(None), list, tuple, dict, set, numbers.Number, np.generic)


def progress(step: Any, total_steps: int) -> Any:
    """Return how far a training run has come: ``step / total_steps``, clamped to [0, 1].

    Parameters
    ----------
    step : number, numpy.ndarray or in-graph value
        How many steps are done. A step may be a batch or an epoch, as you like.
    total_steps : int
        How many steps there will be, at least 1. It has no default: a ramp over some fixed number
        of steps is right for one training run only.

    Returns
    -------
    float, numpy.ndarray or in-graph value
        Progress p: a float for a number, else of the shape of `step`. It has the dtype of `step`
        if that is floating. For integers it is float64 in NumPy, and in the graph what the
        framework makes of a quotient of integers (Theano: ``floatX``).

    Raises
    ------
    ValueError
        If `total_steps` is not a positive integer, or `step` is nan or none of these values. In
        the graph a nan cannot be seen, and goes through.

    Examples
    --------
    >>> progress(250, 1000)
    0.25
    >>> progress(1001, 1000)
    1.0
    >>> progress(np.arange(5), 4)
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    total = as_integer("progress", "total_steps", total_steps)

    def formula(step: Any, xp: Any, number: Number) -> Any:
        return clamp(step / number(float(total)), xp, number)

    return evaluate(formula, step, "step")


def clamp(p: Any, xp: Any, number: Number) -> Any:
    """Return `p`, not below 0 and not above 1; a nan stays nan."""
    return xp.minimum(xp.maximum(p, number(0.0)), number(1.0))


def bounded(start: float, end: float, value: Any, xp: Any, number: Number) -> Any:
    """Return `value`, not past `end`: rounding may carry it there, never past `start`."""
    return (xp.minimum if end >= start else xp.maximum)(value, number(end))


def between(start: float, end: float, t: Any, xp: Any, number: Number) -> Any:
    """Return ``start + (end - start) * t`` for t in [0, 1], in their range."""
    value = number(start) + number(end - start) * t
    return bounded(start, end, value, xp, number)


def from_to(start: float, end: float, t: Any, xp: Any, number: Number) -> Any:
    """Return what `between` does, and `end` itself at t = 1, which the sum may miss."""
    line = between(start, end, t, xp, number)
    return xp.where(t >= number(1.0), number(end), line)


def before(p: Any, begin: float, number: Number) -> Any:
    """Return whether `p` lies before `begin` by more than rounding.

    A jump of λ must fall on the same step everywhere, also where ``step / total_steps`` is rounded
    to float32, or computed as ``step * (1 / total_steps)``, which Theano makes of it. A nan is not
    before anything, so it gets what follows, and that keeps it.
    """
    return p < number(begin * (1 - 1e-6))


def within(p: Any, begin: float, end: float, xp: Any, number: Number) -> Any:
    """Return how far `p` has come from `begin` to `end`, clamped to [0, 1]."""
    return clamp((p - number(begin)) / number(end - begin), xp, number)


@not_rewritten
def evaluate(formula: Formula, x: Any, name: str) -> Any:
    """Apply a formula to a number, an array or an in-graph value.

    Parameters
    ----------
    formula : callable
        Maps ``(x, xp, number)`` to a result of the shape of `x`.
    x : number, numpy.ndarray or in-graph value
        What it is applied to.
    name : str
        What the errors call `x`.

    Returns
    -------
    float, numpy.ndarray or in-graph value
        A float for a number; an array of the shape of an array, of its dtype if that is floating
        and of float64 otherwise; an in-graph value of the floating dtype of `x`.

    Raises
    ------
    ValueError
        If `x` is none of these values, not real, or nan.
    """
    if isinstance(x, np.ndarray):
        return _on_array(formula, x, name)
    if isinstance(x, numbers.Real) and not isinstance(x, bool):
        return _on_number(formula, x, name)
    if isinstance(x, _NO_VALUE):
        raise _invalid(name, x, "Convert it with float() or numpy.asarray() first.")
    return _in_graph(formula, x, name)


def _on_number(formula: Formula, x: Any, name: str) -> float:
    try:
        value = float(x)
    except OverflowError:  # an int too large for a float
        value = math.inf if x > 0 else -math.inf
    if math.isnan(value):
        raise _invalid(name, x, "Look at what computed it.")
    with np.errstate(over="ignore", under="ignore"):
        return float(formula(value, np, float))


def _on_array(formula: Formula, x: Any, name: str) -> Any:
    if x.dtype.kind not in "fiu":
        raise _invalid(name, x, f"Its dtype is {x.dtype}: cast it to a float dtype.")
    nan = np.isnan(x)
    if nan.any():
        where = tuple(int(i) for i in np.argwhere(nan)[0])
        raise _invalid(name, x, f"A nan stands at index {where} of its shape {x.shape}.")
    # In float64 at least: half a precision would lose what the formulas keep, and NumPy 1 makes
    # float64 of a float32 of no dimensions that meets a Python float.
    wide = np.asarray(x, dtype=np.result_type(x.dtype, np.float64))
    with np.errstate(over="ignore", under="ignore"):
        result = formula(wide, np, float)
    return np.asarray(result, dtype=x.dtype if x.dtype.kind == "f" else np.float64)


def _in_graph(formula: Formula, x: Any, name: str) -> Any:
    kind = type(x)
    try:
        backend = registry.by_type.get(kind)
        if backend is None:
            backend = registry.find(kind)
    except UnsupportedTypeError as error:
        raise _invalid(name, x, "No backend claims its type.") from error
    dtype = str(getattr(x, "dtype", None))
    if "float" not in dtype:
        if "int" not in dtype:
            raise _invalid(name, x, f"Its dtype is {dtype}: cast it to a float dtype.")
        x = x / 1  # a true division: whatever float the framework makes of integers
    return formula(x, backend.xp, lambda value: backend.constant(value, x))


def _invalid(name: str, x: Any, advice: str) -> ValueError:
    return ValueError(
        f"{name} must be a real number, a NumPy array or an in-graph value, and not nan; got "
        f"{describe_value(x)}. {advice}"
    )
