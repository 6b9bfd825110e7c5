"""The contract written in NumPy: for hand-written back-propagation, and as an oracle for tests.

Examples
--------
A linear feature and a linear domain score, differentiated by hand:

>>> import numpy as np
>>> x, w, v = np.ones(3), np.array([1.0, 2.0, 3.0]), 2.0
>>> feature = w @ x
>>> score = v * forward(np.asarray(feature), 0.5)
>>> gradient_of_feature = pullback(np.asarray(v), 0.5)
>>> gradient_of_feature * x
array([-1., -1., -1.])
"""

from __future__ import annotations

from typing import Any

import numpy as np

from revgrad._lambda import normalize_lambda
from revgrad._variable import LambdaVariable
from revgrad.backend import (
    Backend,
    cast_lambda,
    check_lambda_shape,
    no_gradient_error,
    unknown_lambda_error,
)
from revgrad.exceptions import UnsupportedTypeError

__all__ = ["NumpyBackend", "factor", "forward", "pullback"]


def factor(x: Any, lam: Any) -> Any:
    """Return λ as an array of the dtype of `x`, having judged both.

    What a backend for a framework on NumPy needs of λ; the cotangent is multiplied by ``-factor``.

    Parameters
    ----------
    x : numpy.ndarray or numpy.generic
        What is to be reversed: any shape, floating or complex dtype.
    lam : float, LambdaVariable or numpy.ndarray
        λ; of a variable, the value that it has now.

    Returns
    -------
    numpy.ndarray
        A new array of the shape of λ, of the real dtype that belongs to the dtype of `x`.

    Raises
    ------
    UnsupportedTypeError
        If `x` is no NumPy value, or its dtype carries no gradient.
    InvalidLambdaError
        If `lam` is not a λ, is too large for the dtype of `x`, or would enlarge `x`.

    Examples
    --------
    >>> factor(np.ones(3, "float32"), 0.5)
    array(0.5, dtype=float32)
    """
    if not isinstance(x, (np.ndarray, np.generic)):
        raise UnsupportedTypeError(
            f"Expected a NumPy array or scalar; got a {type(x).__name__}. Pass numpy.asarray(x) of "
            "a number or list, or leave backend= out to have the backend chosen by type."
        )
    dtype = x.dtype
    # Kind "V" with a scalar type of its own is a float of an extension: bfloat16 of ml_dtypes.
    extension = dtype.kind == "V" and not issubclass(dtype.type, np.void)
    if dtype.kind not in "fc" and not extension:
        raise no_gradient_error(x, dtype)
    lam = normalize_lambda(lam)
    if isinstance(lam, LambdaVariable):
        lam = lam.value
    if not isinstance(lam, (float, np.ndarray)):
        raise unknown_lambda_error(lam, "a NumPy scalar")
    check_lambda_shape(np.shape(lam), x.shape)
    return cast_lambda(lam, np.zeros(0, dtype).real.dtype)


def forward(x: Any, lam: Any) -> Any:
    """Return `x` itself, having judged it and λ.

    Parameters
    ----------
    x : numpy.ndarray or numpy.generic
        Any shape, floating or complex dtype.
    lam : float, LambdaVariable or numpy.ndarray
        λ; an array must broadcast to the shape of `x` without enlarging it.

    Returns
    -------
    numpy.ndarray or numpy.generic
        The object `x`.

    Raises
    ------
    UnsupportedTypeError
        If `x` is no NumPy value, or its dtype carries no gradient.
    InvalidLambdaError
        If `lam` is not a λ, is too large for the dtype of `x`, or would enlarge `x`.

    Examples
    --------
    >>> x = np.array([1.0, np.nan])
    >>> forward(x, 0.5) is x
    True
    """
    factor(x, lam)
    return x


def pullback(g: Any, lam: Any) -> Any:
    """Return ``-lam * g``, the gradient with respect to `x` where `g` is the one of the output.

    Parameters
    ----------
    g : numpy.ndarray or numpy.generic
        The cotangent: the shape and dtype of `x`.
    lam : float, LambdaVariable or numpy.ndarray
        λ; it is cast to the dtype of `g`, never the other way.

    Returns
    -------
    numpy.ndarray or numpy.generic
        The shape and dtype of `g`.

    Raises
    ------
    UnsupportedTypeError
        If `g` is no NumPy value, or its dtype carries no gradient.
    InvalidLambdaError
        If `lam` is not a λ, is too large for the dtype of `g`, or would enlarge `g`.

    Notes
    -----
    Forward mode is the same product: the tangent ``t`` is pushed to ``-lam * t``.

    Examples
    --------
    >>> pullback(np.array([1.0, -2.0, np.inf], dtype="float32"), 0.5)
    array([-0.5,  1. , -inf], dtype=float32)
    """
    strength = factor(g, lam)
    product = np.empty(g.shape, g.dtype)
    if g.dtype.kind == "c":  # as a complex product, -λ * (inf + 0j) would hold a nan
        product.real, product.imag = -strength * g.real, -strength * g.imag
    else:
        product[...] = -strength * g
    return product if isinstance(g, np.ndarray) else product[()]


class NumpyBackend(Backend):
    """NumPy arrays and scalars pass as they are, so that model code also runs outside a trace."""

    def reverse(self, x: Any, lam: Any) -> Any:
        """Return `x` itself; see `forward`."""
        return forward(x, lam)

    @property
    def xp(self) -> Any:
        """NumPy."""
        return np
