"""`TensorflowBackend`: TensorFlow as the core sees it."""

from typing import Any

import tensorflow as tf

from revgrad import Backend
from revgrad_tensorflow.native import native
from revgrad_tensorflow.ops import multiply_gradient, reverse_gradient, scale_gradient


class TensorflowBackend(Backend):
    """Reverses tensors, variables and ragged tensors."""

    native = native
    capabilities = frozenset(
        "compilations copies forward_mode graph_lambda half_precision in_place known_lambda "
        "lambda_array modes operations schedules second_order several_outputs subclasses threads "
        "vectorised views".split()
    )
    multiply_gradient = staticmethod(multiply_gradient)
    reverse = staticmethod(reverse_gradient)
    scale_gradient = staticmethod(scale_gradient)
    xp = property(lambda self: tf)

    def constant(self, value: float, like: Any) -> tf.Tensor:
        """Return a constant of the dtype of `like`: that of a Python float would be float32."""
        return tf.constant(value, dtype=like.dtype)
