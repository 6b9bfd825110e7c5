"""Adapts the functions to the core."""

from typing import Any

import mindspore as ms
from mindspore import ops

from revgrad.backend import EVERY_CAPABILITY, Backend
from revgrad_mindspore.native import MindSporeNative, native
from revgrad_mindspore.ops import multiply_gradient


class MindSporeBackend(Backend):
    """Reverses MindSpore tensors; a `LambdaVariable` is read at each forward pass."""

    native: MindSporeNative = native
    capabilities = EVERY_CAPABILITY.difference(
        "compilations copies forward_mode operations rewritten threads vectorised".split()
    )
    multiply_gradient = staticmethod(multiply_gradient)
    xp = property(lambda self: ops)

    def constant(self, value: float, like: Any) -> Any:
        """Return a tensor of the dtype of `like`."""
        return ms.Tensor(value, like.dtype)
