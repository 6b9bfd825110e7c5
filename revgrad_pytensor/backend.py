"""Adapts the functions to the core."""

from typing import Any

import pytensor.tensor

from revgrad.backend import EVERY_CAPABILITY, Backend
from revgrad_pytensor.native import native
from revgrad_pytensor.ops import reverse_gradient, scale_gradient


class PytensorBackend(Backend):
    """Reverses PyTensor variables; the cell of a `LambdaVariable` is a shared scalar."""

    native = native
    capabilities = EVERY_CAPABILITY - {"layers"}
    # The functions validate.
    multiply_gradient = scale_gradient = staticmethod(scale_gradient)
    reverse = staticmethod(reverse_gradient)
    xp = property(lambda self: pytensor.tensor)

    def constant(self, value: float, like: Any) -> Any:
        """Return a constant of the dtype of `like`: a Python float could be of another."""
        return pytensor.tensor.constant(value, dtype=like.dtype)
