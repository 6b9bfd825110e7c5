"""Gradient reversal for MindSpore: the backend ``"mindspore"`` of `revgrad`, and its native forms.

Importing this package imports no MindSpore; its names load it on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List

from revgrad._names import lazy

if TYPE_CHECKING:
    from revgrad_mindspore.cells import GradientReversal
    from revgrad_mindspore.ops import reverse_gradient, scale_gradient

__all__ = ["GradientReversal", "reverse_gradient", "scale_gradient"]

_MODULES = {"GradientReversal": "cells", "reverse_gradient": "ops", "scale_gradient": "ops"}


def __getattr__(name: str) -> Any:
    return lazy(__name__, _MODULES, name)


def __dir__() -> List[str]:
    return __all__
