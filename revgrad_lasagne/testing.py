"""The harness: lets the conformance suite drive Lasagne, whose functions map layers to layers."""

from __future__ import annotations

import revgrad_theano.compat  # noqa: F401  before lasagne

# isort: split
import copy
import pickle
from typing import Any, Callable, Dict, Iterable, Sequence

import lasagne
from lasagne.layers import ElemwiseSumLayer, InputLayer, NonlinearityLayer, get_output

from revgrad_lasagne import ReverseGradientLayer
from revgrad_theano.testing import TheanoHarness, tensor

__all__ = ["LasagneHarness"]


class Input(InputLayer):  # type: ignore[misc, unused-ignore]
    """An input that may be multiplied, as the suite does."""

    def __mul__(self, number: float) -> Any:
        return NonlinearityLayer(self, lambda x: x * number)


class UsersLayer(lasagne.layers.Layer):  # type: ignore[misc, unused-ignore]
    """A class that a user derives."""

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        """Return the input."""
        return input


class LasagneHarness(TheanoHarness):
    """Puts a layer under each function, and takes the output of the layer that comes back."""

    backend = "lasagne"
    unsupported: Dict[str, str] = {}

    def apply(self, fn: Callable[..., Any], x: Any, *args: Any) -> Any:
        """Return the output of ``fn(layer)``, where the output of the layer is `x`."""
        return get_output(fn(Input((None,) * x.ndim, input_var=x), *args))

    def weighted_sum(self, values: Sequence[Any], weights: Sequence[float]) -> Any:
        """Use a layer that sums."""
        return ElemwiseSumLayer(values, [int(weight) for weight in weights])

    def values(self) -> Iterable[Any]:
        """Return a layer with parameters and one that merges."""
        layer = InputLayer((None, 2))
        return [
            lasagne.layers.DenseLayer(layer, num_units=3),
            lasagne.layers.ConcatLayer([layer, layer]),
        ]

    def instances(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Reverse a layer of a user's class, and one that merges."""
        return {
            "class of a user": self.program(lambda x: fn(UsersLayer(x)), shape, dtype),
            "MergeLayer": self.program(lambda x: fn(ElemwiseSumLayer([x])), shape, dtype),
        }

    def layers(self, lam: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Copy and pickle a network, restore its parameters, and evaluate it deterministically."""
        made = ReverseGradientLayer(InputLayer((None,) * len(shape)), lam)
        restored = copy.deepcopy(made)
        lasagne.layers.set_all_param_values(restored, lasagne.layers.get_all_param_values(made))
        return {
            "deepcopy": self._program_of(copy.deepcopy(made), shape, dtype),
            "pickle": self._program_of(pickle.loads(pickle.dumps(made)), shape, dtype),
            "parameters restored": self._program_of(restored, shape, dtype),
            "deterministic=True": self._program_of(made, shape, dtype, deterministic=True),
            "deterministic=False": self._program_of(made, shape, dtype, deterministic=False),
        }

    def assigned(self, first: float, second: float, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Set the attribute."""
        layer = ReverseGradientLayer(InputLayer((None,) * len(shape)), first)
        layer.lam = second
        return {"layer.lam = ...": self._program_of(layer, shape, dtype)}

    def _program_of(self, layer: Any, shape: Any, dtype: Any, **kwargs: Any) -> Any:
        x = tensor(shape, dtype)
        return self._pulled_back(x, get_output(layer, x, **kwargs))
