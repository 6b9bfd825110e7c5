"""`MindSporeNative`: how MindSpore casts, shapes and stores a λ or a factor."""

from __future__ import annotations

import weakref
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import ops

from revgrad import UnsupportedTypeError
from revgrad.backend import (
    EagerNative,
    learnable_lambda_error,
    no_gradient_error,
    too_large_error,
)

LARGEST = {
    ms.float16: float(np.finfo("float16").max),
    ms.bfloat16: float.fromhex("0x1.fep127"),
    ms.float32: float(np.finfo("float32").max),
    ms.float64: float(np.finfo("float64").max),
}
"""The dtypes that a reversal is computed in, and the largest number of each."""


class MindSporeNative(EagerNative):
    """The adapter of MindSpore; the cell of a variable holds the Cells that it drives."""

    lambda_words = "a mindspore.Tensor"

    def dtype(self, x: Any) -> Any:
        """Return the dtype of a tensor, which is a real floating one."""
        if not isinstance(x, ms.Tensor):
            raise UnsupportedTypeError(
                f"Expected a mindspore.Tensor; got a {type(x).__name__}. Pass mindspore.Tensor(x)."
            )
        if x.dtype in (ms.complex64, ms.complex128):
            raise UnsupportedTypeError(
                f"x is a complex tensor ({x.dtype}), which MindSpore does not multiply by a real "
                "one. Reverse its real and its imaginary part."
            )
        if x.dtype not in LARGEST:
            raise no_gradient_error(x, x.dtype)
        return x.dtype

    def constant(self, value: Any, x: Any) -> Any:
        """Return a tensor of the dtype of `x` that holds a number or an array."""
        dtype = self.dtype(x)
        if (np.abs(value) > LARGEST[dtype]).any():
            raise too_large_error(value, x.dtype)
        return ms.Tensor(np.array(value), dtype)

    def is_value(self, value: object) -> bool:
        """Accept a tensor."""
        return isinstance(value, ms.Tensor)

    def is_real(self, value: Any) -> bool:
        """Reject complex and boolean tensors."""
        return value.dtype not in (ms.bool_, ms.complex64, ms.complex128)

    def known_number(self, value: Any) -> Any:
        """Return what a tensor holds, where MindSpore computes on the CPU."""
        if isinstance(value, ms.Parameter) and value.requires_grad:
            raise learnable_lambda_error()
        if ms.get_context("device_target") != "CPU":
            return None  # would wait for the device
        wide = value.astype(ms.float64)
        return wide.asnumpy() if wide.ndim else wide.item()

    def cast(self, value: Any, x: Any) -> Any:
        """Return the tensor in the dtype of `x`."""
        return ops.stop_gradient(value).astype(self.dtype(x))

    def new_cell(self, value: float) -> Any:
        """Return an empty mapping for the Cells that the variable drives."""
        return weakref.WeakValueDictionary()

    def set_cell(self, cell: Any, value: float) -> None:
        """Write λ to the parameters of the Cells."""
        for each in list(cell.values()):
            each._write(value)


native = MindSporeNative()
