"""Validation of λ and of factors: what is accepted, in which form, and the words of every error."""

import math
import numbers
from typing import Any, Optional, Sequence

import numpy as np

from revgrad.exceptions import InvalidLambdaError, UnsupportedTypeError, describe_error

Shape = Optional[Sequence[Optional[int]]]
SWAPPED = " Are x and lam swapped? The call is reverse(x, lam)."
_NOT_NUMBERS = (
    (bool, "A bool is not a strength: write 1.0 or 0.0."),
    ((str, bytes), "It is text: convert it with float()."),
    (type(None), "Pass 0.0 to switch the reversal off."),
    # complex, Decimal
    (numbers.Number, "Pass a real number, for instance with float()."),
    (
        (list, tuple, dict, set, frozenset),
        "Pass an array that broadcasts to x for one value per sample.",
    ),
)
_CALLABLE = (
    "It is callable, so it looks like a schedule: call it with the progress p in [0, 1] and pass "
    "the λ that it returns, or give it to a revgrad.LambdaScheduler, which sets a "
    "revgrad.LambdaVariable at each step, and pass that variable."
)


def normalize_lambda(lam: Any) -> Any:
    """Validate λ and return it in the form that backends take.

    Parameters
    ----------
    lam : object
        What the user gave as λ.

    Returns
    -------
    float, numpy.ndarray or object
        A Python float for a real number, a 0-d array or a NumPy scalar; a float array for an
        array of real numbers; anything else (a `revgrad.LambdaVariable`, a value of some
        framework) as it is, for the backend to accept or to reject.

    Raises
    ------
    InvalidLambdaError
        If `lam` is a number, or an array holding one, that is negative, infinite, nan or not
        real; if it is a bool, a string, ``None``, a list, tuple, dict or set, a masked array; or
        if it is callable, as a schedule is.

    Examples
    --------
    >>> import numpy as np
    >>> normalize_lambda(np.float32(0.5))
    0.5
    >>> normalize_lambda(-1)
    Traceback (most recent call last):
      ...
    revgrad.InvalidLambdaError: λ must be a real, finite number >= 0; got -1 (int). \
The gradient is multiplied by -λ already: pass 1, not -1.
    """
    return _normalize(lam, signed=False)


def normalize_factor(factor: Any) -> Any:
    """Validate the factor of `revgrad.scale_gradient`: `normalize_lambda` with any sign.

    Parameters
    ----------
    factor : object
        What the user gave as the factor.

    Returns
    -------
    float, numpy.ndarray or object
        As for `normalize_lambda`.

    Raises
    ------
    InvalidLambdaError
        As for `normalize_lambda`; negative numbers are accepted.

    Examples
    --------
    >>> normalize_factor(-1)
    -1.0
    """
    return _normalize(factor, signed=True)


