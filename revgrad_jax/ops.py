"""`reverse_gradient` and `scale_gradient`: JAX functions with one linear rule."""

from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from revgrad import InvalidLambdaError, UnsupportedTypeError
from revgrad._names import set_module
from revgrad.backend import Lambda, resolve
from revgrad_jax.native import native

X = TypeVar("X")


@set_module("revgrad_jax")
def reverse_gradient(x: X, lam: Lambda) -> X:
    """Return `x` unchanged and multiply the gradient that flows back through it by ``-lam``.

    Parameters
    ----------
    x : jax.Array, tracer, or pytree of them
        Each leaf of any shape and of a floating or complex dtype.
    lam : float, numpy.ndarray, jax.Array, tracer or LambdaVariable
        λ. A traced value, an argument of the compiled function say, changes without compiling
        again; a number is a constant of it. An array must broadcast to every leaf without
        enlarging it. A `revgrad.LambdaVariable` is rejected inside a trace, which would freeze it.

    Returns
    -------
    jax.Array, tracer, or pytree of them
        What `x` is; an array that is not traced is returned itself, with its sharding.

    Raises
    ------
    UnsupportedTypeError
        If a leaf is not an array, or its dtype carries no gradient; the error names the leaf.
    InvalidLambdaError
        If `lam` is not a λ, would enlarge a leaf, or is a `LambdaVariable` inside a trace. A
        concrete array on the CPU is validated like a number; a tracer, and an array on another
        device, is not.

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
    return cast(X, _over_leaves(x, lam, signed=False))


@set_module("revgrad_jax")
def scale_gradient(x: X, factor: Lambda) -> X:
    """Return `x` unchanged and multiply the gradient that flows back through it by `factor`.

    Parameters
    ----------
    x : jax.Array, tracer, or pytree of them
        Each leaf of any shape and of a floating or complex dtype.
    factor : float, numpy.ndarray, jax.Array, tracer or LambdaVariable
        Any real, finite number. What `revgrad_jax.reverse_gradient` says of λ holds for it.

    Returns
    -------
    jax.Array, tracer, or pytree of them
        What `x` is; an array that is not traced is returned itself, with its sharding.

    Raises
    ------
    UnsupportedTypeError
        If a leaf is not an array, or its dtype carries no gradient; the error names the leaf.
    InvalidLambdaError
        If `factor` is not finite, not real, would enlarge a leaf, or is a `LambdaVariable` inside
        a trace.

    Examples
    --------
    >>> import jax
    >>> jax.grad(lambda x: scale_gradient(x, -0.1) ** 2)(3.0)
    Array(-0.6, dtype=float32, weak_type=True)
    """
    return cast(X, _over_leaves(x, factor, signed=True))


def _over_leaves(x: Any, lam: Any, signed: bool) -> Any:
    """Scale the gradient of an array, or of each leaf of a pytree."""
    if isinstance(x, jax.Array):
        return _scale_leaf(x, lam, signed)

    def scale_at(path: Any, leaf: Any) -> Any:
        try:
            return _scale_leaf(leaf, lam, signed)
        except (UnsupportedTypeError, InvalidLambdaError) as error:
            where = jax.tree_util.keystr(path)
            raise type(error)(f"At the leaf x{where}: {error}") from error

    return jax.tree_util.tree_map_with_path(scale_at, x)


def _scale_leaf(x: Any, lam: Any, signed: bool) -> Any:
    """Scale the gradient of one array."""
    factor = resolve(x, lam, native, signed)
    if not isinstance(x, jax.core.Tracer):
        return x  # what is not traced has no gradient
    return _multiply(x, factor if signed else -factor)


@jax.custom_jvp
def _multiply(x: Any, factor: Any) -> Any:
    # jax.experimental.jet ignores the rule and would push +t through this body. It has no rule for
    # names, so it raises; to everything else the name is the identity, which leaves no trace in
    # HLO. Before JAX 0.6 shard_map has no rule for names either.
    if jax.__version_info__ < (0, 6):
        return x
    return checkpoint_name(x, "revgrad")  # type: ignore[no-untyped-call, unused-ignore]


@_multiply.defjvp
def _push_forward(primals: Any, tangents: Any) -> Any:
    x, factor = primals
    tangent, _ = tangents  # that of the factor goes nowhere
    if jnp.iscomplexobj(tangent):  # as a complex product, inf would become nan
        pushed = jax.lax.complex(factor * jnp.real(tangent), factor * jnp.imag(tangent))
    else:
        pushed = factor * tangent
    return _multiply(x, factor), pushed
