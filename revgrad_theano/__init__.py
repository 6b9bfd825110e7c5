"""Gradient reversal for Theano: the backend ``"theano"`` of `revgrad`, and its native Ops.

Importing this package imports no Theano; its names load it on first use. On a Python or NumPy that
is newer than Theano, ``import revgrad_theano.compat`` comes before ``import theano``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List

from revgrad._names import lazy

if TYPE_CHECKING:
    from revgrad_theano.ops import (
        ReverseGradient,
        ScaleGradient,
        reverse_gradient,
        scale_gradient,
    )

__all__ = ["ReverseGradient", "ScaleGradient", "reverse_gradient", "scale_gradient"]


def __getattr__(name: str) -> Any:
    return lazy(__name__, dict.fromkeys(__all__, "ops"), name)


def __dir__() -> List[str]:
    return __all__
