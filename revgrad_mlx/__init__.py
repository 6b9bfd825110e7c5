"""Gradient reversal for MLX: the backend ``"mlx"`` of `revgrad`, and its native forms.

Importing this package imports no MLX; its names load it on first use.
"""

from typing import TYPE_CHECKING

from revgrad._names import lazy_names

if TYPE_CHECKING:
    from revgrad_mlx.modules import GradientReversal
    from revgrad_mlx.ops import reverse_gradient, scale_gradient

__all__ = ["GradientReversal", "reverse_gradient", "scale_gradient"]
_MODULES = {"GradientReversal": "modules", "reverse_gradient": "ops", "scale_gradient": "ops"}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
