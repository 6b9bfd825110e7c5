"""What a backend author writes against: `BackendSpec`, `Backend` and a few helpers."""

from __future__ import annotations

import abc
import re
from dataclasses import dataclass
from typing import Any, Callable, FrozenSet, Optional, Sequence, Tuple

import numpy as np

from revgrad._lambda import normalize_lambda
from revgrad.exceptions import InvalidLambdaError, UnsupportedTypeError

__all__ = [
    "CONTRACT",
    "Backend",
    "BackendSpec",
    "cast_lambda",
    "check_lambda_shape",
    "normalize_lambda",
    "no_gradient_error",
    "residual_form",
    "unknown_lambda_error",
]

CONTRACT = 1
"""The version of the contract that this core holds backends to."""

_REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class BackendSpec:
    """The light record by which a plugin announces a backend.

    It holds strings only, so that announcing a backend imports no framework. A spec is checked
    when it is offered, not when it is made: one bad record must not take its neighbours along.

    Parameters
    ----------
    name : str
        The name of the backend, as in ``reverse(x, lam, backend=name)``.
    claims : tuple of str
        ``"module:qualname"`` of each public class whose instances the backend handles,
        subclasses included. The module is never imported, only looked up.
    factory : str
        ``"module:qualname"`` of a callable without arguments that returns the `Backend`. It is
        imported on first use.
    requires : str, optional
        The framework's requirement as in a requirements file, shown by errors.
    harness : str, optional
        ``"module:qualname"`` of the `revgrad.testing.Harness` that lets the checks run.
    contract : int, optional
        The version of the contract that the backend was written against.

    Examples
    --------
    >>> BackendSpec(
    ...     name="mylib",
    ...     claims=("mylib:Tensor",),
    ...     factory="revgrad_mylib.backend:MylibBackend",
    ...     requires="mylib>=2",
    ... ).name
    'mylib'
    """

    name: str
    claims: Tuple[str, ...]
    factory: str
    requires: str = ""
    harness: str = ""
    contract: int = CONTRACT

    def problems(self) -> Tuple[str, ...]:
        """Say what is wrong with this record.

        Returns
        -------
        tuple of str
            One sentence for each problem; empty for a sound record.
        """
        found = []
        if not (isinstance(self.name, str) and re.fullmatch(r"[\w.-]+", self.name)):
            found.append(f"name must be a word without spaces; got {self.name!r}")
        if not isinstance(self.claims, tuple) or not self.claims:
            found.append(f"claims must be a tuple of 'module:qualname'; got {self.claims!r}")
        else:
            for claim in self.claims:
                if not _is_reference(claim):
                    found.append(f"a claim must read 'module:qualname'; got {claim!r}")
        if not _is_reference(self.factory):
            found.append(f"factory must read 'module:qualname'; got {self.factory!r}")
        if not isinstance(self.requires, str):
            found.append(f"requires must be a string; got {self.requires!r}")
        if self.harness != "" and not _is_reference(self.harness):
            found.append(f"harness must read 'module:qualname'; got {self.harness!r}")
        if self.contract != CONTRACT:
            found.append(
                f"it is written against contract {self.contract!r}, and this revgrad holds "
                f"contract {CONTRACT}: upgrade whichever of the two is older"
            )
        return tuple(found)


def _is_reference(text: Any) -> bool:
    return isinstance(text, str) and _REFERENCE.fullmatch(text) is not None


class Backend(abc.ABC):
    """Reverses for one framework.

    One instance serves a whole process and all of its threads. Only `reverse` must be written;
    the other methods add what the framework can do.
    """

    capabilities: FrozenSet[str] = frozenset()
    """Names of the optional parts of the contract that the framework supports.

    Those of `revgrad.testing.CAPABILITIES`; what is declared is checked.
    """

    @abc.abstractmethod
    def reverse(self, x: Any, lam: Any) -> Any:
        """Return `x` unchanged, such that the gradient flowing back through it becomes -λ times it.

        Parameters
        ----------
        x : object
            An instance of a claimed class; of any class, where the user named the backend.
        lam : float, numpy.ndarray, LambdaVariable or object
            λ as `normalize_lambda` returns it: a float, a float array, a `revgrad.LambdaVariable`
            (its native cell is ``lam.cell(self)``), or an object that the core does not know. The
            backend takes that object as an in-graph λ or raises `unknown_lambda_error`.

        Returns
        -------
        object
            The framework's value, equal to `x` bit for bit.

        Raises
        ------
        UnsupportedTypeError
            If `x` has a dtype that carries no gradient; see `no_gradient_error`.
        InvalidLambdaError
            If `lam` is an object that the framework does not know.
        """

    def new_cell(self, value: float) -> Any:
        """Return a native cell that holds `value`, for a `revgrad.LambdaVariable`.

        A cell is whatever a compiled program reads anew at each run, for instance a shared
        variable. A framework that has none keeps this method as it is.

        Parameters
        ----------
        value : float
            The value at first.

        Returns
        -------
        object
            The cell, as ``lam.cell(self)`` returns it.

        Raises
        ------
        InvalidLambdaError
            If the framework has no such cell: λ would be frozen silently.
        """
        raise InvalidLambdaError(
            f"{type(self).__name__} takes no LambdaVariable: its framework has no cell that a "
            "compiled program reads anew at each run. Pass lam.value, as an argument of the "
            "function that is compiled, so that it is not frozen."
        )

    def set_cell(self, cell: Any, value: float) -> None:
        """Store `value` in a cell that `new_cell` made.

        Parameters
        ----------
        cell : object
            The cell.
        value : float
            The new value of λ.
        """
        raise NotImplementedError(f"{type(self).__name__} makes cells but has no set_cell()")

    @property
    def xp(self) -> Any:
        """The namespace for in-graph schedules.

        It has ``tanh``, ``cos``, ``exp``, ``minimum``, ``maximum`` and ``where``. The framework's
        values support arithmetic and comparison with each other, and have a ``dtype``.
        """
        raise NotImplementedError(f"{type(self).__name__} offers no namespace for schedules")

    def constant(self, value: float, like: Any) -> Any:
        """Return a number as a constant of the dtype of `like`, for in-graph schedules.

        Kept as it is by a framework in which a Python float takes the dtype of the array that it
        meets, and loses nothing on the way.

        Parameters
        ----------
        value : float
            The number.
        like : object
            The framework's value that it will meet, of floating dtype.

        Returns
        -------
        object
            `value` itself, unless the backend says otherwise.
        """
        return value


