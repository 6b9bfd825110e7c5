"""Gradient reversal for PyTensor: the backend ``"pytensor"`` of `revgrad`, and its native Op.

Importing this package imports no PyTensor; its names load it on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List

from revgrad._names import lazy

if TYPE_CHECKING:
    from revgrad_pytensor.ops import ReverseGradient, reverse_gradient, scale_gradient

_MODULES = {"ReverseGradient": "ops", "reverse_gradient": "ops", "scale_gradient": "ops"}
__all__ = ["ReverseGradient", "reverse_gradient", "scale_gradient"]


def __getattr__(name: str) -> Any:
    return lazy(__name__, _MODULES, name)


def __dir__() -> List[str]:
    return __all__