def lambda_as_float(lam: Any) -> float:
    """Return λ as a float, for what holds a single number.

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
    value = normalize_lambda(lam)
    if type(value) is not float:
        raise _invalid(lam, "Expected a scalar.", signed=False)
    return value


def is_real(value: Any) -> bool:
    """Return whether `value` is a real number of Python or NumPy, and not a bool."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def as_float(value: Any) -> float:
    """Return a real number as a float, an int that is too large for one as infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _normalize(value: Any, signed: bool) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return _normalize_array(value, signed)
    if is_real(value):
        return _normalize_number(value, signed)
    for kind, advice in _NOT_NUMBERS:
        if isinstance(value, kind):
            raise _invalid(value, advice, signed)
    # A LambdaScheduler, which this module must not import, says what to pass in its place.
    advice = getattr(type(value), "_advice_as_lambda", _CALLABLE if callable(value) else "")
    if advice:
        raise _invalid(value, advice, signed)
    return value


def _normalize_number(value: Any, signed: bool) -> float:
    try:
        number = as_float(value)
    except Exception as error:  # a third party's class of numbers
        raise _invalid(value, f"float() of it fails: {describe_error(error)}.", signed) from error
    if number < 0 and not signed:
        text = short_repr(value)
        advice = f": pass {text[1:]}, not {text}" if text.startswith("-") else ""
        raise _invalid(value, f"The gradient is multiplied by -λ already{advice}.", signed)
    if not -math.inf < number < math.inf:  # torch.compile traces no math.isfinite()
        raise _invalid(value, "Check the code that computed it.", signed)
    return number if signed else abs(number)  # -0.0 is the λ 0.0


def _normalize_array(value: Any, signed: bool) -> Any:
    if isinstance(value, np.ma.MaskedArray):
        raise _invalid(value, "It is masked: fill it with numbers, value.filled(0).", signed)
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise _invalid(value, f"Its dtype is {array.dtype}: cast it to a float dtype.", signed)
    if array.ndim == 0:
        return _normalize_number(array.item(), signed)
    bad = ~(np.isfinite(array) & (signed | (array >= 0)))
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        advice = f"It is at index {where} of an array of shape {array.shape}; {int(bad.sum())} of "
        raise _invalid(array[where], f"{advice}{array.size} elements are invalid.", signed)
    return array if array.dtype.kind == "f" else array.astype(float)


def check_lambda_shape(lam_shape: Shape, x_shape: Shape, signed: bool = False) -> None:
    """Reject a λ that does not broadcast to `x`, or would enlarge it (C16).

    Parameters
    ----------
    lam_shape, x_shape : sequence of int or None, or None
        The shapes; None stands for a length, or for a rank, that is not known yet.
    signed : bool, optional
        Whether it is the factor of `revgrad.scale_gradient`, for the words of the error.

    Raises
    ------
    InvalidLambdaError
        If λ has more dimensions than `x`, a length that is neither 1 nor that of `x`, or a
        length that is not known where that of `x` is 1.

    Examples
    --------
    >>> check_lambda_shape((32, 1), (32, 100))
    >>> check_lambda_shape((32,), (32, 100))
    Traceback (most recent call last):
      ...
    revgrad.InvalidLambdaError: λ of shape (32,) does not broadcast to x of shape \
(32, 100) without enlarging it. Give it the shape of x with length 1 wherever it does not vary: \
one value per sample is lam.reshape(-1, 1).
    """
    if lam_shape is None or x_shape is None:
        return
    if len(lam_shape) <= len(x_shape) and all(
        ours == 1 or theirs == ours or theirs is None or (ours is None and theirs != 1)
        for ours, theirs in zip(reversed(lam_shape), reversed(x_shape))
    ):
        return
    per_sample = ", ".join(["-1"] + ["1"] * (len(x_shape) - 1))
    raise InvalidLambdaError(
        f"{_symbol(signed)} of shape {tuple(lam_shape)} does not broadcast to x of shape "
        f"{tuple(x_shape)} without enlarging it. Give it the shape of x with length 1 wherever it "
        f"does not vary: one value per sample is {'factor' if signed else 'lam'}"
        f".reshape({per_sample}).{'' if x_shape else SWAPPED}"
    )


def cast_lambda(lam: Any, dtype: Any) -> Any:
    """Cast a number or an array to the dtype of `x` (C3).

    Parameters
    ----------
    lam : float or numpy.ndarray
        λ as `normalize_lambda` returns it, or a factor.
    dtype : numpy.dtype
        A real floating dtype.

    Returns
    -------
    numpy.ndarray
        A new array of the shape of `lam`.

    Raises
    ------
    InvalidLambdaError
        If an element is too large for the dtype.

    Examples
    --------
    >>> cast_lambda(0.5, "float32")
    array(0.5, dtype=float32)
    >>> cast_lambda(1e5, "float16")
    Traceback (most recent call last):
      ...
    revgrad.InvalidLambdaError: 100000.0 is too large a λ or factor for x of dtype \
