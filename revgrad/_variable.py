"""`LambdaVariable`: a λ that changes while a compiled program runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Dict, Tuple, Type

from revgrad._lambda import lambda_as_float

if TYPE_CHECKING:
    from revgrad.backend import Backend


class LambdaVariable:
    """A λ that the user owns and may change at any time.

    Every backend that meets the variable gets one native cell for it (a shared variable, a
    buffer, ...), made on first use. Setting `value` writes to all cells, so a compiled program
    sees the new λ in its next run, without being compiled again. λ is the value at the forward
    pass.

    Parameters
    ----------
    value : float, optional
        λ at first: real, finite, at least 0.

    Raises
    ------
    InvalidLambdaError
        If `value` is not a single real, finite number that is at least 0.

    Notes
    -----
    A variable pickles and deep-copies as its value: the copy has cells of its own. Setting and
    reading are safe from several threads.

    Examples
    --------
    >>> lam = LambdaVariable(0.0)
    >>> lam.value = 0.3
    >>> lam
    LambdaVariable(0.3)
    >>> lam.value = -1
    Traceback (most recent call last):
      ...
    revgrad.exceptions.InvalidLambdaError: λ must be a real, finite number >= 0; got -1 (int). \
The backward factor is -λ already: pass 1, not -1.
    """

    __slots__ = ("__weakref__", "_cells", "_lock", "_value")

    def __init__(self, value: float = 0.0) -> None:
        self._value = lambda_as_float(value)
        self._lock = threading.Lock()
        # By the backend's class, and for good: a program that was compiled with a cell reads it,
        # also after its backend was unregistered, or registered again as another instance.
        self._cells: Dict[Type[Backend], Tuple[Backend, Any]] = {}

    @property
    def value(self) -> float:
        """λ now; setting it judges the new value and writes it to every cell."""
        return self._value

    @value.setter
    def value(self, value: float) -> None:
        judged = lambda_as_float(value)
        with self._lock:
            for backend, cell in self._cells.values():
                backend.set_cell(cell, judged)
            self._value = judged

    def cell(self, backend: Backend) -> Any:
        """Return the native cell of one backend, made on first use.

        Parameters
        ----------
        backend : Backend
            The backend that reads the cell.

        Returns
        -------
        object
            The same cell for every instance of a class of backends, for as long as this variable
            lives.

        Raises
        ------
        InvalidLambdaError
            If the backend's framework has no such cell.
        """
        kind = type(backend)
        try:
            return self._cells[kind][1]
        except KeyError:
            pass
        with self._lock:
            if kind not in self._cells:
                self._cells[kind] = backend, backend.new_cell(self._value)
            return self._cells[kind][1]

    def __repr__(self) -> str:
        return f"LambdaVariable({self._value!r})"

    def __reduce__(self) -> Tuple[Type[LambdaVariable], Tuple[float]]:
        return type(self), (self._value,)
