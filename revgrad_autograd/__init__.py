"""Gradient reversal for HIPS autograd: the backend ``"autograd"`` of `revgrad`, and its functions.

Importing this package imports no autograd; its names load it on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List

from revgrad._names import lazy

if TYPE_CHECKING:
    from revgrad_autograd.ops import reverse_gradient, scale_gradient

_MODULES = {"reverse_gradient": "ops", "scale_gradient": "ops"}
__all__ = ["reverse_gradient", "scale_gradient"]


def __getattr__(name: str) -> Any:
    return lazy(__name__, _MODULES, name)


def __dir__() -> List[str]:
    return __all__
