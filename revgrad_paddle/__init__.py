"""Gradient reversal for Paddle: the backend ``"paddle"`` of `revgrad`, and its native forms.

Importing this package imports no Paddle; its names load it on first use.
"""

from typing import TYPE_CHECKING

from revgrad._names import lazy_names

if TYPE_CHECKING:
    from revgrad_paddle.layers import GradientReversal
    from revgrad_paddle.ops import reverse_gradient, scale_gradient

__all__ = ["GradientReversal", "reverse_gradient", "scale_gradient"]
_MODULES = {"GradientReversal": "layers", "reverse_gradient": "ops", "scale_gradient": "ops"}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
