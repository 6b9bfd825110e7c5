"""Gradient reversal for Theano: the backend ``"theano"`` of `revgrad`, and its native Op.

Importing this package imports no Theano; its names load it on first use. On a Python or NumPy that
is newer than Theano, ``import revgrad_theano.compat`` comes before ``import theano``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from revgrad_theano.ops import ReverseGradient, reverse_gradient

__all__ = ["ReverseGradient", "reverse_gradient"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from revgrad_theano import ops

        return getattr(ops, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
