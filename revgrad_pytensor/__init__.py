"""Gradient reversal for PyTensor: the backend ``"pytensor"`` of `revgrad`, and its native Op.

Importing this package imports no PyTensor; its names load it on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from revgrad_pytensor.ops import ReverseGradient, reverse_gradient

__all__ = ["ReverseGradient", "reverse_gradient"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from revgrad_pytensor import ops

        return getattr(ops, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
