"""Adapts the functions to the core."""

import jax.numpy

from revgrad import Backend
from revgrad_jax.native import native
from revgrad_jax.ops import multiply_gradient, reverse_gradient, scale_gradient


class JaxBackend(Backend):
    """Reverses JAX arrays, tracers, and pytrees of them where the backend is named."""

    native = native
    capabilities = frozenset(
        "compilations copies forward_mode graph_lambda half_precision in_place known_lambda "
        "lambda_array modes operations schedules second_order several_outputs subclasses threads "
        "vectorised views".split()
    )
    multiply_gradient = staticmethod(multiply_gradient)
    reverse = staticmethod(reverse_gradient)
    scale_gradient = staticmethod(scale_gradient)
    xp = property(lambda self: jax.numpy)
