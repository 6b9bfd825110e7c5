"""`PaddleNative`: how Paddle casts, shapes and stores a λ or a factor."""

from __future__ import annotations

import weakref
from typing import Any, Optional, Sequence

import numpy as np
import paddle

from revgrad import InvalidLambdaError, LambdaVariable, UnsupportedTypeError
from revgrad.backend import Native, learnable_lambda_error, no_gradient_error, too_large_error

VALUES = (paddle.Tensor, paddle.base.libpaddle.pir.Value)
"""A tensor, and a value of a program that is built."""

REAL_DTYPES = {
    paddle.float16: paddle.float16,
    paddle.bfloat16: paddle.bfloat16,
    paddle.float32: paddle.float32,
    paddle.float64: paddle.float64,
    paddle.complex64: paddle.float32,
    paddle.complex128: paddle.float64,
}
"""The real dtype of each dtype that Paddle computes gradients in."""


def is_readable(value: Any) -> bool:
    """Say whether the numbers of a tensor lie in the memory of the host and are no input."""
    # In a program that is built, a tensor from outside stands for an input of it. The place is
    # asked for as text: with full_graph=False Paddle compiles this, and fails at its methods.
    return paddle.in_dynamic_mode() and str(value.place) == "Place(cpu)"


class PaddleNative(Native):
    """The adapter of Paddle; the cell of a variable holds the layers that it drives."""

    lambda_words = "a paddle.Tensor"

    def dtype(self, x: Any) -> Any:
        """Return the real floating dtype of a tensor, or of a value of a program."""
        if not isinstance(x, VALUES):
            raise UnsupportedTypeError(
                f"Expected a paddle.Tensor; got a {type(x).__name__}. Pass paddle.to_tensor(x)."
            )
        real = REAL_DTYPES.get(x.dtype)
        if real is None:
            raise no_gradient_error(x, x.dtype)
        return real

    def shape(self, value: Any) -> Optional[Sequence[Optional[int]]]:
        """Return the shape; -1 is a length that is not known yet."""
        return tuple(None if length < 0 else length for length in value.shape)

    def constant(self, value: Any, x: Any) -> Any:
        """Return a tensor of the dtype and on the device of `x` that holds a number or an array."""
        dtype = self.dtype(x)
        if (np.abs(value) > paddle.finfo(dtype).max).any():
            raise too_large_error(value, x.dtype)
        place = x.place if paddle.in_dynamic_mode() else None
        return paddle.to_tensor(np.asarray(value), dtype=dtype, place=place)

    def is_value(self, value: object) -> bool:
        """Accept a tensor, and a value of a program."""
        return isinstance(value, VALUES)

    def is_real(self, value: Any) -> bool:
        """Reject complex and boolean tensors."""
        return not value.is_complex() and value.dtype != paddle.bool

    def known_number(self, value: Any) -> Any:
        """Return the number or array of a tensor on the CPU, while no program is built."""
        if not paddle.in_dynamic_mode():
            return None
        if not value.stop_gradient:
            raise learnable_lambda_error()
        if not is_readable(value):
            return None
        return np.array(value.tolist(), float) if value.ndim else value.item()

    def cast(self, value: Any, x: Any) -> Any:
        """Return a copy, which keeps the value that λ has now."""
        copied = paddle.assign(value)  # first: in a program, detach() of a tensor crashes
        return copied.detach().astype(self.dtype(x))

    def read_variable(self, variable: LambdaVariable, x: Any) -> float:
        """Return the value of the variable now; a program would keep it."""
        if paddle.in_dynamic_mode():
            return variable.value
        raise InvalidLambdaError(
            f"{variable!r} was given as λ to a program that Paddle builds, which would freeze its "
            "value. Use revgrad_paddle.GradientReversal(variable), whose λ is a buffer, or make λ "
            "an argument of the program: a tensor."
        )

    def new_cell(self, value: float) -> Any:
        """Return an empty set for the layers that the variable drives."""
        return weakref.WeakSet()

    def set_cell(self, cell: Any, value: float) -> None:
        """Write λ to the buffers of the layers."""
        for layer in list(cell):
            layer._write(value)


native = PaddleNative()
