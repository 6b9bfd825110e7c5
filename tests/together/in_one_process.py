"""Reverse with the backends that the arguments name, one after the other, in this process."""

import importlib
import sys

import numpy as np

import revgrad
from revgrad._registry import registry, resolve_reference

LAM, ONE = revgrad.LambdaVariable(0.5), np.ones((1,), "float32")
# What is not compiled takes a tenth of the time.
HARNESSES = {"torch": "revgrad_torch.testing:EagerTorchHarness"}


def use(name):
    """Return a value and its gradient by the harness of a backend, which is chosen by type."""
    if name == "numpy":
        return revgrad.reverse(ONE, LAM), -0.5 * ONE  # it takes no gradient
    harness = resolve_reference(HARNESSES.get(name, revgrad.backends[name].harness))()
    try:
        return harness.program(lambda x: revgrad.reverse(x, LAM), (1,), "float32")(ONE, ONE)
    except revgrad.InvalidLambdaError:  # the variable would be frozen
        return harness.program(lambda x: revgrad.reverse(x, LAM.value), (1,), "float32")(ONE, ONE)


for name in sys.argv[1:]:
    if revgrad.backends[name].prepare:
        importlib.import_module(revgrad.backends[name].prepare)
for name in sys.argv[1:] * 2:
    assert np.array_equal(use(name), [[1.0], [-0.5]]), name
assert LAM.value == 0.5 and not registry.failures
