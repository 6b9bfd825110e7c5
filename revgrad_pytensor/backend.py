"""Adapts the Op to the core."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor
import pytensor.tensor

from revgrad import Backend
from revgrad_pytensor.ops import reverse_gradient


class PytensorBackend(Backend):
    """Reverses PyTensor variables; the cell of a `LambdaVariable` is a shared scalar."""

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
        """Return ``reverse_gradient(x, lam)``."""
        return reverse_gradient(x, lam)

    def new_cell(self, value: float) -> Any:
        """Return a shared scalar in float64: it is cast to the dtype of each `x`, not before."""
        return pytensor.shared(np.asarray(value, dtype="float64"), name="lam")

    def set_cell(self, cell: Any, value: float) -> None:
        """Store `value` in the shared scalar."""
        cell.set_value(np.asarray(value, dtype="float64"))

    @property
    def xp(self) -> Any:
        """`pytensor.tensor`."""
        return pytensor.tensor

    def constant(self, value: float, like: Any) -> Any:
        """Return a constant of the dtype of `like`: a Python float could be of another."""
        return pytensor.tensor.constant(value, dtype=like.dtype)
