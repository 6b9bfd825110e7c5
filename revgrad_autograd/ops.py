"""`reverse_gradient` and `scale_gradient`: a primitive of autograd, with a rule for each mode."""

from typing import Any, TypeVar, cast

import numpy as np
from autograd.extend import defjvp, defvjp, primitive
from autograd.numpy.numpy_boxes import ArrayBox

from revgrad._names import set_module
from revgrad.backend import Lambda, resolve
from revgrad_autograd.native import native

X = TypeVar("X")


@set_module("revgrad_autograd")
def reverse_gradient(x: X, lam: Lambda) -> X:
    """Return `x` unchanged and multiply the gradient that flows back through it by ``-lam``.

    Parameters
    ----------
    x : ArrayBox, numpy.ndarray, numpy.generic, float or complex
        The argument of a function that autograd traces, or a value outside a trace. Any shape,
        floating or complex dtype.
    lam : float, numpy.ndarray or LambdaVariable
        λ. An array must broadcast to `x` without enlarging it. Of a `revgrad.LambdaVariable`, the
        value at the forward pass counts.

    Returns
    -------
    ArrayBox, numpy.ndarray, numpy.generic, float or complex
        What `x` is, without a copy; what is not traced is returned itself.

    Raises
    ------
    UnsupportedTypeError
        If `x` is neither an array nor a number, or its dtype carries no gradient.
    InvalidLambdaError
        If `lam` is not a λ, would enlarge `x`, or is traced, which asks for its gradient.

    Notes
    -----
    The rules multiply by a primitive that is its own rule, so that every order of derivative is
    correct, and so is the product of a complex number with inf in it.

    Examples
    --------
    >>> from autograd import grad
    >>> float(grad(lambda x: reverse_gradient(x, 0.5) ** 2)(3.0))
    -3.0
    """
    return cast(X, multiply_gradient(x, -resolve(x, lam, native)))


@set_module("revgrad_autograd")
def scale_gradient(x: X, factor: Lambda) -> X:
    """Return `x` unchanged and multiply the gradient that flows back through it by `factor`.

    Parameters
    ----------
    x : ArrayBox, numpy.ndarray, numpy.generic, float or complex
        As for `reverse_gradient`.
    factor : float, numpy.ndarray or LambdaVariable
        Any real, finite number. What `reverse_gradient` says of λ holds for it.

    Returns
    -------
    ArrayBox, numpy.ndarray, numpy.generic, float or complex
        What `x` is, without a copy; what is not traced is returned itself.

    Raises
    ------
    UnsupportedTypeError
        If `x` is neither an array nor a number, or its dtype carries no gradient.
    InvalidLambdaError
        If `factor` is not real and finite, would enlarge `x`, or is traced.

    Examples
    --------
    >>> from autograd import grad
    >>> float(grad(lambda x: scale_gradient(x, -2) ** 2)(3.0))
    -12.0
    """
    return cast(X, multiply_gradient(x, resolve(x, factor, native, signed=True)))


def multiply_gradient(x: Any, factor: Any) -> Any:
    """Return `x` with a gradient that is multiplied by a resolved factor."""
    return _identity(x, factor) if isinstance(x, ArrayBox) else x


@primitive  # type: ignore[untyped-decorator, unused-ignore]
def _identity(x: Any, factor: Any) -> Any:
    """Return `x` itself."""
    return x


@primitive  # type: ignore[untyped-decorator, unused-ignore]
def _times(g: Any, factor: Any) -> Any:
    """Return the product, in the dtype of `g`."""
    if not np.iscomplexobj(g):
        return factor * g
    product = np.empty(np.shape(g), np.result_type(g))  # as a complex product, inf would become nan
    product.real, product.imag = factor * np.real(g), factor * np.imag(g)
    return product


for each in (_identity, _times):
    defvjp(each, lambda y, x, factor: lambda g: _times(g, factor), argnums=[0])
    defjvp(each, lambda t, y, x, factor: _times(t, factor), argnums=[0])
