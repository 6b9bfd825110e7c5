"""A backend for a framework that has only a ``stop_gradient``, on autograd: its `getval`."""

import types

import numpy as np
from autograd.extend import defjvp, defvjp, primitive
from autograd.tracer import getval

import revgrad
from revgrad_autograd.testing import AutogradHarness

# autograd's own where gives a float32 gradient back as float64, which C3 forbids.
masked = primitive(lambda mask, a: np.where(mask, a, np.zeros_like(a)))
defvjp(masked, lambda y, mask, a: lambda g: masked(mask, g), argnums=[1])
defjvp(masked, lambda t, y, mask, a: masked(mask, t), argnums=[1])


def where(condition, a, b):
    return masked(condition, a) + masked(~condition, b)


xp = types.SimpleNamespace(isfinite=np.isfinite, where=where, zeros_like=np.zeros_like)


class ResidualBackend(revgrad.Backend):
    native = revgrad.backend.EagerNative()
    capabilities = frozenset(
        {"forward_mode", "half_precision", "lambda_array", "second_order", "threads"}
    )

    def multiply_gradient(self, x, factor):
        return revgrad.backend.residual_form(x, factor, stop_gradient=getval, xp=xp)


class ResidualHarness(AutogradHarness):
    backend = "residual"
    unsupported = {"*": "only what the example is about is declared"}
    expected_failures = {
        "any_cotangent": "an element of x that is inf or nan passes no gradient on",
        "half_precision": "an element of x that is inf or nan passes no gradient on",
    }


SPEC = revgrad.BackendSpec(
    "residual", ("autograd.numpy.numpy_boxes:ArrayBox",), "only_stop_gradient:ResidualBackend"
)
