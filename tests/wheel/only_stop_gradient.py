"""A backend for a framework that has only a ``stop_gradient``, on autograd: its `getval`."""

import types

import autograd.numpy as anp
import numpy as np
from autograd.extend import defjvp, defvjp, primitive
from autograd.tracer import getval

import revgrad
from revgrad_autograd.testing import AutogradHarness

# autograd's own where gives a float32 gradient back as float64, which C3 forbids.
where = primitive(np.where)
defvjp(
    where,
    lambda y, c, a, b: lambda g: where(c, g, anp.zeros_like(g)),
    lambda y, c, a, b: lambda g: where(c, anp.zeros_like(g), g),
    argnums=[1, 2],
)
defjvp(
    where,
    lambda t, y, c, a, b: where(c, t, anp.zeros_like(t)),
    lambda t, y, c, a, b: where(c, anp.zeros_like(t), t),
    argnums=[1, 2],
)
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
