"""The digits' network in plain Theano; ``dann_theano.py digits`` trains it."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

import revgrad_theano.compat  # noqa: F401  before Theano, to run on a current Python

import numpy as np
import theano
import theano.tensor as T

import digits
import revgrad


class DigitNetwork:
    """The paper's small network (Figure 4a), a domain classifier, and SGD with momentum.

    Parameters
    ----------
    momentum : float, optional
        Of SGD.

    Attributes
    ----------
    lam : revgrad.LambdaVariable
        The λ of the reversal.
    """

    def __init__(self, momentum: float = 0.9) -> None:
        self.lam = revgrad.LambdaVariable(0.0)
        x, ys, rate = T.ftensor4("x"), T.ivector("ys"), T.fscalar("rate")
        n_source = ys.shape[0]
        hidden, labels, domains = self._graph(x)
        logits, logit = labels[:n_source], domains[:, 0]
        label_loss = T.nnet.categorical_crossentropy(T.nnet.softmax(logits), ys).mean()
        # The logit is that of "target": -log(1 - sigmoid(z)) = softplus(z).
        domain_losses = T.nnet.softplus(logit[:n_source]), T.nnet.softplus(-logit[n_source:])
        domain_loss = T.concatenate(domain_losses).mean()
        right = T.eq(logit > 0, T.arange(x.shape[0]) >= n_source).mean()
        self._momenta = [theano.shared(np.zeros_like(p.get_value())) for p in self._parameters]

        def compiled(loss: Any, numbers: List[Any], n: int) -> Any:
            """Return a function that takes one step in the first `n` parameters."""
            parameters, updates = self._parameters[:n], []
            for p, v, gradient in zip(parameters, self._momenta, T.grad(loss, parameters)):
                new = np.float32(momentum) * v + gradient
                updates += [(v, new), (p, p - rate * new)]
            return theano.function([x, ys, rate], numbers, updates=updates)

        self._train_plain = compiled(label_loss, [label_loss], 10)
        numbers = [label_loss, domain_loss, right]
        self._train = compiled(label_loss + domain_loss, numbers, 14)
        self._outputs = theano.function([x], [hidden, labels])
        self.reset(0)

    def _graph(self, x: Any) -> Tuple[Any, Any, Any]:
        """Return the features, and the logits of labels and domains; set the parameters."""
        self._parameters = [theano.shared(value) for value in digits.initial(0)]
        hidden = x
        for weights, biases in (self._parameters[:2], self._parameters[2:4]):
            # Theano flips the filters by default: the others do not.
            maps = T.nnet.conv2d(hidden, weights, filter_flip=False)
            hidden = T.nnet.relu(pool(maps + biases.dimshuffle("x", 0, "x", "x")))
        hidden = hidden.flatten(2)
        labels = classify(self._parameters[4:10], hidden)
        domains = classify(self._parameters[10:], revgrad.reverse(hidden, self.lam))
        return hidden, labels, domains

    def reset(self, seed: int) -> None:
        """Set the first weights of a seed and clear the optimiser, without compiling again."""
        values = digits.initial(seed)
        self.set_state([*values, *(np.zeros_like(value) for value in values)])

    def train(
        self, xs: np.ndarray, ys: np.ndarray, xt: Optional[np.ndarray], rate: float
    ) -> Tuple[float, float, float]:
        """Take one step; ``digits_torch.py`` describes the arguments and the result."""
        rate = np.float32(rate)  # Theano casts no other number down by itself
        if xt is None:
            (label_loss,) = self._train_plain(np.ascontiguousarray(xs), ys, rate)
            return float(label_loss), np.nan, np.nan
        x = np.ascontiguousarray(np.concatenate([xs, xt]))
        label_loss, domain_loss, right = self._train(x, ys, rate)
        return float(label_loss), float(domain_loss), float(right)

    def represent(self, x: np.ndarray) -> np.ndarray:
        """Return the features of images."""
        return self._outputs(np.ascontiguousarray(x))[0]

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the labels of images."""
        return self._outputs(np.ascontiguousarray(x))[1].argmax(axis=1)

    def get_state(self) -> List[np.ndarray]:
        """Return a copy of the parameters, in the form of `digits.initial`, and the momenta."""
        return [each.get_value() for each in (*self._parameters, *self._momenta)]

    def set_state(self, values: Sequence[np.ndarray]) -> None:
        """Restore the state that `get_state` returned."""
        for variable, value in zip((*self._parameters, *self._momenta), values):
            variable.set_value(value)


def pool(x: Any) -> Any:
    """Return the maximum of each 2 by 2 square; its gradient goes to the first maximum only.

    Theano's own pooling gives the whole gradient to each maximum. On the constant background of
    MNIST all four are equal, and the gradient would be four times that of the other frameworks.
    """
    first, *others = (x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1))
    for other in others:
        first = T.switch(first >= other, first, other)
    return first


def classify(parameters: Sequence[Any], x: Any) -> Any:
    """Apply dense layers with ReLUs between them."""
    for i in range(0, len(parameters), 2):
        x = T.nnet.relu(x) if i else x  # the features are rectified already
        x = T.dot(x, parameters[i]) + parameters[i + 1]
    return x
