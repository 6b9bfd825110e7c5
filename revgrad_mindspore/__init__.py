"""Gradient reversal for MindSpore: the backend ``"mindspore"`` of `revgrad`, and its native forms.

Importing this package imports no MindSpore; its names load it on first use.
"""

from typing import TYPE_CHECKING

from revgrad._names import lazy_names

if TYPE_CHECKING:
    from revgrad_mindspore.cells import GradientReversal
    from revgrad_mindspore.ops import reverse_gradient, scale_gradient

__all__ = ["GradientReversal", "reverse_gradient", "scale_gradient"]
_MODULES = {"GradientReversal": "cells", "reverse_gradient": "ops", "scale_gradient": "ops"}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
