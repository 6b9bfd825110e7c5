"""A user's domain loss as a program of NumPy arrays, and its validation."""

import inspect
import numbers
from typing import Any, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from revgrad._lambda import describe_value
from revgrad.exceptions import UnsupportedTypeError
from revgrad.testing._cases import numpy_dtype
from revgrad.testing.harness import Harness, Run


def floating_arrays(features: Any, parameters: Any) -> Iterator[Any]:
    """Yield the features and the parameters in this machine's byte order, or reject them."""
    if isinstance(parameters, (np.ndarray, np.generic)) or not isinstance(parameters, Sequence):
        raise ValueError(
            "check_flow: parameters must be a tuple or list of NumPy arrays; got "
            f"{describe_value(parameters)}. A single one is parameters=[w]."
        )
    names = ["features", *(f"parameters[{i}]" for i in range(len(parameters)))]
    for name, value in zip(names, (features, *parameters)):
        if not isinstance(value, (np.ndarray, np.generic)):
            raise UnsupportedTypeError(
                f"check_flow: {name} must be a NumPy array; got {describe_value(value)}. "
                "domain_loss is given it as a value of the framework."
            )
        if value.dtype.kind != "f":
            raise UnsupportedTypeError(
                f"check_flow: {name} has the dtype {value.dtype}, which carries no gradient here. "
                "Cast it to float64."
            )
        if not value.size or not np.isfinite(value).all():
            raise ValueError(
                f"check_flow: {name} of shape {value.shape} must have elements, all of them "
                "finite: the loss is computed near them."
            )
        yield np.asarray(value, value.dtype.name)  # in the byte order of this machine


def check_arguments(domain_loss: Any, arrays: List[Any]) -> None:
    """Reject a function that does not take as many arguments as there are arrays."""
    try:
        signature = inspect.signature(domain_loss)
    except (TypeError, ValueError):  # some callables have none
        return
    try:
        signature.bind(*arrays)
    except TypeError as error:
        count = len(arrays) - 1
        raise ValueError(
            f"check_flow calls domain_loss with the features and {count} parameters, as it was "
            f"given {count}; its signature is {signature} ({error}). With parameters, write it as "
            "domain_loss(features, *parameters), in their order."
        ) from None


class Program:
    """The loss as a function of one of its arguments, the others being constants."""

    def __init__(self, harness: Harness, loss: Any, arrays: List[Any], which: int) -> None:
        self.harness, self.loss, self.arrays, self.which = harness, loss, arrays, which
        self.x, self.dtype = arrays[which], arrays[which].dtype.name
        self.run = self.build()

    def build(self) -> Run:
        """Build the program; a framework that compiles nothing calls `traced` at each run."""
        return self.harness.program(self.traced, self.x.shape, self.x.dtype.name)

    def traced(self, value: Any) -> Any:
        constant, arrays, i = self.harness.constant, self.arrays, self.which
        loss = self.loss(*map(constant, arrays[:i]), value, *map(constant, arrays[i + 1 :]))
        if loss is None or isinstance(loss, (numbers.Number, str, tuple, list, dict)):
            raise ValueError(
                "domain_loss must return a value of the framework; it returned "
                f"{describe_value(loss)}."
            )
        _check_scalar(loss.ndim if hasattr(loss, "ndim") else len(getattr(loss, "shape", ())))
        dtype = getattr(loss, "dtype", self.dtype)  # a string, a numpy.dtype, torch.float32, ...
        name = getattr(dtype, "name", getattr(dtype, "__name__", dtype))
        self.dtype = str(name).rsplit(".", 1)[-1]
        if "float" not in self.dtype:
            raise ValueError(
                f"domain_loss must return a floating scalar; it returned one of {self.dtype}. "
                "A count of correct predictions has no gradient: return the loss."
            )
        return loss

    def __call__(self, x: Any) -> Tuple[float, Optional[Any]]:
        """Return the loss and the gradient at `x`."""
        known = self.dtype
        try:
            loss, gradient = self.run(np.array(x), np.ones((), numpy_dtype(known)))
        except Exception:
            if self.dtype == known:
                raise
            return self(x)  # what calls `traced` only now has found a loss of another dtype
        _check_scalar(np.ndim(loss))
        return float(np.asarray(loss)), None if gradient is None else np.array(gradient)


def _check_scalar(ndim: Any) -> None:
    if ndim != 0:
        raise ValueError(
            f"domain_loss must return a scalar; it returned a value of {ndim} dimensions. Return "
            "the mean over the batch."
        )
