"""Adapts the layer to the core."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

import revgrad
from revgrad import Backend
from revgrad.backend import cast_lambda, normalize_lambda, unknown_lambda_error
from revgrad_keras.layers import GradientReversal, as_tensor


class KerasBackend(Backend):
    """Reverses symbolic tensors by a layer; the cell of a `LambdaVariable` is a weight."""

    capabilities = frozenset(
        {
            "compilations",
            "copies",
            "graph_lambda",
            "half_precision",
            "lambda_array",
            "schedules",
            "second_order",
            "threads",
        }
    )

    def reverse(self, x: Any, lam: Any) -> Any:
        """Return ``GradientReversal(lam)(x)`` for a symbolic `x`.

        Any other `x`, a variable of Keras say, is one of the framework that Keras runs on, and is
        reversed as such.
        """
        lam = normalize_lambda(lam)
        if not isinstance(x, keras.KerasTensor):
            lam = lam.value if isinstance(lam, keras.Variable) else lam
            return revgrad.reverse(as_tensor(x), lam, backend=keras.backend.backend())
        if isinstance(lam, (float, revgrad.LambdaVariable)):
            return GradientReversal(lam)(x)
        if isinstance(lam, np.ndarray):
            lam = cast_lambda(lam, "float32")
        elif not (isinstance(lam, (keras.KerasTensor, keras.Variable)) or keras.ops.is_tensor(lam)):
            raise unknown_lambda_error(lam, "a tensor or variable of Keras")
        return GradientReversal()(x, lam=lam)

    def new_cell(self, value: float) -> Any:
        """Return a float32 scalar that is not trained, and that no dtype policy casts."""
        cast_lambda(value, "float32")
        return keras.Variable(value, dtype="float32", trainable=False, autocast=False, name="lam")

    def set_cell(self, cell: Any, value: float) -> None:
        """Store `value` in the variable."""
        cast_lambda(value, "float32")
        cell.assign(value)

    @property
    def xp(self) -> Any:
        """`keras.ops`."""
        return keras.ops
