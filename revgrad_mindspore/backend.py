"""Adapts the functions to the core."""

from typing import Any

import mindspore as ms
from mindspore import ops

from revgrad import Backend
from revgrad_mindspore.native import MindSporeNative, native
from revgrad_mindspore.ops import multiply_gradient


class MindSporeBackend(Backend):
    """Reverses MindSpore tensors; a `LambdaVariable` is read at each forward pass."""

    native: MindSporeNative = native
    capabilities = frozenset(
        "graph_lambda half_precision in_place known_lambda lambda_array layers modes schedules "
        "second_order several_outputs subclasses views".split()
    )
    multiply_gradient = staticmethod(multiply_gradient)
    xp = property(lambda self: ops)

    def constant(self, value: float, like: Any) -> Any:
        """Return a tensor of the dtype of `like`."""
        return ms.Tensor(value, like.dtype)
