"""Adapts the function to the core."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tensorflow as tf

from revgrad import Backend
from revgrad_tensorflow.ops import reverse_gradient


class TensorflowBackend(Backend):
    """Reverses tensors; the cell of a `LambdaVariable` is a variable that is not trained."""

    capabilities = frozenset(
        {
            "compilations",
            "copies",
            "forward_mode",
            "graph_lambda",
            "half_precision",
            "lambda_array",
            "operations",
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
        """Return a variable in float64: it is cast to the dtype of each `x`, not before."""
        # In a thread of its own, where nothing is traced: a function takes over what is made while
        # it is traced, traces again, and from its second trace on refuses it.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(
                tf.Variable, value, trainable=False, dtype="float64", name="lam"
            ).result()

    def set_cell(self, cell: Any, value: float) -> None:
        """Store `value` in the variable."""
        with tf.init_scope():  # now, and not at each run of a function that is being traced
            cell.assign(value)

    @property
    def xp(self) -> Any:
        """The package ``tensorflow`` itself."""
        return tf

    def constant(self, value: float, like: Any) -> Any:
        """Return a constant of the dtype of `like`: that of a Python float would be float32."""
        return tf.constant(value, dtype=like.dtype)
