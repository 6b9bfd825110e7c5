"""Lets the conformance kit drive autograd."""

from __future__ import annotations

from typing import Any, Iterable, List

import autograd.numpy as anp
import numpy as np
from autograd import grad, make_jvp, make_vjp
from autograd.tracer import getval

from revgrad.testing import Harness

__all__ = ["AutogradHarness"]


class AutogradHarness(Harness):
    """Traces a function anew in each run, as autograd does."""

    backend = "autograd"
    half_dtypes = ("float16", "bfloat16")

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
