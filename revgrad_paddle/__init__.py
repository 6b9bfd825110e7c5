"""Gradient reversal for Paddle: the backend ``"paddle"`` of `revgrad`, and its native forms.

Importing this package imports no Paddle; its names load it on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List

from revgrad._names import lazy

if TYPE_CHECKING:
    from revgrad_paddle.layers import GradientReversal
    from revgrad_paddle.ops import reverse_gradient, scale_gradient

__all__ = ["GradientReversal", "reverse_gradient", "scale_gradient"]

_MODULES = {"GradientReversal": "layers", "reverse_gradient": "ops", "scale_gradient": "ops"}


def __getattr__(name: str) -> Any:
    return lazy(__name__, _MODULES, name)


def __dir__() -> List[str]:
    return __all__
