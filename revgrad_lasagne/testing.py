"""Lets the conformance kit drive Lasagne: its functions map layers to layers."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Sequence

from revgrad_theano.testing import TheanoHarness  # first: it imports compat before theano

import lasagne

__all__ = ["LasagneHarness"]


class LasagneHarness(TheanoHarness):
    """Puts a layer under each function, and takes the output of the layer that comes back."""

    backend = "lasagne"

    def apply(self, fn: Callable[..., Any], x: Any, *args: Any) -> Any:
        """Return the output of ``fn(layer)``, where the output of the layer is `x`."""
        layer = lasagne.layers.InputLayer((None,) * x.ndim, input_var=x)
        return lasagne.layers.get_output(fn(layer, *args))

    def weighted_sum(self, values: Sequence[Any], weights: Sequence[float]) -> Any:
        """Use a layer that sums."""
        return lasagne.layers.ElemwiseSumLayer(values, [int(weight) for weight in weights])

    def values(self) -> Iterable[Any]:
        """Return a layer with parameters and one that merges."""
        layer = lasagne.layers.InputLayer((None, 2))
        return [
            lasagne.layers.DenseLayer(layer, num_units=3),
            lasagne.layers.ConcatLayer([layer, layer]),
        ]
