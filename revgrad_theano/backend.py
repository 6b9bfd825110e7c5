"""Adapts the Ops to the core."""

from typing import Any

from revgrad.backend import EVERY_CAPABILITY, Backend
from revgrad_theano.native import T, native
from revgrad_theano.ops import reverse_gradient, scale_gradient


class TheanoBackend(Backend):
    """Reverses Theano variables."""

    native = native
    capabilities = EVERY_CAPABILITY - {"layers"}
    # The Ops validate.
    multiply_gradient = scale_gradient = staticmethod(scale_gradient)
    reverse = staticmethod(reverse_gradient)
    xp = property(lambda self: T)

    def constant(self, value: float, like: Any) -> Any:
        """Return a constant of the dtype of `like`.

        Theano gives a Python float a dtype without a look at what it meets. Beside a float32 it
        may be float64, and raise it; with ``floatX=float32``, 0.7 beside a float64 is 0.69999999.
        """
        return T.constant(value, dtype=like.dtype)
