"""`GradientReversal`: the reversal as a layer of Keras 3."""

from __future__ import annotations

from typing import Any, Dict

import keras

import revgrad
from revgrad.backend import cast_lambda, check_lambda_shape, no_gradient_error

__all__ = ["GradientReversal"]


@keras.saving.register_keras_serializable(package="revgrad")
class GradientReversal(keras.layers.Layer):
    """The identity, whose gradient is multiplied by ``-lam``; λ is a weight that is not trained.

    The weight is a float32 scalar. It is saved and loaded with the model, no dtype policy casts it
    down, and a change of it compiles nothing again.

    Parameters
    ----------
    lam : float or revgrad.LambdaVariable, optional
        λ at first: real, finite, at least 0. A `LambdaVariable` goes on to set the weight, that of
        every layer that it was given to; a copy and a layer that is loaded have a weight of their
        own.
    **kwargs
        What every layer takes: ``name``, for instance.

    Attributes
    ----------
    lam : keras.Variable
        The weight.

    Raises
    ------
    InvalidLambdaError
        If `lam` is not a λ.

    Notes
    -----
    Inputs may be nested; each tensor is reversed, and keeps its dtype. Masks are passed on.

    ``from revgrad_keras import GradientReversal`` comes before `keras.models.load_model` in a
    program that loads a model with this layer: Keras loads the layers that it knows.

    Examples
    --------
    >>> import numpy as np
    >>> layer = GradientReversal(0.5)
    >>> layer(np.ones(2, "float32")).shape == (2,)
    True
    >>> layer.set_lam(0.3)
    >>> layer.set_lam(-1)
    Traceback (most recent call last):
      ...
    revgrad.InvalidLambdaError: λ must be a real, finite number >= 0; got -1 (int). \
The backward factor is -λ already: pass 1, not -1.
    """

    def __init__(self, lam: Any = 1.0, **kwargs: Any) -> None:
        # Without autocast, what comes in is not cast to the dtype of the policy.
        super().__init__(**{**kwargs, "autocast": False})
        self.supports_masking = True
        self._variable = lam if isinstance(lam, revgrad.LambdaVariable) else None
        if self._variable is None:
            self.lam = self.add_weight(
                shape=(),
                initializer=keras.initializers.Constant(_judged(lam)),
                dtype="float32",
                trainable=False,
                autocast=False,
                name="lam",
            )
        else:
            self.lam = self._variable.cell(revgrad.get_backend("keras"))
        self.built = True

    def call(self, inputs: Any, lam: Any = None) -> Any:
        """Return the reversal of `inputs`.

        Parameters
        ----------
        inputs : tensor or nested structure of tensors
            Of any shape, floating dtype.
        lam : tensor, optional
            λ in place of the weight: a scalar, or of a shape that broadcasts to each tensor.

        Returns
        -------
        tensor or nested structure of tensors
            Equal to `inputs` bit for bit.
        """
        name = keras.backend.backend()
        given = as_tensor(self.lam if lam is None else lam)
        return keras.tree.map_structure(
            lambda x: revgrad.reverse(x, given, backend=name), inputs
        )

    def compute_output_spec(self, inputs: Any, lam: Any = None) -> Any:
        """Return symbolic tensors of the shapes and dtypes of `inputs`."""

        def spec(x: Any) -> Any:
            if "float" not in x.dtype and "complex" not in x.dtype:
                raise no_gradient_error(x, x.dtype)
            if lam is not None:
                check_lambda_shape(lam.shape, x.shape)
            return keras.KerasTensor(x.shape, dtype=x.dtype)

        return keras.tree.map_structure(spec, inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return `input_shape`."""
        return input_shape

    def set_lam(self, lam: float) -> None:
        """Set λ; nothing is compiled again.

        Parameters
        ----------
        lam : float
            The new λ: real, finite, at least 0.

        Raises
        ------
        InvalidLambdaError
            If `lam` is not a λ.
        """
        judged = _judged(lam)
        if self._variable is not None:
            self._variable.value = judged
        self.lam.assign(judged)

    def get_config(self) -> Dict[str, Any]:
        """Return the configuration, with λ as it is now."""
        lam = float(keras.ops.convert_to_numpy(self.lam))
        return {**super().get_config(), "lam": lam}


def as_tensor(value: Any) -> Any:
    """Return what a Keras variable holds, or another value as a tensor of the backend of Keras."""
    if isinstance(value, keras.Variable):
        return value.value
    return keras.ops.convert_to_tensor(value)


def _judged(lam: Any) -> float:
    value = revgrad.LambdaVariable(lam).value
    cast_lambda(value, "float32")
    return value
