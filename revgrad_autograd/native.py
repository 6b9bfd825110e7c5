"""`AutogradNative`: NumPy's adapter for the values that autograd traces."""

from typing import Any, Tuple

import numpy as np
from autograd.extend import Box
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.tracer import getval

from revgrad import InvalidLambdaError, UnsupportedTypeError
from revgrad.reference import NumpyNative


class AutogradNative(NumpyNative):
    """The adapter of arrays and numbers, traced or not; a traced λ is rejected."""

    def dtype(self, x: Any) -> Any:
        """Return the real floating dtype of an array or number."""
        if not isinstance(x, (ArrayBox, np.ndarray, np.generic, float, complex)):
            raise UnsupportedTypeError(
                f"Expected an array; got a {type(x).__name__}. Pass the arrays in it, one by one, "
                "or autograd.numpy.array(x)."
            )
        return super().dtype(np.asarray(getval(x)))

    def shape(self, value: Any) -> Tuple[int, ...]:
        """Return the shape of an array or number."""
        return np.shape(getval(value))

    def is_value(self, value: object) -> bool:
        """Say whether it is traced."""
        return isinstance(value, Box)

    def is_real(self, value: Any) -> bool:
        """Reject a traced value: autograd is asked for its gradient."""
        raise InvalidLambdaError(
            f"λ = {value} is traced, so autograd is asked for its gradient, and λ has none. Keep λ "
            "out of what is differentiated, or pass its value, autograd.tracer.getval(lam)."
        )


native = AutogradNative()
