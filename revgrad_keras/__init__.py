"""Gradient reversal for Keras 3: a layer and a callback, on each of its backends.

Importing this package imports no Keras; its names load it on first use. The reversal itself is that
of the framework that Keras runs on: of `revgrad_tensorflow`, `revgrad_jax` or ``revgrad_torch``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from revgrad_keras.callbacks import ScheduleLambda
    from revgrad_keras.layers import GradientReversal

__all__ = ["GradientReversal", "ScheduleLambda"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from revgrad_keras import callbacks, layers

        return getattr(layers if name == "GradientReversal" else callbacks, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
