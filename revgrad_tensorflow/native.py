"""`TensorflowNative`: how TensorFlow casts, shapes and stores a λ."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tensorflow as tf

from revgrad import LambdaVariable
from revgrad.backend import Native, cast_lambda, no_gradient_error


class TensorflowNative(Native):
    """The adapter of TensorFlow; a `revgrad.LambdaVariable` has a `tf.Variable` as its cell."""

    lambda_words = "a tf.Tensor or tf.Variable"

    def dtype(self, x: Any) -> tf.DType:
        """Return the real floating dtype that belongs to the dtype of `x`."""
        if not (x.dtype.is_floating or x.dtype.is_complex):
            raise no_gradient_error(x, x.dtype.name)
        return x.dtype.real_dtype

    def shape(self, value: Any) -> Any:
        """Return the static shape; None of a ragged tensor, which takes a scalar λ only."""
        ragged = isinstance(value, tf.RaggedTensor)
        return None if ragged or value.shape.rank is None else tuple(value.shape)

    def constant(self, value: Any, x: Any) -> tf.Tensor:
        """Return a validated number or array as a constant of the real dtype of `x`."""
        return tf.constant(cast_lambda(value, self.dtype(x).as_numpy_dtype))

    def is_value(self, value: object) -> bool:
        """Say whether `value` is a tensor or a variable."""
        return isinstance(value, (tf.Tensor, tf.Variable))

    def known_number(self, value: Any) -> Any:
        """Return what an eager tensor on the CPU holds, or a variable outside a graph.

        An eager tensor never changes, so its number is also known where a function captures it.
        """
        if isinstance(value, tf.Variable):
            if not tf.executing_eagerly():
                return None
            value = value.read_value()
        # Only an eager tensor has the method; one on an accelerator would have to be waited for.
        known = hasattr(value, "numpy") and "CPU:" in value.backing_device
        return value.numpy() if known else None

    def cast(self, value: Any, x: Any) -> tf.Tensor:
        """Return an in-graph λ in the real dtype of `x`."""
        return tf.cast(value, self.dtype(x))

    def read_variable(self, variable: LambdaVariable, x: Any) -> Any:
        """Return the value, or in a graph the cell, which each run reads anew."""
        return variable.value if tf.executing_eagerly() else variable.cell(self)

    def new_cell(self, value: float) -> tf.Variable:
        """Return a variable in float64: it is cast to the dtype of each `x`, not before."""
        # In a thread of its own, where nothing is traced: a function takes over what is made while
        # it is traced, traces again, and from its second trace on raises an error.
        with ThreadPoolExecutor(1) as thread:
            made = thread.submit(tf.Variable, value, trainable=False, dtype="float64", name="lam")
        return made.result()

    def set_cell(self, cell: Any, value: float) -> None:
        """Store `value` in the variable."""
        with tf.init_scope():  # now, and not at each run of a function that is being traced
            cell.assign(value)


native = TensorflowNative()
