"""The paper's shallow network in NumPy, with the backward pass by hand (Algorithm 1).

It is the network of ``dann_theano.py`` with one hidden layer and plain SGD: a seed gives the same
weights, and a step changes them in the same way. Samples may be a sparse matrix of SciPy, which
makes a step on the Amazon reviews about five times as fast as a dense one; ``selection.py`` trains
many of these. The paper's protocol for the reviews with this network, without a framework::

    python docs/examples/by_hand.py FOLDER
"""

from __future__ import annotations

import sys
from typing import Any, List, Sequence, Tuple

import numpy as np

import revgrad
from revgrad import reference


class DomainAdversarialNetwork:
    """A hidden layer of sigmoids, a linear label predictor and a linear domain classifier.

    Parameters
    ----------
    n_inputs : int
        The number of input features.
    n_classes : int
        The number of labels.
    features : sequence of int, optional
        The size of the hidden layer.
    learning_rate : float, optional
        The step size of SGD.
    labels, domains, domain_decay, optimizer : optional
        Those of the other examples, of which this network has no more than the defaults.

    Attributes
    ----------
    sparse : bool
        True: samples may be sparse.
    lam : revgrad.LambdaVariable
        The λ of the reversal.
    parameters : list of numpy.ndarray
        Weights and biases of the features, the labels and the domains, float32.
    """

    sparse = True

    def __init__(
        self,
        n_inputs: int,
        n_classes: int,
        features: Sequence[int] = (50,),
        learning_rate: float = 0.1,
        labels: Sequence[int] = (),
        domains: Sequence[int] = (),
        domain_decay: float = 0.0,
        optimizer: str = "sgd",
    ) -> None:
        if len(features) != 1 or labels or domains or domain_decay or optimizer != "sgd":
            raise ValueError("by_hand.py has one hidden layer, no decay, and plain SGD")
        (n_hidden,) = features
        self._shapes = [(n_inputs, n_hidden), (n_hidden, n_classes), (n_hidden, 1)]
        self._learning_rate = learning_rate
        self.lam = revgrad.LambdaVariable(1.0)
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Draw new parameters, the same as in ``dann_theano.py``."""
        rng = np.random.RandomState(seed)
        self.parameters: List[np.ndarray] = []
        for shape in self._shapes:
            bound = np.sqrt(6 / sum(shape))  # Glorot's
            self.parameters.append(rng.uniform(-bound, bound, shape).astype("float32"))
            rng.uniform(size=shape[1])  # dann_theano.py draws biases here
            self.parameters.append(np.zeros(shape[1], "float32"))

    def train(
        self, xs: Any, ys: np.ndarray, xt: Any, domain_weight: float = 1.0
    ) -> Tuple[float, float]:
        """Take one step, and return the label loss and the domain loss before it.

        Parameters
        ----------
        xs, xt : numpy.ndarray or scipy.sparse.csr_matrix
            Source and target samples.
        ys : numpy.ndarray
            The labels of the source.
        domain_weight : float, optional
            The weight of the domain loss. If it is 0, the target is not read.
        """
        _, _, v, c, u, d = self.parameters
        n_source = xs.shape[0]
        hidden = self.represent(xs)
        logits = hidden @ v + c
        logits -= logits.max(axis=1, keepdims=True)
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        label_loss, domain_loss = -log_p[np.arange(n_source), ys].mean(), np.float32(0)

        g_logits = np.exp(log_p)
        g_logits[np.arange(n_source), ys] -= 1
        g_logits /= n_source
        g_hidden = g_logits @ v.T
        gradients = [hidden.T @ g_logits, g_logits.sum(axis=0), 0 * u, 0 * d]
        to_inputs = [(xs, hidden, g_hidden)]
        if domain_weight:
            to_inputs.append((xt, self.represent(xt), np.float32(0)))
            # The domain classifier's logit z is that of "target": the loss is softplus(z) on the
            # source, softplus(-z) on the target.
            for number, (sign, (x, hidden, g_hidden)) in enumerate(zip((1, -1), to_inputs)):
                z = hidden @ u + d
                domain_loss = domain_loss + np.logaddexp(0, sign * z).mean()
                g_z = np.float32(sign * domain_weight / len(z)) * sigmoid(sign * z)
                gradients[2] += hidden.T @ g_z
                gradients[3] += g_z.sum(axis=0)
                g_hidden = g_hidden + reference.pullback(g_z @ u.T, self.lam.value)
                to_inputs[number] = (x, hidden, g_hidden)
        for x, hidden, g_hidden in to_inputs:
            g = g_hidden * hidden * (1 - hidden)
            self._descend([x.T @ g, g.sum(axis=0)], self.parameters[:2])
        self._descend(gradients, self.parameters[2:])
        return float(label_loss), float(domain_loss)

    def _descend(self, gradients: Sequence[Any], parameters: Sequence[np.ndarray]) -> None:
        for parameter, gradient in zip(parameters, gradients):
            gradient *= np.float32(self._learning_rate)
            parameter -= gradient

    def represent(self, x: Any) -> np.ndarray:
        """Return the features of each row of `x`."""
        return sigmoid(x @ self.parameters[0] + self.parameters[1])

    def predict(self, x: Any) -> np.ndarray:
        """Return the label of each row of `x`."""
        return (self.represent(x) @ self.parameters[2] + self.parameters[3]).argmax(axis=1)

    def predict_domain(self, x: Any) -> np.ndarray:
        """Return the domain of each row of `x`: 0 for the source, 1 for the target."""
        logit = self.represent(x) @ self.parameters[4] + self.parameters[5]
        return (logit[:, 0] > 0).astype("int32")

    def get_parameters(self) -> List[np.ndarray]:
        """Return a copy of the values of all parameters."""
        return [each.copy() for each in self.parameters]

    def set_parameters(self, values: Sequence[np.ndarray]) -> None:
        """Set the values of all parameters."""
        self.parameters = [each.copy() for each in values]


def sigmoid(z: np.ndarray) -> np.ndarray:
    """Return the logistic function, without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * z)  # type: ignore[no-any-return]


if __name__ == "__main__":
    import experiment

    arguments = ["amazon", "--select", *sys.argv[1:]]
    experiment.main(DomainAdversarialNetwork, "NumPy", "float32", arguments)
