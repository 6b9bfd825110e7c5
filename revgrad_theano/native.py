"""The adapter of Theano: how λ is cast, shaped and stored; and what differs between its versions.

Where Theano is installed but fails to import, it fails here, with advice.
"""

from contextlib import contextmanager
from typing import Any, Iterator, Optional, Sequence

import numpy as np

from revgrad.backend import Native, cast_lambda, no_gradient_error
from revgrad.exceptions import UnsupportedTypeError, describe_error

__all__ = ["Op", "T", "TheanoNative", "basic", "importing", "native", "opt", "theano"]


@contextmanager
def importing(name: str, newer: str, before: str) -> Iterator[None]:
    """Let an import that fails say what to import first, unless the framework is not installed."""
    try:
        yield
    except Exception as error:
        if getattr(error, "name", None) == name.lower():  # not installed, and the error says so
            raise
        raise ImportError(
            f"{name} is installed but does not import ({describe_error(error)}). Where {newer} is "
            f"newer, import revgrad_theano.compat before {before}, in a fresh process"
        ) from error


with importing("Theano", "Python or NumPy", "theano"):
    import theano
    import theano.tensor as T

    try:  # Theano-PyMC 1.1 renamed theano.gof
        from theano.graph import basic, op, opt
    except ImportError:
        from theano.gof import graph as basic
        from theano.gof import op, opt

# An Op that may have C code: Theano-PyMC calls it COp, which is something else in Theano.
Op: Any = op.COp if hasattr(op, "ExternalCOp") else op.Op


class TheanoNative(Native):
    """The adapter of Theano; the cell of a `revgrad.LambdaVariable` is a shared scalar."""

    lambda_words = "a Theano tensor"
    copies_cells = True

    def dtype(self, x: Any) -> Any:
        """Return the dtype of a dense or sparse variable of floating dtype."""
        # The array types of GPUs are dense as well. Asked this way, theano.sparse need not be
        # imported.
        if not (hasattr(x.type, "broadcastable") or hasattr(x.type, "format")):
            raise UnsupportedTypeError(
                f"Expected a tensor or a sparse matrix; got a Theano variable of type {x.type}. "
                "Reverse the tensors that it consists of."
            )
        if not x.dtype.startswith("float"):  # theano.grad rejects complex variables as well
            raise no_gradient_error(x, x.dtype)
        return x.dtype

    def shape(self, value: Any) -> Sequence[Optional[int]]:
        """Return the lengths that the type of a variable fixes: those of 1."""
        pattern = getattr(value.type, "broadcastable", (False, False))  # a sparse type has none
        return [1 if fixed else None for fixed in pattern]

    def constant(self, value: Any, x: Any) -> Any:
        """Return a constant of the graph."""
        return T.constant(cast_lambda(value, self.dtype(x)))

    def is_value(self, value: object) -> bool:
        """Say whether it is a variable for a tensor in the memory of the host."""
        return isinstance(value, basic.Variable) and isinstance(value.type, T.TensorType)

    def known_number(self, value: Any) -> Any:
        """Return the number of a constant, and of a scalar such as ``T.cast(0.5, "float32")``."""
        if isinstance(value, basic.Constant):
            return value.data
        try:
            return T.get_scalar_constant_value(value) if value.ndim == 0 else None
        except T.NotScalarConstantError:
            return None

    def new_cell(self, value: float) -> Any:
        """Return a shared scalar in float64: it is cast to the dtype of each `x`, not before."""
        return theano.shared(np.asarray(value), name="lam")

    def set_cell(self, cell: Any, value: float) -> None:
        """Store `value` in the shared scalar."""
        cell.set_value(np.asarray(value))

    def __reduce__(self) -> str:
        return "native"


native = TheanoNative()
