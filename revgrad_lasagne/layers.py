"""`ReverseGradientLayer` and `ScaleGradientLayer`: the native layers."""

from typing import Any

import numpy as np

from revgrad._names import set_module
from revgrad.backend import resolve
from revgrad_lasagne.native import Layer, native
from revgrad_theano.ops import reverse_gradient, scale_gradient


class _GradientLayer(Layer):  # type: ignore[misc, unused-ignore]
    """The identity, which holds a λ or a factor; it is validated whenever it is set."""

    _op: Any

    def _set(self, held: Any) -> None:
        resolve(self, held, native, self._op.signed)
        # A copy: the array is the caller's, who may write to it after it was validated.
        self._held = held.copy() if isinstance(held, np.ndarray) else held

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        """Return `input`, with another gradient, whether the pass is deterministic or not.

        Parameters
        ----------
        input : theano Variable
            The output of the incoming layer.

        Returns
        -------
        theano Variable
            Of the type of `input`.
        """
        return self._op(input, self._held)


@set_module("revgrad_lasagne")
class ReverseGradientLayer(_GradientLayer):
    """The identity, whose gradient is multiplied by ``-lam``.

    Put it between the feature extractor and the domain classifier, and *add* the domain loss to
    the others.

    Parameters
    ----------
    incoming : lasagne.layers.Layer or tuple of int
        The layer feeding into this one, or the expected shape of its output: any shape, floating
        dtype.
    lam : float, LambdaVariable, numpy.ndarray or theano Variable
        λ. A number is a constant of the compiled function. To change λ between steps without
        compiling again, pass a `revgrad.LambdaVariable` and set its ``value``, or pass any Theano
        expression. A value of more than 0 dimensions must broadcast to the output of `incoming`.
    **kwargs
        Passed on to `lasagne.layers.Layer`: ``name``.

    Attributes
    ----------
    lam : float, LambdaVariable, numpy.ndarray or theano Variable
        λ; setting it validates the new one. Outputs that are built afterwards have it. A function
        that was compiled before keeps the λ that it was compiled with: for a λ that changes in a
        compiled function, pass a `revgrad.LambdaVariable`. It is not a parameter of the layer, so
        `get_all_params` and the files of saved networks keep their length.

    Raises
    ------
    InvalidLambdaError
        If `lam` is not a λ, or does not broadcast to ``output_shape`` without enlarging it; also
        when it is set.

    References
    ----------
    .. [1] Y. Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17(59), 2016,
       arXiv:1505.07818.

    Examples
    --------
    >>> import lasagne
    >>> import revgrad
    >>> features = lasagne.layers.InputLayer((None, 15))
    >>> lam = revgrad.LambdaVariable(0.0)
    >>> reversed_features = ReverseGradientLayer(features, lam, name="reversal")
    >>> domain = lasagne.layers.DenseLayer(reversed_features, num_units=1)
    >>> reversed_features.output_shape
    (None, 15)
    """

    _op = reverse_gradient
    lam = property(lambda self: self._held, _GradientLayer._set)

    def __init__(self, incoming: Any, lam: Any, **kwargs: Any) -> None:
        super().__init__(incoming, **kwargs)
        self.lam = lam


@set_module("revgrad_lasagne")
class ScaleGradientLayer(_GradientLayer):
    """The identity, whose gradient is multiplied by a factor.

    Parameters
    ----------
    incoming : lasagne.layers.Layer or tuple of int
        As for `ReverseGradientLayer`.
    factor : float, LambdaVariable, numpy.ndarray or theano Variable
        Any real, finite factor; a value of more than 0 dimensions must broadcast to the output of
        `incoming`.
    **kwargs
        Passed on to `lasagne.layers.Layer`: ``name``.

    Attributes
    ----------
    factor : float, LambdaVariable, numpy.ndarray or theano Variable
        The factor; what is said of ``ReverseGradientLayer.lam`` holds for it as well.

    Raises
    ------
    InvalidLambdaError
        If ``factor`` is not a factor, or does not broadcast to ``output_shape`` without enlarging
        it; also when it is set.

    Examples
    --------
    >>> import lasagne
    >>> features = lasagne.layers.InputLayer((None, 15))
    >>> slowed_down = ScaleGradientLayer(features, 0.1)
    >>> slowed_down.factor
    0.1
    """

    _op = scale_gradient
    factor = property(lambda self: self._held, _GradientLayer._set)

    def __init__(self, incoming: Any, factor: Any, **kwargs: Any) -> None:
        super().__init__(incoming, **kwargs)
        self.factor = factor
