"""Adapts the functions to the core."""

from typing import Any

import pytensor.tensor

from revgrad import Backend
from revgrad_pytensor.native import native
from revgrad_pytensor.ops import multiply_gradient, reverse_gradient, scale_gradient


class PytensorBackend(Backend):
    """Reverses PyTensor variables; the cell of a `LambdaVariable` is a shared scalar."""

    native = native
    capabilities = frozenset(
        "compilations copies forward_mode graph_lambda half_precision in_place known_lambda "
        "lambda_array modes operations rewritten schedules second_order several_outputs "
        "subclasses threads vectorised views".split()
    )
    multiply_gradient = staticmethod(multiply_gradient)
    reverse = staticmethod(reverse_gradient)
    scale_gradient = staticmethod(scale_gradient)
    xp = property(lambda self: pytensor.tensor)

    def constant(self, value: float, like: Any) -> Any:
        """Return a constant of the dtype of `like`: a Python float could be of another."""
        return pytensor.tensor.constant(value, dtype=like.dtype)
