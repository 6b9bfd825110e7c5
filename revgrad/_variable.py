"""`LambdaVariable`: a λ that changes while a compiled program runs."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any, MutableMapping, Tuple, Type

from revgrad._lam import judge_number

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
        self._value = judge_number(value)
        self._lock = threading.Lock()
        # Keyed weakly, so that a backend which was unregistered does not live on here.
        self._cells: MutableMapping[Backend, Any] = weakref.WeakKeyDictionary()

    @property
    def value(self) -> float:
        """λ now; setting it judges the new value and writes it to every cell."""
        return self._value

    @value.setter
    def value(self, value: float) -> None:
        judged = judge_number(value)
        with self._lock:
            for backend, cell in self._cells.items():
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
            The same cell for the same backend, for as long as this variable lives.

        Raises
        ------
        InvalidLambdaError
            If the backend's framework has no such cell.
        """
        with self._lock:
            try:
                return self._cells[backend]
            except KeyError:
                return self._cells.setdefault(backend, backend.new_cell(self._value))

    def __repr__(self) -> str:
        return f"LambdaVariable({self._value!r})"

    def __reduce__(self) -> Tuple[Type[LambdaVariable], Tuple[float]]:
        return type(self), (self._value,)
