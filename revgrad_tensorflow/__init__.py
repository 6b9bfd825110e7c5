"""Gradient reversal for TensorFlow: the backend ``"tensorflow"`` of `revgrad`, and its function.

Importing this package imports no TensorFlow; its names load it on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from revgrad_tensorflow.ops import reverse_gradient

__all__ = ["reverse_gradient"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from revgrad_tensorflow import ops

        return getattr(ops, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
