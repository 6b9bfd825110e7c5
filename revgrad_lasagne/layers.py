"""`ReverseGradientLayer`: the reversal as a Lasagne layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from revgrad import LambdaVariable
from revgrad.backend import normalize_lambda, unknown_lambda_error
from revgrad.exceptions import describe_error
from revgrad_theano.ops import Variable, reverse_gradient

try:
    from lasagne.layers import Layer
except Exception as error:
    if getattr(error, "name", None) == "lasagne":  # it is not installed, and the error says so
        raise
    raise ImportError(
        f"Lasagne is installed but does not import ({describe_error(error)}). Where "
        "Theano, NumPy or Python is newer, import revgrad_theano.compat before theano and "
        "lasagne, in a fresh process"
    ) from error

__all__ = ["ReverseGradientLayer"]


class ReverseGradientLayer(Layer):
    """The identity, whose gradient is multiplied by ``-lam``.

    Put it between the feature extractor and the domain classifier, and *add* the domain loss to
    the others [1]_.

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
        λ as it was judged. It is no parameter of the layer, so `get_all_params` and the files of
        saved networks keep their length.

    Raises
    ------
    InvalidLambdaError
        If `lam` is not a λ.

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

    def __init__(self, incoming: Any, lam: Any, **kwargs: Any) -> None:
        super().__init__(incoming, **kwargs)
        lam = normalize_lambda(lam)
        # A copy: the array is the caller's, who may write to it after it was judged.
        self.lam = lam.copy() if isinstance(lam, np.ndarray) else lam
        if not isinstance(self.lam, (float, np.ndarray, LambdaVariable, Variable)):
            raise unknown_lambda_error(lam, "a Theano tensor")

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        """Return the reversal of `input`, whether the pass is deterministic or not.

        Parameters
        ----------
        input : theano Variable
            The output of the incoming layer.

        Returns
        -------
        theano Variable
            Of the type of `input`.
        """
        return reverse_gradient(input, self.lam)
