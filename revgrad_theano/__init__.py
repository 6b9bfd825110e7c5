"""Gradient reversal for Theano: the backend ``"theano"`` of `revgrad`, and its native Ops.

Importing this package imports no Theano; its names load it on first use. On a Python or NumPy that
is newer than Theano, ``import revgrad_theano.compat`` comes before ``import theano``.
"""

from typing import TYPE_CHECKING

from revgrad._names import lazy_names

if TYPE_CHECKING:
    from revgrad_theano.ops import ReverseGradient, ScaleGradient, reverse_gradient, scale_gradient

__all__ = ["ReverseGradient", "ScaleGradient", "reverse_gradient", "scale_gradient"]

__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, "ops"))
