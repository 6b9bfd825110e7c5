"""Lets the conformance kit drive JAX."""

from __future__ import annotations

import functools
import importlib.util
import re
from typing import Any, Callable, Dict, Iterable, List

import jax
import jax.numpy as jnp
import numpy as np

from revgrad.testing import Harness

__all__ = ["JaxHarness"]

try:
    from jax import enable_x64
except ImportError:  # before JAX 0.8
    from jax.experimental import enable_x64  # type: ignore[no-redef]

# What moves or names data and computes nothing.
_NOT_COUNTED = {"parameter", "fusion", "constant", "broadcast", "copy", "bitcast", "tuple", "call"}


class JaxHarness(Harness):
    """Compiles everything with `jax.jit`; float64 is switched on while a check runs."""

    backend = "jax"
    half_dtypes = ("float16", "bfloat16")
    subnormals = False  # XLA takes them for zero on the CPU

    def __init__(self) -> None:
        self._traces = 0

    def _jit(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            self._traces += 1  # runs while JAX traces, and at no other time
            return function(*arguments)

        return _in_float64(jax.jit(counted))

    def program(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Compile the value and the pullback."""
        return self._jit(lambda x, g: _pulled_back(fn, x, g))

    def constant(self, array: Any) -> Any:
        """Return an array."""
        with enable_x64(True):
            return jnp.asarray(array)

    def values(self) -> Iterable[Any]:
        """Return an array, and what a few transformations make of it."""
        seen: List[Any] = [jnp.ones(2), jax.random.normal(jax.random.PRNGKey(0), (2,))]

        def see(x: Any) -> Any:
            seen.append(x)
            return x.sum()

        for transform in (jax.grad, jax.jit, jax.vmap, jax.checkpoint, jax.linearize):
            x = jnp.ones((1, 2)) if transform is jax.vmap else jnp.ones(2)
            transform(see, x) if transform is jax.linearize else transform(see)(x)
        return seen

    def views(self, fn: Any, shape: Any, dtype: Any) -> bool:
        """Look whether the very array comes back where nothing is traced."""
        x = self.constant(np.ones(shape, dtype))
        return fn(x) is x

    def compilations(self) -> int:
        """Count how often JAX has traced a function of this harness."""
        return self._traces

    def graph_lambda(self, fn: Any, shape: Any, dtype: Any, lam_shape: Any, lam_dtype: Any) -> Any:
        """Make λ an argument of the compiled function."""
        return self._jit(lambda x, lam, g: _pulled_back(lambda x: fn(x, lam), x, g))

    def lambda_gradient(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Ask for the pullback to λ."""
        return self._jit(lambda x, lam, g: jax.vjp(lambda lam: fn(x, lam), lam)[1](g)[0])

    def scalar_program(self, fn: Any, dtype: Any) -> Any:
        """Compile a function of a scalar."""
        return self._jit(fn)

    def forward_mode(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Use `jax.jvp`."""
        return self._jit(lambda x, t: jax.jvp(fn, (x,), (t,)))

    def second_order(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Differentiate the product of the gradient and `v`."""

        def cost(x: Any) -> Any:
            return (fn(x**2) ** 3).sum()

        return self._jit(
            lambda x, v: (cost(x), jax.grad(lambda x: (jax.grad(cost)(x) * v).sum())(x))
        )

    def vectorised(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Use `jax.vmap`."""
        return self._jit(lambda xs, gs: _pulled_back(jax.vmap(fn), xs, gs))

    def operations(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Read the operations out of the compiled HLO."""
        x = jnp.ones(shape, dtype)
        forward = jax.jit(lambda x: jnp.tanh(fn(x)))
        backward = jax.jit(lambda x, g: jax.vjp(fn, x)[1](g)[0])
        return hlo_operations(forward, x), hlo_operations(backward, x, x)

    def copies(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Export, write to bytes and read again; the gradient is taken afterwards."""
        from jax import export  # some versions need absl-py for it, and do not require it

        exported = export.export(jax.jit(fn))(jax.ShapeDtypeStruct(shape, dtype))
        ways = {"export": exported}
        if importlib.util.find_spec("flatbuffers"):  # JAX writes with it and does not require it
            read = export.deserialize(exported.serialize(vjp_order=1))
            ways["export, save and load"] = read
        return {how: functools.partial(_pulled_back, each.call) for how, each in ways.items()}


def hlo_operations(function: Any, *arguments: Any) -> List[str]:
    """Return the operations of a jitted function's compiled HLO that compute something.

    Parameters
    ----------
    function : callable
        What `jax.jit` returned.
    *arguments : arrays
        What it is compiled for.

    Returns
    -------
    list of str
        Names as in ``"multiply"``, in the order of the text.
    """
    text = function.lower(*arguments).compile().as_text()
    names = re.findall(r"= \S+ ([\w-]+)\(", text)
    return [name for name in names if name not in _NOT_COUNTED]


def _pulled_back(fn: Any, x: Any, g: Any) -> Any:
    y, pullback = jax.vjp(fn, x)
    return y, pullback(g)[0]


def _in_float64(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(*arrays: Any) -> Any:
        with enable_x64(True):
            return function(*arrays)

    return run
