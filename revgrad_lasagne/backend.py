"""Adapts the layer to the core."""

from __future__ import annotations

from typing import Any

from revgrad import UnsupportedTypeError
from revgrad_lasagne.layers import Layer, ReverseGradientLayer
from revgrad_theano.backend import TheanoBackend


class LasagneBackend(TheanoBackend):
    """Reverses Lasagne layers; what lies in the graph below them is Theano's."""

    def reverse(self, x: Any, lam: Any) -> Any:
        """Return ``ReverseGradientLayer(x, lam)``."""
        if not isinstance(x, Layer):
            raise UnsupportedTypeError(
                f"The backend 'lasagne' reverses layers; got a {type(x).__name__}. Leave backend= "
                "out to have the backend chosen by type."
            )
        return ReverseGradientLayer(x, lam)