float16: it would become infinite.
    """
    with np.errstate(over="ignore"):
        cast = np.array(lam).astype(dtype)
    if not np.isfinite(cast).all():
        raise too_large_error(lam, np.dtype(dtype))
    return cast


def too_large_error(lam: Any, dtype: Any) -> InvalidLambdaError:
    """Build the error for a λ or factor that the dtype of `x` cannot hold.

    Parameters
    ----------
    lam : float or array
        λ or the factor.
    dtype : object
        The dtype of `x`.

    Returns
    -------
    InvalidLambdaError
        To be raised by the caller.
    """
    values = np.ravel(np.asarray(lam, float))
    return InvalidLambdaError(
        f"{float(values[np.argmax(np.abs(values))])} is too large a λ or factor for x of dtype "
        f"{dtype}: it would become infinite."
    )


def no_gradient_error(x: Any, dtype: Any) -> UnsupportedTypeError:
    """Build the error for an `x` whose dtype carries no gradient (C17).

    Parameters
    ----------
    x : object
        What was given.
    dtype : object
        Its dtype.

    Returns
    -------
    UnsupportedTypeError
        To be raised by the caller.
    """
    return UnsupportedTypeError(
        f"x is a {type(x).__name__} of dtype {dtype}, which carries no gradient. Cast it to a "
        "floating dtype first, or use the floating value that it was computed from."
    )


def unknown_lambda_error(lam: Any, known: str, signed: bool = False) -> InvalidLambdaError:
    """Build the error for a λ that the framework does not know.

    Parameters
    ----------
    lam : object
        What was given as λ.
    known : str
        What the backend accepts besides a number, an array and a `revgrad.LambdaVariable`.
    signed : bool, optional
        Whether it is the factor of `revgrad.scale_gradient`.

    Returns
    -------
    InvalidLambdaError
        To be raised by the caller.
    """
    kind = type(lam)
    others = f"a LambdaVariable, or {known}" if known else "or a LambdaVariable"
    return InvalidLambdaError(
        f"{_must_be(signed)}, a float array that broadcasts to x, {others}; got an object of type "
        f"{kind.__module__}.{kind.__qualname__}."
    )


def learnable_lambda_error() -> InvalidLambdaError:
    """Build the error for a λ or factor that asks for a gradient (C5).

    Returns
    -------
    InvalidLambdaError
        To be raised by the caller.
    """
    return InvalidLambdaError(
        "The λ or factor asks for a gradient, and it has none: nothing would ever train it. "
        "Detach it from the graph, or change it with a revgrad.LambdaScheduler."
    )


def not_real_error(dtype: Any, signed: bool = False) -> InvalidLambdaError:
    """Build the error for a framework value as λ whose dtype is not real.

    Parameters
    ----------
    dtype : object
        Its dtype.
    signed : bool, optional
        Whether it is the factor of `revgrad.scale_gradient`.

    Returns
    -------
    InvalidLambdaError
        To be raised by the caller.
    """
    return InvalidLambdaError(
        f"{_symbol(signed)} must be real; got a value of dtype {dtype}. Cast it to a float dtype."
    )


def describe_value(value: Any) -> str:
    """Return the repr of a value, shortened where it is long, and the name of its type.

    Parameters
    ----------
    value : object
        What an error has to show.

    Returns
    -------
    str
        For instance ``"-1 (int)"``.
    """
    return f"{short_repr(value)} ({type(value).__name__})"


def short_repr(value: Any) -> str:
    """Return the repr of any object, shortened where it is long.

    Parameters
    ----------
    value : object
        What an error has to show.

    Returns
    -------
    str
        At most 60 letters.
    """
    try:
        text = repr(value)
    except ValueError:  # Python 3.11 and newer write no int of more than 4300 digits
        return "a huge number"
    except Exception:  # a repr of a third party that fails, or one that is nested too deep
        return "an object without a repr"
    return text if len(text) <= 60 else text[:57] + "..."


def _symbol(signed: bool) -> str:
    return "The factor" if signed else "λ"


def _must_be(signed: bool) -> str:
    return f"{_symbol(signed)} must be a real, finite number{'' if signed else ' >= 0'}"


def _invalid(value: Any, advice: str, signed: bool) -> InvalidLambdaError:
    return InvalidLambdaError(f"{_must_be(signed)}; got {describe_value(value)}. {advice}")
