"""`JaxNative`: how JAX casts, shapes and stores a λ or a factor."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from revgrad import InvalidLambdaError, LambdaVariable, UnsupportedTypeError
from revgrad.backend import Native, cast_lambda, lambda_as_float, no_gradient_error


class JaxNative(Native):
    """The adapter of JAX arrays and tracers."""

    lambda_words = "a JAX array"

    def dtype(self, x: Any) -> Any:
        """Return the real floating dtype of an array or tracer."""
        if not isinstance(x, (jax.Array, np.ndarray, np.generic)):
            raise UnsupportedTypeError(
                f"Expected a JAX array; got a {type(x).__name__}. Pass jax.numpy.asarray(x), or "
                "leave it out of the pytree."
            )
        real = _real_dtype(x.dtype)
        if real is None:
            raise no_gradient_error(x, x.dtype)
        return real

    def is_value(self, value: object) -> bool:
        """Say whether it is an array or a tracer."""
        return isinstance(value, jax.Array)

    def known_number(self, value: Any) -> Any:
        """Return what a concrete array in the memory of the CPU holds; this waits for it."""
        if isinstance(value, jax.core.Tracer) or not value.is_fully_addressable:
            return None
        if any(device.platform != "cpu" for device in value.devices()):
            return None  # a transfer would stall the accelerator
        return _on_host(value)

    def read_variable(self, variable: LambdaVariable, x: Any) -> float:
        """Return the value of the variable now; inside a trace this would freeze it."""
        if isinstance(x, jax.core.Tracer):
            raise InvalidLambdaError(
                f"{variable!r} was given as λ inside a function that JAX traces, which would "
                "freeze its value. Pass lam.value as an argument of the traced function, and "
                "reverse with that argument; or compute λ from the step there, "
                "schedule(progress(step, total))."
            )
        return variable.value


native = JaxNative()


def stored_lambda(lam: Any) -> jax.Array:
    """Return λ as the float32 scalar that a layer stores, validated unless it is traced."""
    if isinstance(lam, jax.core.Tracer):
        return lam.astype("float32")
    if isinstance(lam, LambdaVariable):
        raise InvalidLambdaError(
            f"{lam!r} was given as λ of a layer, which stores λ in the state of the model and "
            "would not follow the variable. Pass lam.value, and set the state at each step."
        )
    number = lambda_as_float(_on_host(lam) if isinstance(lam, jax.Array) else lam)
    return jnp.asarray(cast_lambda(number, "float32"))


def _on_host(value: jax.Array) -> Any:
    """Return a NumPy array of a dtype that NumPy itself has."""
    array = np.asarray(value)
    return array.astype(float) if array.dtype.kind == "V" else array  # bfloat16 and the like


@functools.lru_cache(maxsize=None)  # on the path of each eager reversal
def _real_dtype(dtype: Any) -> Any:
    """Return the dtype of the real part; None for a dtype that carries no gradient."""
    if not jnp.issubdtype(dtype, jnp.inexact):
        return None
    return jnp.finfo(dtype).dtype  # type: ignore[no-untyped-call, unused-ignore]
