"""Adapts the functions to the core."""

from typing import Any

import paddle

from revgrad.backend import EVERY_CAPABILITY, Backend
from revgrad_paddle.native import PaddleNative, native
from revgrad_paddle.ops import multiply_gradient, reverse_gradient


class PaddleBackend(Backend):
    """Reverses tensors, and values of a program; reads a `LambdaVariable` at each forward pass."""

    native: PaddleNative = native
    capabilities = EVERY_CAPABILITY - {"operations", "rewritten", "vectorised", "views"}
    multiply_gradient = staticmethod(multiply_gradient)
    reverse = staticmethod(reverse_gradient)
    xp = property(lambda self: paddle)

    def constant(self, value: float, like: Any) -> Any:
        """Return a tensor of the dtype of `like`: paddle.minimum takes no number."""
        return paddle.full([], value, like.dtype)
