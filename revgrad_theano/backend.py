"""Adapts the Op to the core."""

from __future__ import annotations

from typing import Any

import numpy as np

from revgrad import Backend
from revgrad_theano.ops import reverse_gradient  # first: where Theano fails, it says what to do

import theano
import theano.tensor


class TheanoBackend(Backend):
    """Reverses Theano variables; the cell of a `LambdaVariable` is a shared scalar."""

    capabilities = frozenset(
        {
            "compilations",
            "copies",
            "forward_mode",
            "graph_lambda",
            "half_precision",
            "lambda_array",
            "operations",
            "rewritten",
            "schedules",
            "second_order",
            "threads",
            "vectorised",
            "views",
        }
    )

    def reverse(self, x: Any, lam: Any) -> Any:
        """Return ``ReverseGradient()(x, lam)``."""
        return reverse_gradient(x, lam)

    def new_cell(self, value: float) -> Any:
        """Return a shared scalar in float64: it is cast to the dtype of each `x`, not before."""
        return theano.shared(np.asarray(value, dtype="float64"), name="lam")

    def set_cell(self, cell: Any, value: float) -> None:
        """Store `value` in the shared scalar."""
        cell.set_value(np.asarray(value, dtype="float64"))

    @property
    def xp(self) -> Any:
        """`theano.tensor`."""
        return theano.tensor

    def constant(self, value: float, like: Any) -> Any:
        """Return a constant of the dtype of `like`.

        Theano gives a Python float a dtype without a look at what it meets. Beside a float32 it
        may be float64, and raise it; with ``floatX=float32``, 0.7 beside a float64 is 0.69999999.
        """
        return theano.tensor.constant(value, dtype=like.dtype)
