"""Lets the conformance suite drive JAX."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import re
from typing import Any, Callable, Dict, Iterable, List, Tuple

import jax
import jax.numpy as jnp
import numpy as np

from revgrad.testing import Harness

__all__ = ["JaxHarness"]

try:
    from jax import enable_x64
except ImportError:  # before JAX 0.8
    from jax.experimental import enable_x64  # type: ignore[no-redef, attr-defined, unused-ignore]

# What moves or names data and computes nothing.
_NOT_COUNTED = {"parameter", "fusion", "constant", "broadcast", "copy", "bitcast", "tuple", "call"}


class JaxHarness(Harness):
    """Compiles everything with `jax.jit`; float64 is switched on while a check runs."""

    backend = "jax"
    half_dtypes = ("float16", "bfloat16")
    subnormals = False  # XLA takes them for zero on the CPU
    unsupported = {
        "layers": "JAX itself has none; those for Flax and Equinox have tests of their own",
        "rewritten": "JAX differentiates what it traced, before XLA rewrites it",
    }

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
        """Return arrays that are not traced."""
        return [jnp.ones(2), jax.random.normal(jax.random.PRNGKey(0), (2,))]

    def views(self, fn: Any, shape: Any, dtype: Any) -> bool:
        """Look whether the very array comes back where nothing is traced."""
        x = self.constant(np.ones(shape, dtype))
        return fn(x) is x

    def several_outputs(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Compile all values and their pullback in one program."""
        return {"jit": self._jit(lambda x, gs: _pulled_back(fn, x, tuple(gs)))}

    def in_place(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Donate the buffer of what was reversed; write to a mutable reference."""
        programs = {"a donated buffer": (_donating(fn, False), _donating(fn, True))}
        if hasattr(jax, "new_ref"):  # from JAX 0.8
            pair = (self.program(_writing(fn, copy), shape, dtype) for copy in (False, True))
            programs["a mutable reference"] = tuple(pair)
        return programs

    def modes(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Run without compiling, and with the debugging modes of JAX."""
        compiled = jax.jit(lambda x, g: _pulled_back(fn, x, g))
        contexts: Dict[str, Callable[[], Any]] = {
            "compiled": contextlib.nullcontext,
            "jit disabled": jax.disable_jit,
            "leaks checked": jax.checking_leaks,
            "nans checked": lambda: jax.debug_nans(True),
        }
        return {how: _in_float64(_within(each, compiled)) for how, each in contexts.items()}

    def instances(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Hand in the tracers of several transformations."""
        mapped = jax.vmap(lambda x, g: _pulled_back(fn, x, g))
        programs = {
            "the tracer of vjp": lambda x, g: _pulled_back(fn, x, g),
            "the tracer of checkpoint": lambda x, g: _pulled_back(jax.checkpoint(fn), x, g),
            "the tracer of jit": lambda x, g: _pulled_back(jax.jit(fn), x, g),
            "the tracer of vmap": mapped,
        }
        return {kind: _in_float64(run) for kind, run in programs.items()}

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

        with enable_x64(True):
            exported = export.export(jax.jit(fn))(jnp.ones(shape, dtype))
            programs = {"export": exported}
            if importlib.util.find_spec("flatbuffers"):  # JAX writes with it, not requiring it
                read = export.deserialize(exported.serialize(vjp_order=1))
                programs["export, save and load"] = read
        return {
            how: _in_float64(functools.partial(_pulled_back, each.call))
            for how, each in programs.items()
        }


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


def _donating(fn: Any, copy: bool) -> Any:
    """Return a program that reverses `h`, donates its buffer, and uses the reversal afterwards."""
    relu = jax.jit(lambda h: jnp.maximum(h, 0), donate_argnums=0)

    def run(x: Any, g: Any) -> Tuple[Any, Any]:
        h = jnp.asarray(x) * 1
        y, pullback = jax.vjp(fn, h)
        z = relu(jnp.array(h, copy=True) if copy else h)
        return y + z, pullback(g)[0]

    return _in_float64(run)


def _writing(fn: Any, copy: bool) -> Any:
    """Return a function that reverses what a reference holds, and then writes to it."""

    def written(x: Any) -> Any:
        ref = jax.new_ref(x * 1)
        y = fn(ref[...])
        if copy:
            return y + jnp.maximum(x * 1, 0)
        ref[...] = jnp.maximum(ref[...], 0)
        return y + ref[...]

    return written


def _within(context: Callable[[], Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """Run a function within a context."""

    def run(*arguments: Any) -> Any:
        with context():
            return function(*arguments)

    return run


def _in_float64(function: Callable[..., Any]) -> Callable[..., Any]:
    return _within(lambda: enable_x64(True), function)
