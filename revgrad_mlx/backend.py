"""Adapts the functions to the core."""

from typing import Any

import mlx.core as mx

from revgrad.backend import EVERY_CAPABILITY, Backend
from revgrad_mlx.native import MlxNative, native
from revgrad_mlx.ops import multiply_gradient


class MlxBackend(Backend):
    """Reverses MLX arrays; a `LambdaVariable` is read at each forward pass."""

    native: MlxNative = native
    capabilities = EVERY_CAPABILITY - {"copies", "rewritten"}
    multiply_gradient = staticmethod(multiply_gradient)
    xp = property(lambda self: mx)

    def constant(self, value: float, like: Any) -> Any:
        """Return an array of the dtype of `like`: a Python float is a float32 for MLX."""
        return mx.array(value, like.dtype)
