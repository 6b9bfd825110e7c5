"""`TensorflowBackend`: TensorFlow as the core sees it."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from revgrad import Backend
from revgrad_tensorflow import ops
from revgrad_tensorflow.native import native


class TensorflowBackend(Backend):
    """Reverses tensors, variables and ragged tensors."""

    native = native
    capabilities = frozenset(
        """
        compilations copies forward_mode graph_lambda half_precision in_place known_lambda
        lambda_array modes operations schedules second_order several_outputs subclasses threads
        vectorised views
        """.split()
    )

    def reverse(self, x: Any, lam: Any) -> Any:
        """Return ``reverse_gradient(x, lam)``."""
        return ops.reverse_gradient(x, lam)

    def scale_gradient(self, x: Any, factor: Any) -> Any:
        """Return ``scale_gradient(x, factor)``."""
        return ops.scale_gradient(x, factor)

    def multiply_gradient(self, x: Any, factor: Any) -> Any:
        """Return `x`, whose gradient is multiplied by a tensor."""
        return ops.multiply_gradient(x, factor)

    @property
    def xp(self) -> Any:
        """The package ``tensorflow`` itself."""
        return tf

    def constant(self, value: float, like: Any) -> tf.Tensor:
        """Return a constant of the dtype of `like`: that of a Python float would be float32."""
        return tf.constant(value, dtype=like.dtype)
