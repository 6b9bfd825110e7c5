"""`PytensorNative`: how PyTensor casts, shapes and stores a λ or a factor."""

from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import shared
from pytensor.graph.basic import Constant, Variable
from pytensor.tensor.type import DenseTensorType

from revgrad import UnsupportedTypeError
from revgrad.backend import Native, cast_lambda, no_gradient_error


class PytensorNative(Native):
    """The adapter of PyTensor variables; the cell of a `LambdaVariable` is a shared scalar."""

    lambda_words = "a dense PyTensor tensor"
    copies_cells = True

    def dtype(self, x: Any) -> str:
        """Return the dtype of a dense tensor."""
        if not isinstance(x.type, DenseTensorType):
            raise UnsupportedTypeError(
                f"Expected a dense tensor; got a PyTensor variable of type {x.type}. Reverse the "
                "dense tensors that it is made of."
            )
        if not x.dtype.startswith("float"):
            raise no_gradient_error(x, x.dtype)
        return str(x.dtype)

    def shape(self, value: Any) -> Any:
        """Return the static shape."""
        return value.type.shape

    def constant(self, value: Any, x: Any) -> Any:
        """Return a constant of the dtype of `x`."""
        return pt.constant(cast_lambda(value, x.dtype), dtype=x.dtype)

    def is_value(self, value: object) -> bool:
        """Say whether it is a variable that holds a dense tensor."""
        return isinstance(value, Variable) and isinstance(value.type, DenseTensorType)

    def known_number(self, value: Any) -> Any:
        """Return what a constant holds."""
        return value.data if isinstance(value, Constant) else None

    def new_cell(self, value: float) -> Any:
        """Return a shared scalar in float64: it is cast to the dtype of each `x`, not before."""
        return shared(np.asarray(value), name="lam")  # type: ignore[no-untyped-call, unused-ignore]

    def set_cell(self, cell: Any, value: float) -> None:
        """Store `value` in the shared scalar."""
        cell.set_value(np.asarray(value))

    def __reduce__(self) -> str:
        return "native"  # there is one: a copied LambdaVariable finds its cell by it


native = PytensorNative()
