"""Gradient reversal for Lasagne: the backend ``"lasagne"`` of `revgrad`, and its native layer.

Importing this package imports no Lasagne; its names load it on first use. On a Python or NumPy
that is newer than Theano, ``import revgrad_theano.compat`` comes before ``import lasagne``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from revgrad_lasagne.layers import ReverseGradientLayer

__all__ = ["ReverseGradientLayer"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from revgrad_lasagne import layers

        return getattr(layers, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
