"""`GradientReversal` and `GradientScale`: the reversal, and any factor, as layers of Keras 3."""

from typing import Any, Callable, Dict

import keras

import revgrad
from revgrad import LambdaVariable
from revgrad._names import set_module
from revgrad.backend import resolve
from revgrad_keras.native import LambdaWeight, native


class _GradientLayer(keras.layers.Layer):  # type: ignore[misc]
    """The identity, whose gradient is multiplied by what a weight says that is not trained."""

    _attribute: str
    _signed: bool
    operation: Callable[..., Any]

    def __init__(self, value: Any, **kwargs: Any) -> None:
        # Without autocast, inputs are not cast to the dtype of the policy.
        super().__init__(**{**kwargs, "autocast": False})
        self.supports_masking = True
        with keras.name_scope(self.name, caller=self):
            if isinstance(value, LambdaVariable):
                weight = value.cell(native)
                weight._driver = value  # they share one value from now on
            else:
                weight = LambdaWeight(value, self._signed)
        setattr(self, self._attribute, weight)
        self.built = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name == self._attribute and hasattr(self, name):
            getattr(self, name).assign(value)  # compiled programs read this weight
        else:
            super().__setattr__(name, value)

    def _applied(self, inputs: Any, value: Any) -> Any:
        value = as_tensor(getattr(self, self._attribute) if value is None else value)
        name = keras.backend.backend()
        return keras.tree.map_structure(lambda x: self.operation(x, value, backend=name), inputs)

    def compute_output_spec(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Return symbolic tensors of the shapes and dtypes of `inputs`."""

        def spec(x: Any) -> Any:
            native.dtype(x)
            for value in (*args, *kwargs.values()):
                if value is not None:
                    resolve(x, value, native, self._signed)
            return keras.KerasTensor(x.shape, dtype=x.dtype)

        return keras.tree.map_structure(spec, inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return `input_shape`."""
        return input_shape

    def get_config(self) -> Dict[str, Any]:
        """Return the configuration, with the value that the weight has now."""
        value = float(getattr(self, self._attribute).value)
        return {**super().get_config(), self._attribute: value}


@keras.saving.register_keras_serializable(package="revgrad")
@set_module("revgrad_keras")
class GradientReversal(_GradientLayer):
    """The identity, whose gradient is multiplied by ``-lam``; λ is a weight that is not trained.

    The weight is a float32 scalar. It is saved and loaded with the model, no dtype policy casts it
    down, and changing it compiles nothing again.

    Parameters
    ----------
    lam : float or revgrad.LambdaVariable, optional
        λ at first: real, finite, at least 0. All layers that are given the same `LambdaVariable`
        share one weight, and variable and weight always have the same value, whichever is set or
        loaded. A copy, and a layer that is loaded, have a weight of their own.
    **kwargs
        The arguments of every layer: ``name``, for instance.

    Attributes
    ----------
    lam : keras.Variable
        The weight. Assigning a number, ``layer.lam = 0.3``, sets its value; compiled programs see
        it at their next run.

    Raises
    ------
    InvalidLambdaError
        If `lam` is not a λ; also when something else is assigned to the weight, or loaded into
        it, or when the weight is made trainable.

    Notes
    -----
    Inputs may be nested; each tensor is reversed, and keeps its dtype. Masks are passed on.

    A program that loads a model with this layer imports it before `keras.models.load_model`,
    ``from revgrad_keras import GradientReversal``: Keras loads registered layers only.

    Examples
    --------
    >>> import numpy as np
    >>> layer = GradientReversal(0.5)
    >>> layer(np.ones(2, "float32")).shape == (2,)
    True
    >>> layer.lam = 0.3
    >>> layer.lam = -1
    Traceback (most recent call last):
      ...
    revgrad.InvalidLambdaError: λ must be a real, finite number >= 0; got -1 (int). \
The gradient is multiplied by -λ already: pass 1, not -1.
    """

    _attribute, _signed, operation = "lam", False, staticmethod(revgrad.reverse)

    lam: keras.Variable

    def __init__(self, lam: Any = 1.0, **kwargs: Any) -> None:
        super().__init__(lam, **kwargs)

    def call(self, inputs: Any, lam: Any = None) -> Any:
        """Return the reversal of `inputs`.

        Parameters
        ----------
        inputs : tensor or nested structure of tensors
            Any shape, floating dtype.
        lam : tensor, optional
            λ in place of the weight: a scalar, or of a shape that broadcasts to each tensor.

        Returns
        -------
        tensor or nested structure of tensors
            Equal to `inputs` bit for bit.
        """
        return self._applied(inputs, lam)

    def set_lam(self, lam: float) -> None:
        """Set λ, as ``layer.lam = lam`` does; nothing is compiled again.

        Parameters
        ----------
        lam : float
            The new λ: real, finite, at least 0.

        Raises
        ------
        InvalidLambdaError
            If `lam` is not a λ.
        """
        self.lam = lam


@keras.saving.register_keras_serializable(package="revgrad")
@set_module("revgrad_keras")
class GradientScale(_GradientLayer):
    """The identity, whose gradient is multiplied by a weight that is not trained.

    Parameters
    ----------
    factor : float or revgrad.LambdaVariable, optional
        Any real, finite number; otherwise as λ of `GradientReversal`.
    **kwargs
        The arguments of every layer: ``name``, for instance.

    Attributes
    ----------
    factor : keras.Variable
        The weight; ``layer.factor = 0.1`` sets its value.

    Raises
    ------
    InvalidLambdaError
        If `factor` is not a real, finite number.

    Examples
    --------
    >>> layer = GradientScale(-0.5)
    >>> layer.factor = 0.1
    >>> round(layer.get_config()["factor"], 6)
    0.1
    """

    _attribute, _signed, operation = "factor", True, staticmethod(revgrad.scale_gradient)

    factor: keras.Variable

    def __init__(self, factor: Any = 1.0, **kwargs: Any) -> None:
        super().__init__(factor, **kwargs)

    def call(self, inputs: Any, factor: Any = None) -> Any:
        """Return `inputs`, whose gradient is scaled.

        Parameters
        ----------
        inputs : tensor or nested structure of tensors
            Any shape, floating dtype.
        factor : tensor, optional
            In place of the weight: a scalar, or of a shape that broadcasts to each tensor.

        Returns
        -------
        tensor or nested structure of tensors
            Equal to `inputs` bit for bit.
        """
        return self._applied(inputs, factor)


def as_tensor(value: Any) -> Any:
    """Return the value of a Keras variable, or another value as a tensor of the backend."""
    return value.value if isinstance(value, keras.Variable) else keras.ops.convert_to_tensor(value)