def residual_form(x: Any, lam: Any, stop_gradient: Callable[[Any], Any], xp: Any) -> Any:
    """Reverse with nothing but a ``stop_gradient``.

    Computes :math:`s = \\mathrm{stop}(x)`, :math:`r = x - s` and :math:`y = s - \\lambda r`. The
    residual `r` is zero and its derivative is one, so `y` is `x` bit for bit and its derivative
    is -λ, in every order and in every mode of differentiation that the framework has. Where
    an element of `x` is not finite, `r` would be nan: it is replaced by zero there, and such an
    element passes no gradient on.

    Parameters
    ----------
    x : array of the framework
        Any shape, floating dtype.
    lam : float or array of the framework
        λ, already of the dtype of `x`, broadcasting to its shape.
    stop_gradient : callable
        Maps an array to the same values as a constant of differentiation: no gradient arrives at
        it, not a gradient of zero either, which would make a -0.0 of another path 0.0.
    xp : namespace
        Has ``isfinite(a)``, ``where(condition, a, b)`` and ``zeros_like(a)``. The gradient of
        ``where`` must keep the dtype.

    Returns
    -------
    array of the framework
        The values of `x`.

    Notes
    -----
    It costs three passes over the data where the framework does not fuse them. A framework with
    custom derivative rules does better with one of its own.
    """
    stopped = stop_gradient(x)
    residual = xp.where(xp.isfinite(stopped), x - stopped, xp.zeros_like(stopped))
    return stopped - lam * residual


def check_lambda_shape(
    lam_shape: Sequence[Optional[int]], x_shape: Sequence[Optional[int]]
) -> None:
    """Refuse a λ that does not broadcast to `x`, or would enlarge it (C16).

    Parameters
    ----------
    lam_shape, x_shape : sequence of int or None
        The shapes; None stands for a length that is not known yet.

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
    revgrad.exceptions.InvalidLambdaError: λ of shape (32,) does not broadcast to x of shape \
(32, 100) without enlarging it. Give it the shape of x with length 1 wherever it does not vary: \
one λ per sample is lam.reshape(-1, 1).
    """
    lengths = zip(reversed(lam_shape), reversed(x_shape))
    if len(lam_shape) <= len(x_shape) and all(
        ours == 1 or theirs == ours or theirs is None or (ours is None and theirs != 1)
        for ours, theirs in lengths
    ):
        return
    per_sample = ", ".join(["-1"] + ["1"] * (len(x_shape) - 1))
    raise InvalidLambdaError(
        f"λ of shape {tuple(lam_shape)} does not broadcast to x of shape {tuple(x_shape)} without "
        "enlarging it. Give it the shape of x with length 1 wherever it does not vary: one λ per "
        f"sample is lam.reshape({per_sample})."
    )


def cast_lambda(lam: Any, dtype: Any) -> Any:
    """Cast a number or an array given as λ to the dtype of `x` (C3).

    Parameters
    ----------
    lam : float or numpy.ndarray
        λ as `normalize_lambda` returns it.
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
    revgrad.exceptions.InvalidLambdaError: λ = 100000.0 is too large for x of dtype float16: it \
would become infinite.
    """
    with np.errstate(over="ignore"):
        cast = np.array(lam).astype(dtype)
    if not np.isfinite(cast).all():
        raise InvalidLambdaError(
            f"λ = {np.max(lam)} is too large for x of dtype {np.dtype(dtype)}: it would become "
            "infinite."
        )
    return cast


def no_gradient_error(x: Any, dtype: Any) -> UnsupportedTypeError:
    """Build the error for an `x` whose dtype carries no gradient (C17).

    Parameters
    ----------
    x : object
        What was to be reversed.
    dtype : object
        Its dtype.

    Returns
    -------
    UnsupportedTypeError
        To be raised by the caller.
    """
    return UnsupportedTypeError(
        f"reverse() got a {type(x).__name__} of dtype {dtype}, which carries no gradient. Cast it "
        "to a floating dtype first, or reverse the floating value it was computed from."
    )


def unknown_lambda_error(lam: Any, known: str) -> InvalidLambdaError:
    """Build the error for a λ that the framework does not know.

    Parameters
    ----------
    lam : object
        What was given as λ.
    known : str
        What the backend takes besides a number, an array and a `revgrad.LambdaVariable`.

    Returns
    -------
    InvalidLambdaError
        To be raised by the caller.
    """
    kind = type(lam)
    return InvalidLambdaError(
        f"λ must be a real, finite number >= 0, a float array that broadcasts to x, a "
        f"LambdaVariable, or {known}; got an object of type {kind.__module__}.{kind.__qualname__}."
    )
