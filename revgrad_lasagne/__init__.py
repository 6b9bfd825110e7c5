"""Gradient reversal for Lasagne: the backend ``"lasagne"`` of `revgrad`, and its native layers.

Importing this package imports no Lasagne; its names load it on first use. On a Python or NumPy
that is newer than Theano, ``import revgrad_theano.compat`` comes before ``import lasagne``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List

from revgrad._names import lazy

if TYPE_CHECKING:
    from revgrad_lasagne.layers import ReverseGradientLayer, ScaleGradientLayer

__all__ = ["ReverseGradientLayer", "ScaleGradientLayer"]


def __getattr__(name: str) -> Any:
    return lazy(__name__, dict.fromkeys(__all__, "layers"), name)


def __dir__() -> List[str]:
    return __all__
