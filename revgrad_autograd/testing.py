"""Lets the conformance suite drive autograd."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List

import autograd.numpy as anp
import numpy as np
from autograd import grad, make_jvp, make_vjp
from autograd.builtins import tuple as traced_tuple
from autograd.tracer import getval

from revgrad.testing import Harness

__all__ = ["AutogradHarness"]


class AutogradHarness(Harness):
    """Traces a function anew in each run, as autograd does."""

    backend = "autograd"
    half_dtypes = ("float16", "bfloat16")
    unsupported = {
        "compilations": "autograd compiles nothing",
        "copies": "autograd has no graph that outlives a call",
        "layers": "autograd has no layers",
        "modes": "autograd has no modes",
        "operations": "autograd compiles nothing",
        "rewritten": "autograd rewrites nothing",
        "vectorised": "autograd vectorises nothing",
    }

    def program(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Use `autograd.make_vjp`."""
        return lambda x, g: _pulled_back(fn, x, g)

    def constant(self, array: Any) -> Any:
        """Return the array."""
        return array

    def values(self) -> Iterable[Any]:
        """Return what each mode hands to a function: boxes of arrays, of numbers and of boxes."""
        seen: List[Any] = []

        def see(x: Any) -> Any:
            seen.append(x)
            return anp.sum(x**2)

        for x in (np.ones(2), 1.0, 1j, np.float32(1)):
            make_vjp(see)(x)
            make_jvp(see)(x)(x)
        grad(grad(see))(1.0)
        return seen

    def views(self, fn: Any, shape: Any, dtype: Any) -> bool:
        """Look whether the box holds the very array."""
        x = np.ones(shape, dtype)
        seen: List[Any] = []

        def see(box: Any) -> Any:
            seen.append(fn(box))
            return seen[0]

        make_vjp(see)(x)
        return getval(seen[0]) is x and fn(x) is x

    def several_outputs(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Trace a function that returns a tuple."""
        return {"a tuple": lambda x, gs: _pulled_back(lambda x: traced_tuple(fn(x)), x, tuple(gs))}

    def in_place(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Add in place, which makes a new value; autograd rejects an assignment to an item."""

        def adding(x: Any, copy: bool) -> Any:
            h = x * 1.0
            y = fn(h)
            written = y * 1.0 if copy else y
            written += h
            return y * written + h

        def program(function: Any, copy: bool) -> Any:
            return lambda x, g: _pulled_back(lambda x: function(x, copy), x, g)

        return {"addition": (program(adding, False), program(adding, True))}

    def instances(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Take `x` out of a container, and out of a trace in a trace."""

        def nested(x: Any, g: Any) -> Any:
            return make_vjp(lambda x: traced_tuple(_pulled_back(fn, x, g)))(x)[1]

        def contained(x: Any, g: Any) -> Any:
            pullback, y = make_vjp(lambda xs: fn(xs[0]))([x])
            return y, pullback(g)[0]

        return {"a box of a box": nested, "an item of a list": contained}

    def graph_lambda(self, fn: Any, shape: Any, dtype: Any, lam_shape: Any, lam_dtype: Any) -> Any:
        """Make λ an argument that is not differentiated, which is a NumPy value."""
        return lambda x, lam, g: _pulled_back(lambda x: fn(x, lam), x, g)

    def lambda_gradient(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Ask for the pullback to λ."""
        return lambda x, lam, g: make_vjp(lambda lam: fn(x, lam))(lam)[0](g)

    def scalar_program(self, fn: Any, dtype: Any) -> Any:
        """Trace a function of a scalar, and compute its value."""
        return lambda p: make_vjp(fn)(p)[1]

    def forward_mode(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Use `autograd.make_jvp`."""
        return lambda x, t: make_jvp(fn)(x)(t)

    def second_order(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Pull `v` back through the gradient."""

        def cost(x: Any) -> Any:
            return anp.sum(fn(x**2) ** 3)

        return lambda x, v: (cost(x), make_vjp(grad(cost))(x)[0](v))


def _pulled_back(fn: Any, x: Any, g: Any) -> Any:
    pullback, y = make_vjp(fn)(x)
    with np.errstate(all="ignore"):  # overflow is what the checks ask for
        return y, pullback(g)
