"""Adapts the functions to the core."""

import jax.numpy

from revgrad.backend import EVERY_CAPABILITY, Backend
from revgrad_jax.native import native
from revgrad_jax.ops import reverse_gradient, scale_gradient


class JaxBackend(Backend):
    """Reverses JAX arrays, tracers, and pytrees of them where the backend is named."""

    native = native
    capabilities = EVERY_CAPABILITY - {"layers", "rewritten"}
    # The functions validate.
    multiply_gradient = scale_gradient = staticmethod(scale_gradient)
    reverse = staticmethod(reverse_gradient)
    xp = property(lambda self: jax.numpy)
