"""Adapts the layer to the core."""

from __future__ import annotations

from typing import Any

from revgrad import Backend
from revgrad_lasagne.layers import ReverseGradientLayer  # first, as in revgrad_theano.backend

import theano.tensor


class LasagneBackend(Backend):
    """Reverses Lasagne layers; a `LambdaVariable` is kept in the layer and meets Theano there."""

    def reverse(self, x: Any, lam: Any) -> Any:
        """Return ``ReverseGradientLayer(x, lam)``."""
        return ReverseGradientLayer(x, lam)

    @property
    def xp(self) -> Any:
        """`theano.tensor`."""
        return theano.tensor
