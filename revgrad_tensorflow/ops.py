"""`reverse_gradient` and `scale_gradient`: TensorFlow functions with a gradient of their own."""

from typing import Any, Callable, List

import tensorflow as tf

from revgrad import InvalidLambdaError, UnsupportedTypeError
from revgrad._names import set_module
from revgrad.backend import resolve
from revgrad_tensorflow.native import native


@set_module("revgrad_tensorflow")
def reverse_gradient(x: Any, lam: Any) -> Any:
    """Return `x` unchanged and multiply the gradient that flows back through it by ``-lam``.

    Parameters
    ----------
    x : tf.Tensor, tf.Variable or tf.RaggedTensor
        Any shape, a floating or complex dtype.
    lam : float, numpy.ndarray, tf.Tensor, tf.Variable or LambdaVariable
        λ. A variable is read at the forward pass: its value may change between two runs of a
        traced function, as an argument of the function may, and nothing is traced again. An array
        must broadcast to `x` without enlarging it.

    Returns
    -------
    tf.Tensor or tf.RaggedTensor
        Of the shape and dtype of `x`.

    Raises
    ------
    UnsupportedTypeError
        If the dtype of `x` carries no gradient, or `x` cannot be converted to a tensor.
    InvalidLambdaError
        If `lam` is not a λ, or would enlarge `x`. An eager tensor on the CPU, and a variable
        outside a graph, are validated like a number; a symbolic tensor, and a variable in a
        graph, are not.

    Notes
    -----
    A bare `tf.custom_gradient` is silently lost under a `tf.autodiff.ForwardAccumulator` and in a
    gradient through `tf.vectorized_map`: both differentiate the operations inside. Here these are
    a `tf.stop_gradient`, so that TensorFlow falls back on the recorded gradient, on the gradient
    of a function call, or on a conversion rule for `tf.vectorized_map`.

    Examples
    --------
    >>> import tensorflow as tf
    >>> x = tf.Variable(3.0)
    >>> with tf.GradientTape() as tape:
    ...     y = reverse_gradient(x, 0.5) ** 2
    >>> float(tape.gradient(y, x))
    -3.0
    """
    x = _as_tensor(x)
    return multiply_gradient(x, -resolve(x, lam, native))


@set_module("revgrad_tensorflow")
def scale_gradient(x: Any, factor: Any) -> Any:
    """Return `x` unchanged and multiply the gradient that flows back through it by `factor`.

    Parameters
    ----------
    x : tf.Tensor, tf.Variable or tf.RaggedTensor
        Any shape, a floating or complex dtype.
    factor : float, numpy.ndarray, tf.Tensor, tf.Variable or LambdaVariable
        Any real, finite number; otherwise as λ of `revgrad_tensorflow.reverse_gradient`.

    Returns
    -------
    tf.Tensor or tf.RaggedTensor
        Of the shape and dtype of `x`.

    Raises
    ------
    UnsupportedTypeError
        If the dtype of `x` carries no gradient, or `x` cannot be converted to a tensor.
    InvalidLambdaError
        If `factor` is not a factor, or would enlarge `x`.

    Examples
    --------
    >>> import tensorflow as tf
    >>> x = tf.constant([3.0, 4.0])
    >>> with tf.GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = scale_gradient(x, tf.where(x > 3, -0.5, 1.0)) ** 2
    >>> tape.gradient(y, x).numpy()
    array([ 6., -4.], dtype=float32)
    """
    x = _as_tensor(x)
    return multiply_gradient(x, resolve(x, factor, native, signed=True))


def multiply_gradient(x: Any, factor: tf.Tensor) -> Any:
    """Return `x` unchanged and multiply the gradient that flows back through it by a factor.

    Parameters
    ----------
    x : tf.Tensor or tf.RaggedTensor
        Any shape, a floating or complex dtype.
    factor : tf.Tensor
        Of the real dtype of `x`, broadcasting to it without enlarging it.

    Returns
    -------
    tf.Tensor or tf.RaggedTensor
        Of the shape and dtype of `x`.

    Raises
    ------
    InvalidLambdaError
        If `x` is ragged and `factor` is not a scalar.
    """
    if isinstance(x, tf.RaggedTensor):
        if factor.shape.rank != 0:
            raise InvalidLambdaError(
                f"Expected a scalar as λ or factor of a ragged tensor; got the shape "
                f"{factor.shape}. Pass x.flat_values, with one λ for each of them."
            )
        return x.with_flat_values(multiply_gradient(x.flat_values, factor))
    return _scale(x, factor) if tf.executing_eagerly() else _scale_in_graph(x, factor)


def _as_tensor(x: Any) -> Any:
    try:
        return x if isinstance(x, tf.RaggedTensor) else tf.convert_to_tensor(x)
    except (TypeError, ValueError) as error:
        raise UnsupportedTypeError(
            f"TensorFlow cannot convert a {type(x).__name__} to a tensor. Pass a tensor, a "
            "variable or an array; of a sparse tensor, pass the values."
        ) from error


def _identity_and_pullback(x: Any, factor: Any) -> Any:
    def pullback(g: Any) -> Any:
        c = tf.stop_gradient(factor)
        if g.dtype.is_complex:  # as a complex product, inf would become nan
            return tf.complex(c * tf.math.real(g), c * tf.math.imag(g)), None
        return c * g, None

    # Without stop_gradient, a ForwardAccumulator would push t instead of factor * t.
    return tf.stop_gradient(x), pullback


_scale: Callable[[Any, Any], Any] = tf.custom_gradient(_identity_and_pullback)


def _scale_in_graph(x: Any, factor: Any) -> Any:
    # A function of its own, because a ForwardAccumulator inside the function that is traced now
    # would find nothing behind stop_gradient; here it takes the gradient of the call. And a new
    # one each time, because TensorFlow does not lock the gradient of a function that threads share.
    function = tf.function(_scale_with_rule, autograph=False)
    return function.get_concrete_function(x, factor)(x, factor)


def _scale_with_rule(x: Any, factor: Any) -> Any:
    y = _scale(x, factor)
    y.op.pfor_converter = _vectorised
    return y


def _vectorised(pfor_input: Any) -> List[Any]:
    """Convert the operation of `_scale` for `tf.vectorized_map`, which loses its gradient."""
    _, x, factor = pfor_input.inputs
    pfor_input.stack_inputs([1])  # every factor of the batch meets the same x
    pfor_input.expanddim_inputs_for_broadcast()
    _, xs, factors = pfor_input.inputs
    return [xs._replace(t=_scale_with_rule(xs.t, factors.t)), x, factor]
