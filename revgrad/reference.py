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

from typing import Any

import numpy as np

from revgrad.backend import Backend, EagerNative, resolve
from revgrad.exceptions import UnsupportedTypeError

__all__ = ["NumpyBackend", "NumpyNative", "forward", "native", "pullback", "scaled_pullback"]


class NumpyNative(EagerNative):
    """The adapter of NumPy."""

    def dtype(self, x: Any) -> Any:
        """Return the real floating dtype of an array or scalar."""
        if not isinstance(x, (np.ndarray, np.generic)):
            raise UnsupportedTypeError(
                f"Expected a NumPy array or scalar; got a {type(x).__name__}. Pass "
                "numpy.asarray(x) of a number or list, or leave backend= out to have the backend "
                "chosen by type."
            )
        return super().dtype(x)


native = NumpyNative()


def forward(x: Any, lam: Any) -> Any:
    """Return `x` itself, after validating it and λ.

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
        If `x` is not a NumPy value, or its dtype carries no gradient.
    InvalidLambdaError
        If `lam` is not a λ, is too large for the dtype of `x`, or would enlarge `x`.

    Examples
    --------
    >>> x = np.array([1.0, np.nan])
    >>> forward(x, 0.5) is x
    True
    """
    resolve(x, lam, native)
    return x


def pullback(g: Any, lam: Any) -> Any:
    """Return ``-lam * g``, the gradient with respect to `x` where `g` is that of the output.

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
        If `g` is not a NumPy value, or its dtype carries no gradient.
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
    return _product(g, -resolve(g, lam, native))


def scaled_pullback(g: Any, factor: Any) -> Any:
    """Return ``factor * g``, the pullback of `revgrad.scale_gradient`.

    Parameters
    ----------
    g : numpy.ndarray or numpy.generic
        The cotangent: the shape and dtype of `x`.
    factor : float, LambdaVariable or numpy.ndarray
        Any real, finite factor; it is cast to the dtype of `g`.

    Returns
    -------
    numpy.ndarray or numpy.generic
        The shape and dtype of `g`.

    Raises
    ------
    UnsupportedTypeError
        If `g` is not a NumPy value, or its dtype carries no gradient.
    InvalidLambdaError
        If `factor` is not a factor, is too large for the dtype of `g`, or would enlarge `g`.

    Examples
    --------
    >>> scaled_pullback(np.array([1.0, -2.0]), 3)
    array([ 3., -6.])
    """
    return _product(g, resolve(g, factor, native, signed=True))


def _product(g: Any, factor: Any) -> Any:
    cotangent = np.asarray(g)  # an np.matrix would multiply as matrices do
    product = np.empty(cotangent.shape, cotangent.dtype)
    if cotangent.dtype.kind == "c":  # as a complex product, -λ * (inf + 0j) would hold a nan
        product.real, product.imag = factor * cotangent.real, factor * cotangent.imag
    else:
        product[...] = factor * cotangent
    return product if isinstance(g, np.ndarray) else product[()]


class NumpyBackend(Backend):
    """Returns NumPy arrays and scalars as they are, so that model code also runs untraced."""

    native = native

    def multiply_gradient(self, x: Any, factor: Any) -> Any:
        """Return `x` itself: it is a constant."""
        return x

    @property
    def xp(self) -> Any:
        """NumPy."""
        return np
