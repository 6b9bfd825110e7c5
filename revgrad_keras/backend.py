"""`KerasBackend`: Keras as the core sees it."""

from typing import Any

import keras

from revgrad import LambdaVariable
from revgrad.backend import EVERY_CAPABILITY, Backend, resolve
from revgrad_keras.layers import GradientReversal, GradientScale, as_tensor
from revgrad_keras.native import native


class KerasBackend(Backend):
    """Reverses symbolic tensors by a layer; variables as tensors of the backend of Keras."""

    native = native
    capabilities = EVERY_CAPABILITY.difference(
        "forward_mode in_place operations rewritten vectorised views".split()
    )
    xp = property(lambda self: keras.ops)

    def reverse(self, x: Any, lam: Any) -> Any:
        """Return ``GradientReversal(lam)(x)`` of a symbolic `x`."""
        return _applied(GradientReversal, x, lam)

    def scale_gradient(self, x: Any, factor: Any) -> Any:
        """Return ``GradientScale(factor)(x)`` of a symbolic `x`."""
        return _applied(GradientScale, x, factor)

    multiply_gradient = scale_gradient


def _applied(layer: Any, x: Any, value: Any) -> Any:
    if not isinstance(x, keras.KerasTensor):
        value = value.value if isinstance(value, keras.Variable) else value
        return layer.operation(as_tensor(x), value, backend=keras.backend.backend())
    if not isinstance(value, LambdaVariable):
        value = resolve(x, value, native, layer._signed)
    kept = isinstance(value, (float, LambdaVariable))  # a weight holds one number
    return layer(value)(x) if kept else layer()(x, value)
