"""The digits' network in Lasagne; ``dann_lasagne.py digits`` trains it."""

from __future__ import annotations

from typing import Any, Tuple

import digits_theano  # first: it makes Theano importable on a current Python

from lasagne.layers import Conv2DLayer, DenseLayer, ExpressionLayer, InputLayer, NonlinearityLayer
from lasagne.layers import get_all_params, get_output
from lasagne.nonlinearities import rectify

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
        layer = InputLayer((None, 3, 28, 28))
        for n_maps in (32, 48):
            layer = Conv2DLayer(layer, n_maps, 5, nonlinearity=None, flip_filters=False)
            # Lasagne's own pooling is Theano's; `digits_theano.pool` says what is wrong with it.
            layer = ExpressionLayer(layer, digits_theano.pool, output_shape=halved)
            layer = NonlinearityLayer(layer, rectify)
        features = layer
        labels = DenseLayer(DenseLayer(features, 100), 100)  # both with ReLUs
        labels = DenseLayer(labels, 10, nonlinearity=None)
        domains = DenseLayer(revgrad.reverse(features, self.lam), 100)
        domains = DenseLayer(domains, 1, nonlinearity=None)
        self._parameters = get_all_params([labels, domains], trainable=True)
        hidden, labels, domains = get_output([features, labels, domains], x)
        return hidden.flatten(2), labels, domains


def halved(shape: Tuple[Any, ...]) -> Tuple[Any, ...]:
    """Return the shape of pooled maps."""
    return (*shape[:2], shape[2] // 2, shape[3] // 2)
