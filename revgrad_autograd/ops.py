"""`reverse_gradient`: the reversal as a primitive of autograd, with a rule for each mode."""

from __future__ import annotations

from typing import Any

import numpy as np
from autograd.extend import Box, defjvp, defvjp, primitive
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.tracer import getval

from revgrad import InvalidLambdaError, UnsupportedTypeError
from revgrad.reference import factor

__all__ = ["reverse_gradient"]


def reverse_gradient(x: Any, lam: Any) -> Any:
    """Return `x` unchanged and multiply the gradient that flows back through it by ``-lam``.

    Parameters
    ----------
    x : ArrayBox, numpy.ndarray, numpy.generic, float or complex
        What a function that autograd traces is given, or what it gives outside a trace. Any shape,
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
    right, and so is the product of a complex number with inf in it.

    Examples
    --------
    >>> from autograd import grad
    >>> float(grad(lambda x: reverse_gradient(x, 0.5) ** 2)(3.0))
    -3.0
    """
    if isinstance(lam, Box):
        raise InvalidLambdaError(
            f"λ = {lam} is traced, so autograd is asked for its gradient, and λ has none. Keep λ "
            "out of what is differentiated, or pass its value, autograd.tracer.getval(lam)."
        )
    if not isinstance(x, (ArrayBox, np.ndarray, np.generic, float, complex)):
        raise UnsupportedTypeError(
            f"reverse() got a {type(x).__name__}, which is no array. Pass the arrays in it, one by "
            "one, or autograd.numpy.array(x)."
        )
    strength = factor(np.asarray(getval(x)), lam)
    return _reverse(x, -strength) if isinstance(x, ArrayBox) else x


@primitive
def _reverse(x: Any, minus_lam: Any) -> Any:
    return x


@primitive
def _times(g: Any, minus_lam: Any) -> Any:
    if not np.iscomplexobj(g):
        return minus_lam * g
    product = np.empty(np.shape(g), np.result_type(g))  # as a complex product, inf would become nan
    product.real, product.imag = minus_lam * np.real(g), minus_lam * np.imag(g)
    return product


for each in (_reverse, _times):
    defvjp(each, lambda y, x, minus_lam: lambda g: _times(g, minus_lam), argnums=[0])
    defjvp(each, lambda t, y, x, minus_lam: _times(t, minus_lam), argnums=[0])
