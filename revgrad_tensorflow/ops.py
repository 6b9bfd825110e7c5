"""`reverse_gradient`: the reversal as a TensorFlow function with a gradient of its own."""

from __future__ import annotations

from typing import Any, List

import numpy as np
import tensorflow as tf

import revgrad
from revgrad.backend import (
    cast_lambda,
    check_lambda_shape,
    normalize_lambda,
    no_gradient_error,
    unknown_lambda_error,
)

__all__ = ["as_lambda", "reverse_gradient"]


def reverse_gradient(x: Any, lam: Any) -> Any:
    """Return `x` unchanged and multiply the gradient that flows back through it by ``-lam``.

    Parameters
    ----------
    x : tf.Tensor, tf.Variable or tf.RaggedTensor
        Of any shape and of a floating or complex dtype.
    lam : float, numpy.ndarray, tf.Tensor, tf.Variable or LambdaVariable
        λ. A variable is read at the forward pass: what it holds may change between two runs of a
        traced function, as an argument of the function may; nothing is traced again. An array
        must broadcast to `x` without enlarging it.

    Returns
    -------
    tf.Tensor or tf.RaggedTensor
        Of the shape and dtype of `x`.

    Raises
    ------
    UnsupportedTypeError
        If the dtype of `x` carries no gradient, or TensorFlow makes no tensor of it.
    InvalidLambdaError
        If `lam` is not a λ, or would enlarge `x`.

    Notes
    -----
    The gradient is that of a `tf.custom_gradient`, which TensorFlow by itself loses without a word
    under a `tf.autodiff.ForwardAccumulator` and in a gradient through `tf.vectorized_map`: both
    look at the operations inside. Here they find a `tf.stop_gradient`, and take the ways that are
    left: the gradient that was recorded, that of a call, and a rule of ours for vectorising.

    Examples
    --------
    >>> import tensorflow as tf
    >>> x = tf.Variable(3.0)
    >>> with tf.GradientTape() as tape:
    ...     y = reverse_gradient(x, 0.5) ** 2
    >>> float(tape.gradient(y, x))
    -3.0
    """
    if isinstance(x, tf.RaggedTensor):
        return x.with_flat_values(reverse_gradient(x.flat_values, _for_ragged(lam)))
    try:
        x = tf.convert_to_tensor(x)
    except (TypeError, ValueError) as error:
        raise revgrad.UnsupportedTypeError(
            f"TensorFlow makes no tensor of a {type(x).__name__}. Pass a tensor, a variable or an "
            "array; of a sparse tensor, reverse the values."
        ) from error
    if not (x.dtype.is_floating or x.dtype.is_complex):
        raise no_gradient_error(x, x.dtype.name)
    lam = as_lambda(lam, x)
    return _reverse(x, lam) if tf.executing_eagerly() else _reverse_in_graph(x, lam)


def as_lambda(lam: Any, x: Any) -> Any:
    """Return λ as a tensor that suits `x`.

    Parameters
    ----------
    lam : float, numpy.ndarray, tf.Tensor, tf.Variable or LambdaVariable
        λ.
    x : tf.Tensor
        What is to be reversed.

    Returns
    -------
    tf.Tensor
        Of the real dtype of `x`, with at most its dimensions.

    Raises
    ------
    InvalidLambdaError
        If `lam` is not a λ, would enlarge `x`, or is too large for its dtype.
    """
    lam, real = normalize_lambda(lam), x.dtype.real_dtype
    if isinstance(lam, (float, np.ndarray)):
        lam = tf.constant(cast_lambda(lam, real.as_numpy_dtype))
    elif isinstance(lam, revgrad.LambdaVariable):
        lam = lam.cell(revgrad.get_backend("tensorflow"))
    elif not isinstance(lam, (tf.Tensor, tf.Variable)):
        raise unknown_lambda_error(lam, "a tensor or variable of TensorFlow")
    if not (lam.dtype.is_floating or lam.dtype.is_integer):
        raise revgrad.InvalidLambdaError(
            f"λ must be real; got a tensor of dtype {lam.dtype.name}. Cast it to a float dtype."
        )
    if lam.shape.rank and x.shape.rank is not None:
        check_lambda_shape(lam.shape, x.shape)
    return tf.cast(lam, real)


def _for_ragged(lam: Any) -> Any:
    lam = normalize_lambda(lam)
    if getattr(lam, "shape", ()) not in ((), tf.TensorShape(())):
        raise revgrad.InvalidLambdaError(
            f"λ of shape {tuple(lam.shape)} was given for a ragged tensor, which takes one number. "
            "Reverse its flat_values with one λ for each of them."
        )
    return lam


@tf.custom_gradient
def _reverse(x: Any, lam: Any) -> Any:
    def pullback(g: Any) -> Any:
        factor = -tf.stop_gradient(lam)
        if g.dtype.is_complex:  # as a complex product, inf would become nan
            return tf.complex(factor * tf.math.real(g), factor * tf.math.imag(g)), None
        return factor * g, None

    # Without stop_gradient, a ForwardAccumulator would push t instead of -λt.
    return tf.stop_gradient(x), pullback


def _reverse_in_graph(x: Any, lam: Any) -> Any:
    # A function of its own, because a ForwardAccumulator inside the function that is traced now
    # would see no way through stop_gradient; here it takes the gradient of the call. And a new one
    # each time, because TensorFlow does not lock the gradient of a function that threads share.
    function = tf.function(_reverse_with_rule, autograph=False)
    return function.get_concrete_function(x, lam)(x, lam)


def _reverse_with_rule(x: Any, lam: Any) -> Any:
    y = _reverse(x, lam)
    y.op.pfor_converter = _vectorised
    return y


def _vectorised(pfor_input: Any) -> List[Any]:
    """Convert the operation of `_reverse` for `tf.vectorized_map`, which forgets its gradient."""
    _, x, lam = pfor_input.inputs
    pfor_input.stack_inputs([1])  # every λ of the batch meets the same x
    pfor_input.expanddim_inputs_for_broadcast()
    _, xs, lams = pfor_input.inputs
    return [xs._replace(t=_reverse_with_rule(xs.t, lams.t)), x, lam]
