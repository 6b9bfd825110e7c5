"""`reverse_gradient`: the reversal as a JAX function with one linear rule."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name

from revgrad import InvalidLambdaError, LambdaVariable, UnsupportedTypeError
from revgrad.backend import (
    cast_lambda,
    check_lambda_shape,
    normalize_lambda,
    no_gradient_error,
    unknown_lambda_error,
)

__all__ = ["reverse_gradient"]


def reverse_gradient(x: Any, lam: Any) -> Any:
    """Return `x` unchanged and multiply the gradient that flows back through it by ``-lam``.

    Parameters
    ----------
    x : jax.Array, tracer, or pytree of them
        Each leaf of any shape and of a floating or complex dtype.
    lam : float, numpy.ndarray, jax.Array, tracer or LambdaVariable
        λ. A traced value, an argument of the compiled function say, changes without compiling
        again; a number is a constant of it. An array must broadcast to every leaf without
        enlarging it. A `revgrad.LambdaVariable` is refused inside a trace, which would freeze it.

    Returns
    -------
    jax.Array, tracer, or pytree of them
        What `x` is; an array that is not traced is returned itself, with its sharding.

    Raises
    ------
    UnsupportedTypeError
        If a leaf is no array, or its dtype carries no gradient; the error names the leaf.
    InvalidLambdaError
        If `lam` is not a λ, would enlarge a leaf, or is a `LambdaVariable` inside a trace.

    Notes
    -----
    One rule serves forward and reverse mode, which transposes it: the tangent is multiplied by
    ``-lam``. The rule reverses the primal too, so that the second derivative of ``f(reverse(x))``
    is ``λ² f''``.

    Examples
    --------
    >>> import jax
    >>> jax.grad(lambda x: reverse_gradient(x, 0.5) ** 2)(3.0)
    Array(-3., dtype=float32, weak_type=True)
    """
    lam = normalize_lambda(lam)
    if isinstance(x, jax.Array):
        return _reverse_leaf(x, lam)

    def reverse_at(path: Any, leaf: Any) -> Any:
        try:
            return _reverse_leaf(leaf, lam)
        except (UnsupportedTypeError, InvalidLambdaError) as error:
            where = jax.tree_util.keystr(path)
            raise type(error)(f"At the leaf x{where}: {error}") from error

    return jax.tree_util.tree_map_with_path(reverse_at, x)


def _reverse_leaf(x: Any, lam: Any) -> Any:
    if not isinstance(x, (jax.Array, np.ndarray, np.generic)):
        raise UnsupportedTypeError(
            f"reverse() got a {type(x).__name__}, which is no array. Pass jax.numpy.asarray(x), or "
            "leave it out of the pytree."
        )
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        raise no_gradient_error(x, x.dtype)
    traced = isinstance(x, jax.core.Tracer)
    if isinstance(lam, LambdaVariable):
        if traced:
            raise InvalidLambdaError(
                f"{lam!r} was given as λ inside a function that JAX traces, which would freeze its "
                "value. Pass lam.value as an argument of the traced function, and reverse with "
                "that argument; or compute λ from the step there, schedule(progress(step, total))."
            )
        lam = lam.value
    lam = _as_lambda(lam, x)
    return _reverse(x, lam) if traced else x  # what is not traced has no gradient


def _as_lambda(lam: Any, x: Any) -> Any:
    real = jnp.finfo(x.dtype).dtype
    if isinstance(lam, (float, np.ndarray)):
        check_lambda_shape(np.shape(lam), x.shape)
        return cast_lambda(lam, real)
    if not isinstance(lam, jax.Array):
        raise unknown_lambda_error(lam, "a JAX array")
    if not (jnp.issubdtype(lam.dtype, jnp.floating) or jnp.issubdtype(lam.dtype, jnp.integer)):
        raise InvalidLambdaError(
            f"λ must be real; got a JAX array of dtype {lam.dtype}. Cast it to a float dtype."
        )
    check_lambda_shape(lam.shape, x.shape)
    return lam.astype(real)


@jax.custom_jvp
def _reverse(x: Any, lam: Any) -> Any:
    # jax.experimental.jet ignores the rule and would push +t through this body. It knows no names,
    # so it raises; to everything else the name is the identity, and nothing is left of it in HLO.
    # Before JAX 0.6 shard_map knows none either.
    return checkpoint_name(x, "revgrad") if jax.__version_info__ >= (0, 6) else x


@_reverse.defjvp
def _push_forward(primals: Any, tangents: Any) -> Any:
    x, lam = primals
    tangent, _ = tangents  # that of λ goes nowhere
    if jnp.iscomplexobj(tangent):  # as a complex product, inf would become nan
        pushed = jax.lax.complex(-lam * jnp.real(tangent), -lam * jnp.imag(tangent))
    else:
        pushed = -lam * tangent
    return _reverse(x, lam), pushed
