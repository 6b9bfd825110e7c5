import numpy as np
from autograd import make_jvp, make_vjp
from autograd.extend import defjvp, defvjp, primitive
from autograd.tracer import getval

import revgrad.testing

reverse = primitive(lambda x, factor: x)
defvjp(reverse, lambda y, x, factor: lambda g: -factor * g, argnums=[0])
defjvp(reverse, lambda t, y, x, factor: -factor * t, argnums=[0])


class StrangerBackend(revgrad.Backend):
    capabilities = frozenset({"forward_mode", "half_precision", "lambda_array", "threads"})

    def reverse(self, x, lam):
        return reverse(x, revgrad.reference.factor(np.asarray(getval(x)), lam))


class StrangerHarness(revgrad.testing.Harness):
    backend = "stranger"

    def program(self, fn, shape, dtype):
        def run(x, g):
            pullback, y = make_vjp(fn)(x)
            return y, pullback(g)

        return run

    def forward_mode(self, fn, shape, dtype):
        return lambda x, t: make_jvp(fn)(x)(t)
