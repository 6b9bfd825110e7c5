"""Adapts the layers to the core."""

from typing import Any

from revgrad_lasagne.layers import ReverseGradientLayer, ScaleGradientLayer
from revgrad_lasagne.native import native
from revgrad_theano.backend import TheanoBackend


class LasagneBackend(TheanoBackend):
    """Reverses Lasagne layers; the layers below them are Theano's graph."""

    native = native
    capabilities = TheanoBackend.capabilities | {"layers"}

    def multiply_gradient(self, x: Any, factor: Any) -> Any:
        """Return ``ScaleGradientLayer(x, factor)``, which validates the factor."""
        native.dtype(x)
        return ScaleGradientLayer(x, factor)

    scale_gradient = multiply_gradient

    def reverse(self, x: Any, lam: Any) -> Any:
        """Return ``ReverseGradientLayer(x, lam)``."""
        native.dtype(x)
        return ReverseGradientLayer(x, lam)
