"""Gradient reversal for Keras 3: layers and a callback, on each of its backends.

Importing this package imports no Keras; its names load it on first use. The reversal itself is that
of the framework that Keras runs on: of `revgrad_tensorflow`, `revgrad_jax` or `revgrad_torch`.
"""

from typing import TYPE_CHECKING

from revgrad._names import lazy_names

if TYPE_CHECKING:
    from revgrad_keras.callbacks import ScheduleLambda
    from revgrad_keras.layers import GradientReversal, GradientScale

__all__ = ["GradientReversal", "GradientScale", "ScheduleLambda"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {"GradientReversal": "layers", "GradientScale": "layers", "ScheduleLambda": "callbacks"},
    others="Keras computes with tensorflow, jax or torch; install one, or set KERAS_BACKEND to one "
    "that is",
)
