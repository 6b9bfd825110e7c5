"""The digits' network in Lasagne; ``dann_lasagne.py digits`` trains it."""

from __future__ import annotations

from typing import Any, Tuple

import digits_theano  # first: it makes Theano importable on a current Python

import theano
import theano.tensor as T
from lasagne.layers import Conv2DLayer, DenseLayer, InputLayer, Layer, NonlinearityLayer
from lasagne.layers import get_output
from lasagne.nonlinearities import rectify

import digits
import revgrad


class DigitNetwork(digits_theano.DigitNetwork):
    """The network of ``digits_theano.py``, built of Lasagne's layers; the training is the same.

    Parameters
    ----------
    momentum : float, optional
        Of SGD.

    Attributes
    ----------
    lam : revgrad.LambdaVariable
        The λ of the reversal.
    """

    def _graph(self, x: Any) -> Tuple[Any, Any, Any]:
        """Return the features, and the logits of labels and domains; set the parameters."""
        self._parameters = [theano.shared(value) for value in digits.initial(0)]
        each = iter([{"W": w, "b": b} for w, b in zip(*(self._parameters[i::2] for i in (0, 1)))])
        layer = InputLayer((None, 3, 28, 28))
        for n_maps in (32, 48):
            options = {"nonlinearity": None, "convolution": correlate}
            layer = PoolLayer(Conv2DLayer(layer, n_maps, 5, **options, **next(each)))
            layer = NonlinearityLayer(layer, rectify)
        features = layer
        labels = DenseLayer(features, 100, **next(each))  # with a ReLU, like the next one
        labels = DenseLayer(labels, 100, **next(each))
        labels = DenseLayer(labels, 10, nonlinearity=None, **next(each))
        domains = DenseLayer(revgrad.reverse(features, self.lam), 100, **next(each))
        domains = DenseLayer(domains, 1, nonlinearity=None, **next(each))
        hidden, labels, domains = get_output([features, labels, domains], x)
        return hidden.flatten(2), labels, domains


class PoolLayer(Layer):
    """`digits_theano.pool`, which says what is wrong with Theano's own, and so with Lasagne's."""

    def get_output_for(self, x: Any, **kwargs: Any) -> Any:
        """Return the pooled maps."""
        return digits_theano.pool(x)

    def get_output_shape_for(self, shape: Tuple[Any, ...]) -> Tuple[Any, ...]:
        """Return the shape of the pooled maps."""
        return (*shape[:2], shape[2] // 2, shape[3] // 2)


def correlate(x: Any, weights: Any, *shapes: Any, **options: Any) -> Any:
    """Apply filters that are not flipped; Lasagne 0.1 has no argument for it."""
    return T.nnet.conv2d(x, weights, filter_flip=False)
