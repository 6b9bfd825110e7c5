"""Gradient reversal for Lasagne: the backend ``"lasagne"`` of `revgrad`, and its native layers.

Importing this package imports no Lasagne; its names load it on first use. On a Python or NumPy
that is newer than Theano, ``import revgrad_theano.compat`` comes before ``import lasagne``.
"""

from typing import TYPE_CHECKING

from revgrad._names import lazy_names

if TYPE_CHECKING:
    from revgrad_lasagne.layers import ReverseGradientLayer, ScaleGradientLayer

__all__ = ["ReverseGradientLayer", "ScaleGradientLayer"]

__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, "layers"))
