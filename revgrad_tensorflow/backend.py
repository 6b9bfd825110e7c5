"""`TensorflowBackend`: TensorFlow as the core sees it."""

from typing import Any

import tensorflow as tf

from revgrad.backend import EVERY_CAPABILITY, Backend
from revgrad_tensorflow.native import native
from revgrad_tensorflow.ops import reverse_gradient, scale_gradient


class TensorflowBackend(Backend):
    """Reverses tensors, variables and ragged tensors."""

    native = native
    capabilities = EVERY_CAPABILITY - {"layers", "rewritten"}
    # The functions validate.
    multiply_gradient = scale_gradient = staticmethod(scale_gradient)
    reverse = staticmethod(reverse_gradient)
    xp = property(lambda self: tf)

    def constant(self, value: float, like: Any) -> tf.Tensor:
        """Return a constant of the dtype of `like`: that of a Python float would be float32."""
        return tf.constant(value, dtype=like.dtype)
