"""`MlxNative`: how MLX casts, shapes and stores a λ or a factor."""

from __future__ import annotations

import weakref
from typing import Any

import mlx.core as mx
import numpy as np

from revgrad import InvalidLambdaError, LambdaVariable, UnsupportedTypeError
from revgrad.backend import Native, no_gradient_error, too_large_error

REAL_DTYPES = {
    mx.float16: mx.float16,
    mx.bfloat16: mx.bfloat16,
    mx.float32: mx.float32,
    mx.float64: mx.float64,
    mx.complex64: mx.float32,
}
"""The real dtype of each dtype that MLX computes gradients in."""


def number_of(value: mx.array) -> Any:
    """Return the numbers of an array, once it is computed; None inside a compiled function."""
    try:
        # Without a cast: what no operation has touched is all that is computed here.
        return np.array(value.tolist()) if value.ndim else value.item()
    except ValueError:  # MLX has no other sign of a tracer
        return None


class MlxNative(Native):
    """The adapter of MLX arrays; the cell of a variable holds the modules that it drives."""

    lambda_words = "an mlx.core.array"

    def dtype(self, x: Any) -> Any:
        """Return the real floating dtype of an array."""
        if not isinstance(x, mx.array):
            raise UnsupportedTypeError(
                f"Expected an mlx.core.array; got a {type(x).__name__}. Pass mlx.core.array(x)."
            )
        real = REAL_DTYPES.get(x.dtype)
        if real is None:
            raise no_gradient_error(x, x.dtype)
        return real

    def constant(self, value: Any, x: mx.array) -> mx.array:
        """Return an array of the dtype of `x` that holds a number or an array."""
        dtype = self.dtype(x)
        if (np.abs(value) > mx.finfo(dtype).max).any():
            raise too_large_error(value, x.dtype)
        return mx.array(value, dtype)

    def is_value(self, value: object) -> bool:
        """Accept an array."""
        return isinstance(value, mx.array)

    def is_real(self, value: mx.array) -> bool:
        """Reject complex and boolean arrays."""
        return any(mx.issubdtype(value.dtype, kind) for kind in (mx.floating, mx.integer))

    def known_number(self, value: mx.array) -> Any:
        """Return what an array holds where MLX computes on the CPU; this waits for it."""
        if mx.default_device() != mx.Device(mx.cpu):
            return None  # would stall the GPU
        return number_of(value)

    def cast(self, value: mx.array, x: mx.array) -> mx.array:
        """Return the array in the real dtype of `x`."""
        return mx.stop_gradient(value).astype(self.dtype(x))

    def read_variable(self, variable: LambdaVariable, x: mx.array) -> float:
        """Return the value now, once `x` is computed; compiled, it would be frozen."""
        try:
            mx.eval(x)  # the one call that a tracer of mx.grad allows and others refuse
        except ValueError:
            raise InvalidLambdaError(
                f"{variable!r} was given as λ inside a function that MLX compiles, exports or "
                "vectorises, which may freeze its value. Pass mx.array(lam.value) as an argument "
                "of that function, and reverse with that argument; or give the variable to "
                "revgrad_mlx.GradientReversal, and the state of the model to "
                "mx.compile(step, inputs=model.state)."
            ) from None
        return variable.value

    def new_cell(self, value: float) -> Any:
        """Return an empty mapping for the modules that the variable drives."""
        return weakref.WeakValueDictionary()  # by id: a module is a dict, which has no hash

    def set_cell(self, cell: Any, value: float) -> None:
        """Write λ to the modules."""
        for module in list(cell.values()):
            module._write(value)


native = MlxNative()
