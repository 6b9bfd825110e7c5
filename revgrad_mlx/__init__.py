"""Gradient reversal for MLX: the backend ``"mlx"`` of `revgrad`, and its native forms.

Importing this package imports no MLX; its names load it on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List

from revgrad._names import lazy

if TYPE_CHECKING:
    from revgrad_mlx.modules import GradientReversal
    from revgrad_mlx.ops import reverse_gradient, scale_gradient

__all__ = ["GradientReversal", "reverse_gradient", "scale_gradient"]

_MODULES = {"GradientReversal": "modules", "reverse_gradient": "ops", "scale_gradient": "ops"}


def __getattr__(name: str) -> Any:
    return lazy(__name__, _MODULES, name)


def __dir__() -> List[str]:
    return __all__
