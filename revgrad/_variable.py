"""`LambdaVariable`: a λ that changes while a compiled program runs."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Dict, Protocol, Tuple, Type, Union

import numpy as np

from revgrad._lambda import lambda_as_float

if TYPE_CHECKING:
    from revgrad._native import Native


class LambdaVariable:
    """A λ that the user owns and may change at any time.

    Each framework that meets the variable gets one native cell for it (a shared variable, a
    tensor, ...), made on first use. Setting `value` writes to all cells, so a compiled program
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
    A copy has the value, and cells of its own. Where the framework can copy a cell along with the
    program that reads it, a program and a variable that are copied or pickled together stay
    together. Setting and reading are safe from several threads.

    Examples
    --------
    >>> lam = LambdaVariable(0.0)
    >>> lam.value = 0.3
    >>> lam
    LambdaVariable(0.3)
    >>> f"{lam:.2f}", float(lam)
    ('0.30', 0.3)
    >>> lam.value = -1
    Traceback (most recent call last):
      ...
    revgrad.InvalidLambdaError: λ must be a real, finite number >= 0; got -1 (int). \
The gradient is multiplied by -λ already: pass 1, not -1.
    """

    __slots__ = ("__weakref__", "_cells", "_lock", "_number", "_value")

    def __init__(self, value: float = 0.0) -> None:
        self._value = lambda_as_float(value)
        # For torch.compile, which takes an array of an object for an input of the program. It is
        # replaced, and never written to.
        self._number = np.array(self._value)
        # Reentrant: what stores a value in a cell may ask for a cell.
        self._lock = threading.RLock()
        # For good: a compiled program reads its cell also after its backend was unregistered.
        self._cells: Dict[Native, Any] = {}

    @property
    def value(self) -> float:
        """λ now. Setting it validates the new value and writes it to every cell, or to none."""
        return self._value

    @value.setter
    def value(self, value: float) -> None:
        new = lambda_as_float(value)
        with self._lock:
            cells = list(self._cells.items())
            try:
                for native, cell in cells:
                    native.set_cell(cell, new)
            except BaseException:
                for native, cell in cells:
                    with suppress(Exception):  # of the cell that failed; the first error is raised
                        native.set_cell(cell, self._value)
                raise
            self._number = np.array(new)
            self._value = new

    def cell(self, native: Native) -> Any:
        """Return the native cell of one framework, made on first use.

        Parameters
        ----------
        native : revgrad.backend.Native
            The adapter of the framework.

        Returns
        -------
        object
            The same cell at each call.

        Raises
        ------
        InvalidLambdaError
            If the framework has no such cell.
        """
        if native not in self._cells:
            with self._lock:
                if native not in self._cells:  # another thread was faster
                    self._cells[native] = native.new_cell(self._value)
        return self._cells[native]

    def __float__(self) -> float:
        return self._value

    def __format__(self, spec: str) -> str:
        return format(self._value, spec) if spec else repr(self)

    def __repr__(self) -> str:
        return f"LambdaVariable({self._value!r})"

    def __copy__(self) -> LambdaVariable:
        return type(self)(self._value)  # the cells of __reduce__ would be shared, not copied

    def __reduce__(self) -> Tuple[Type[LambdaVariable], Tuple[float], Any]:
        cells = {native: cell for native, cell in self._cells.items() if native.copies_cells}
        return type(self), (self._value,), cells or None

    def __setstate__(self, cells: Dict[Native, Any]) -> None:
        self._cells.update(cells)


class HasDtype(Protocol):
    """An array or a value of a framework, to type checkers."""

    @property
    def dtype(self) -> Any:
        """What its elements are."""


Lambda = Union[float, LambdaVariable, HasDtype]
"""What `revgrad.reverse` accepts as λ, to type checkers."""
