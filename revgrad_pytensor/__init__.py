"""Gradient reversal for PyTensor: the backend ``"pytensor"`` of `revgrad`, and its native Op.

Importing this package imports no PyTensor; its names load it on first use.
"""

from typing import TYPE_CHECKING

from revgrad._names import lazy_names

if TYPE_CHECKING:
    from revgrad_pytensor.ops import ReverseGradient, reverse_gradient, scale_gradient

__all__ = ["ReverseGradient", "reverse_gradient", "scale_gradient"]

__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, "ops"))
