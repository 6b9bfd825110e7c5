"""The judge of λ: one place that says what a λ is, before any framework sees it (C8)."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np

from revgrad.exceptions import InvalidLambdaError

_NOT_A_NUMBER = {
    bool: "a bool is not a strength: write 1.0 or 0.0",
    str: "it is text: convert it with float()",
    bytes: "it is text: convert it with float()",
    type(None): "pass 0.0 to switch the reversal off",
}


def normalize_lambda(lam: Any) -> Any:
    """Return `lam` as the backends take it, or refuse it.

    `revgrad.reverse` has judged λ before a backend sees it. A backend calls this itself only
    where its native form (an Op, a layer) is used without `revgrad.reverse`.

    Parameters
    ----------
    lam : object
        What the user gave as λ.

    Returns
    -------
    float, numpy.ndarray or object
        A Python float for a real number, a 0-d array or a NumPy scalar; a float array for an
        array of real numbers; anything else (a `revgrad.LambdaVariable`, a value of some
        framework) as it is, for the backend to take or to refuse.

    Raises
    ------
    InvalidLambdaError
        If `lam` is a number, or an array holding one, that is negative, infinite, nan or not
        real; if it is a bool, a string, ``None``, a list, tuple, dict or set; or if it can be
        called, as a schedule can.

    Examples
    --------
    >>> import numpy as np
    >>> normalize_lambda(np.float32(0.5))
    0.5
    >>> normalize_lambda(-1)
    Traceback (most recent call last):
      ...
    revgrad.exceptions.InvalidLambdaError: λ must be a real, finite number >= 0; got -1 (int). \
The backward factor is -λ already: pass 1, not -1.
    """
    if isinstance(lam, (np.ndarray, np.generic)):
        return _judge_array(lam)
    if isinstance(lam, numbers.Real) and not isinstance(lam, bool):
        return _judge_real(lam)
    for kind, advice in _NOT_A_NUMBER.items():
        if isinstance(lam, kind):
            raise _invalid(lam, advice[0].upper() + advice[1:] + ".")
    if isinstance(lam, numbers.Number):  # complex, Decimal
        raise _invalid(lam, "Pass a real number: float(lam).")
    if isinstance(lam, (list, tuple, dict, set, frozenset)):
        raise _invalid(lam, "For one λ per sample pass an array that broadcasts to x.")
    if callable(lam):
        raise _invalid(
            lam,
            "It can be called, so it looks like a schedule: call it with the progress p in [0, 1] "
            "and pass the λ it returns, or give it to a revgrad.LambdaScheduler, which sets a "
            "revgrad.LambdaVariable at each step, and pass that variable.",
        )
    return lam


def lambda_as_float(lam: Any) -> float:
    """Return `lam` as a float if it is one valid number, as a `LambdaVariable` holds it.

    Parameters
    ----------
    lam : object
        A real number, NumPy scalar or 0-d array.

    Returns
    -------
    float
        The value of `lam`.

    Raises
    ------
    InvalidLambdaError
        If `lam` is not a single real, finite number that is at least 0.
    """
    judged = normalize_lambda(lam)
    if type(judged) is not float:
        raise _invalid(lam, "One single number is needed here.")
    return judged


def _judge_real(lam: Any) -> float:
    try:
        value = float(lam)
    except OverflowError:  # an int too large for a float
        value = math.inf
    if value < 0:
        text = _cut_repr(lam)
        raise _invalid(
            lam, f"The backward factor is -λ already: pass {text.lstrip('-')}, not {text}."
        )
    if not value < math.inf:  # nan too
        raise _invalid(lam, "Look at what computed it.")
    return abs(value)  # -0.0 is the λ 0.0


def _judge_array(lam: Any) -> Any:
    array = np.asarray(lam)
    if array.dtype.kind not in "fiu":
        raise _invalid(lam, f"Its dtype is {array.dtype}: cast it to a float dtype.")
    if array.ndim == 0:
        return _judge_real(array.item())
    bad = ~(np.isfinite(array) & (array >= 0))
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise _invalid(
            array[where],
            f"It stands at index {where} of an array of shape {array.shape}; "
            f"{int(bad.sum())} of {array.size} elements are invalid.",
        )
    return array if array.dtype.kind == "f" else array.astype(float)


def describe_value(value: Any) -> str:
    """Return the repr of a value, cut where it is long, and the name of its type.

    Parameters
    ----------
    value : object
        What an error has to show.

    Returns
    -------
    str
        For instance ``"-1 (int)"``.
    """
    return f"{_cut_repr(value)} ({type(value).__name__})"


def _cut_repr(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python 3.11 and newer write no int of more than 4300 digits
        return "a huge number"
    return text if len(text) <= 60 else text[:57] + "..."


def _invalid(lam: Any, advice: str) -> InvalidLambdaError:
    return InvalidLambdaError(
        f"λ must be a real, finite number >= 0; got {describe_value(lam)}. {advice}"
    )
