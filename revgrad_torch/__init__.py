"""Gradient reversal for PyTorch: the backend ``"torch"`` of `revgrad`, and its native forms.

Importing this package imports no PyTorch; its names load it on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from revgrad_torch.modules import GradientReversal
    from revgrad_torch.ops import reverse_gradient

__all__ = ["GradientReversal", "reverse_gradient"]


def __getattr__(name: str) -> Any:
    if name == "reverse_gradient":
        from revgrad_torch.ops import reverse_gradient

        return reverse_gradient
    if name == "GradientReversal":
        from revgrad_torch.modules import GradientReversal

        return GradientReversal
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
