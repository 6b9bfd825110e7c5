"""Gradient reversal for HIPS autograd: the backend ``"autograd"`` of `revgrad`, and its functions.

Importing this package imports no autograd; its names load it on first use.
"""

from typing import TYPE_CHECKING

from revgrad._names import lazy_names

if TYPE_CHECKING:
    from revgrad_autograd.ops import reverse_gradient, scale_gradient

__all__ = ["reverse_gradient", "scale_gradient"]

__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, "ops"))
