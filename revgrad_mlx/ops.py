"""`reverse_gradient` and `scale_gradient`: a custom function of MLX, with all its rules."""

from __future__ import annotations

from typing import Any, Tuple, cast

import mlx.core as mx

from revgrad._names import set_module
from revgrad.backend import Lambda, resolve
from revgrad_mlx.native import native

__all__ = ["multiply_gradient", "reverse_gradient", "scale_gradient"]


@set_module("revgrad_mlx")
def reverse_gradient(x: mx.array, lam: Lambda) -> mx.array:
    """Return `x` unchanged and multiply the gradient that flows back through it by ``-lam``.

    Parameters
    ----------
    x : mlx.core.array
        Any shape, a floating or complex dtype.
    lam : float, numpy.ndarray, mlx.core.array or LambdaVariable
        λ. An array that is an argument of a compiled function changes without compiling again; a
        number is a constant of it. An array must broadcast to `x` without enlarging it. Of a
        `revgrad.LambdaVariable` the value at the forward pass counts.

    Returns
    -------
    mlx.core.array
        Of the values of `x`, in its memory.

    Raises
    ------
    UnsupportedTypeError
        If `x` is not an array, or its dtype carries no gradient.
    InvalidLambdaError
        If `lam` is not a λ, is too large for the dtype of `x`, or would enlarge it; or if it is a
        `LambdaVariable` inside a function that is compiled, exported or vectorised. The numbers of
        an array are validated where MLX computes on the CPU and nothing is compiled.

    Notes
    -----
    A `LambdaVariable` waits until `x` is computed: MLX has no other way to say whether a function
    is compiled. A number and an array do not wait.

    Examples
    --------
    >>> import mlx.core as mx
    >>> mx.grad(lambda x: reverse_gradient(x, 0.5) ** 2)(mx.array(3.0))
    array(-3, dtype=float32)
    """
    return multiply_gradient(x, -resolve(x, lam, native))


@set_module("revgrad_mlx")
def scale_gradient(x: mx.array, factor: Lambda) -> mx.array:
    """Return `x` unchanged and multiply the gradient that flows back through it by `factor`.

    Parameters
    ----------
    x : mlx.core.array
        Any shape, a floating or complex dtype.
    factor : float, numpy.ndarray, mlx.core.array or LambdaVariable
        Any real, finite number. What `revgrad_mlx.reverse_gradient` says of λ holds for it.

    Returns
    -------
    mlx.core.array
        Of the values of `x`, in its memory.

    Raises
    ------
    UnsupportedTypeError
        If `x` is not an array, or its dtype carries no gradient.
    InvalidLambdaError
        As for `revgrad_mlx.reverse_gradient`; negative numbers are accepted.

    Examples
    --------
    >>> import mlx.core as mx
    >>> mx.grad(lambda x: scale_gradient(x, -2) ** 2)(mx.array(3.0))
    array(-12, dtype=float32)
    """
    return multiply_gradient(x, resolve(x, factor, native, signed=True))


def multiply_gradient(x: mx.array, factor: mx.array) -> mx.array:
    """Return `x` with a gradient that is multiplied by a resolved factor."""
    return cast(mx.array, _identity(x, factor))


@mx.custom_function
def _identity(x: mx.array, factor: mx.array) -> mx.array:
    return x


@_identity.vjp
def _pull_back(primals: Any, cotangent: Any, output: Any) -> Tuple[mx.array, mx.array]:
    return _times(cotangent, primals[1]), mx.zeros_like(primals[1])


@_identity.jvp
def _push_forward(primals: Any, tangents: Any) -> mx.array:
    # Without this rule MLX would push the tangent on as it is: +t.
    return _times(tangents[0], primals[1])


@_identity.vmap
def _batched(inputs: Any, axes: Any) -> Tuple[mx.array, int]:
    # The custom function again, or the gradient of the batch would be that of the identity.
    (x, factor), (axis, factor_axis) = inputs, axes
    if factor_axis is not None:
        factor = mx.moveaxis(factor, factor_axis, 0)
        # The axis of the batch comes before all those of x, which may be more than the factor's.
        dimensions = x.ndim - (axis is not None)
        missing = [1] * (dimensions + 1 - factor.ndim)
        factor = factor.reshape(factor.shape[0], *missing, *factor.shape[1:])
    if axis is None:
        x = mx.broadcast_to(x, (factor.shape[0], *x.shape))
    else:
        x = mx.moveaxis(x, axis, 0)
    return multiply_gradient(x, factor), 0


def _times(g: mx.array, factor: mx.array) -> mx.array:
    if g.dtype != mx.complex64:
        return g * factor
    # As a complex product, inf would become nan.
    parts = mx.contiguous(g)[..., None].view(mx.float32) * factor[..., None]
    return parts.view(mx.complex64).reshape(g.shape)
