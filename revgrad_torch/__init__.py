"""Gradient reversal for PyTorch: the backend ``"torch"`` of `revgrad`, and its native forms.

Importing this package imports no PyTorch; its names load it on first use.
"""

from typing import TYPE_CHECKING

from revgrad._names import lazy_names

if TYPE_CHECKING:
    from revgrad_torch.modules import GradientReversal
    from revgrad_torch.ops import reverse_gradient, scale_gradient

__all__ = ["GradientReversal", "reverse_gradient", "scale_gradient"]

__getattr__, __dir__ = lazy_names(
    __name__, {"GradientReversal": "modules", "reverse_gradient": "ops", "scale_gradient": "ops"}
)
