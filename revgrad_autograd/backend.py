"""Adapts the functions to the core."""

from typing import Any

import autograd.numpy
import numpy as np
from autograd.tracer import getval

from revgrad.backend import EVERY_CAPABILITY, Backend
from revgrad_autograd.native import native
from revgrad_autograd.ops import multiply_gradient


class AutogradBackend(Backend):
    """Reverses what autograd traces; a `LambdaVariable` is read at each forward pass."""

    native = native
    capabilities = EVERY_CAPABILITY.difference(
        "compilations copies layers modes operations rewritten vectorised".split()
    )
    multiply_gradient = staticmethod(multiply_gradient)
    xp = property(lambda self: autograd.numpy)

    def constant(self, value: float, like: Any) -> Any:
        """Return an array of the dtype of `like`: before NumPy 2 a Python float raises a scalar."""
        return np.asarray(value, np.result_type(getval(like)))
