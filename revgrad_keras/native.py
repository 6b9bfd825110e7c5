"""`KerasNative`: how Keras casts, shapes and stores a λ; `LambdaWeight`, the weight of a layer."""

from __future__ import annotations

from typing import Any, Optional

import keras
import numpy as np

import revgrad
from revgrad import InvalidLambdaError, LambdaVariable
from revgrad._names import set_module
from revgrad.backend import Native, cast_lambda, learnable_lambda_error, no_gradient_error, resolve


class KerasNative(Native):
    """The adapter of symbolic tensors; the cell of a `revgrad.LambdaVariable` is a weight."""

    lambda_words = "a tensor of Keras or of its backend"

    def dtype(self, x: Any) -> str:
        """Return the real floating dtype that belongs to the dtype of `x`."""
        dtype: str = keras.backend.standardize_dtype(x.dtype)
        if "float" not in dtype and "complex" not in dtype:
            raise no_gradient_error(x, dtype)
        return {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)

    def constant(self, value: Any, x: Any) -> Any:
        """Return the number, or a copy of the array, if it fits the dtype of `x`."""
        cast_lambda(value, self.dtype(x))
        return value if isinstance(value, float) else np.array(value)

    def is_value(self, value: object) -> bool:
        """Say whether `value` is a symbolic tensor, or a tensor of the backend of Keras."""
        return isinstance(value, keras.KerasTensor) or (
            bool(keras.ops.is_tensor(value)) and not isinstance(value, keras.Variable)
        )

    def known_number(self, value: Any) -> Any:
        """Return what the backend of Keras knows of a tensor of its own."""
        if isinstance(value, keras.KerasTensor):
            return None
        return revgrad.get_backend(keras.backend.backend()).native.known_number(value)

    def cast(self, value: Any, x: Any) -> Any:
        """Return `value` itself: the backend of Keras casts it, when the layer is called."""
        return value

    def new_cell(self, value: float) -> LambdaWeight:
        """Return a weight."""
        return LambdaWeight(value)

    def set_cell(self, cell: Any, value: float) -> None:
        """Store `value` in the weight."""
        cast_lambda(value, "float32")
        keras.Variable.assign(cell, value)
        cell._last = value


native = KerasNative()

_SCALAR = keras.KerasTensor((), "float32")


@set_module("revgrad_keras")
class LambdaWeight(keras.Variable):  # type: ignore[misc]
    """The weight that holds λ or a factor: a float32 scalar, not trained, validated when it is set.

    Parameters
    ----------
    value : float
        The value at first.
    signed : bool, optional
        Whether it is a factor, which may be negative.

    Raises
    ------
    InvalidLambdaError
        If `value` is not a scalar λ (or factor); also when a number is assigned, as
        ``set_weights`` and ``load_weights`` do, or when ``trainable`` is set to True. A value that
        is traced, or that is not in the memory of the host, is not validated.
    """

    def __init__(self, value: Any, signed: bool = False) -> None:
        self._signed = signed
        self._driver: Optional[LambdaVariable] = None
        self._last = self._resolved(value)
        first, name = keras.initializers.Constant(self._last), "factor" if signed else "lam"
        super().__init__(first, (), "float32", trainable=False, autocast=False, name=name)

    def assign(self, value: Any) -> Any:
        """Set the value, and that of the `revgrad.LambdaVariable` that shares the weight."""
        if isinstance(value, keras.Variable):
            value = keras.ops.stop_gradient(value.value)  # only its value is wanted
        value = self._resolved(value)
        driver = self._driver
        if driver is not None and isinstance(value, float):
            if np.float32(driver.value) != np.float32(value):  # or 0.3 would become 0.300000012
                driver.value = value
        self._last = value
        return super().assign(value)

    @property
    def value_in_training(self) -> Optional[float]:
        """The value while JAX trains, and holds the weights in place of the model; None otherwise.

        Reading any weight then copies all of them back to the model, at each batch.
        """
        away = self._value is None and isinstance(self._last, float)
        return float(np.float32(self._last)) if away else None

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, LambdaVariable):
            raise InvalidLambdaError(
                "A LambdaVariable cannot be assigned to a weight: make the layer with it, "
                "GradientReversal(variable), or assign its value."
            )
        return resolve(_SCALAR, value, native, self._signed)

    @property
    def trainable(self) -> bool:
        """False, always."""
        return False

    @trainable.setter
    def trainable(self, value: bool) -> None:
        if value:
            raise learnable_lambda_error()
