"""Domain-adversarial training in plain Theano.

The whole method is in the class `DomainAdversarialNetwork` below, which you may copy into a
project of your own. A feature extractor feeds two classifiers: one predicts the labels of the
source, the other distinguishes source from target. Between the features and the domain classifier
is ``revgrad.reverse``: the domain classifier learns to distinguish the domains, and the features,
which get its gradient times -λ, learn to make the domains indistinguishable. The rest of the
training is unchanged: the losses are added, and one optimiser updates all parameters.

Run it on the inter-twinning moons, on the Amazon reviews, or on digits (``digits_theano.py`` has
that network)::

    python docs/examples/dann_theano.py moons
    python docs/examples/dann_theano.py amazon FOLDER
    python docs/examples/dann_theano.py digits FOLDER

``dann_lasagne.py`` is the same program in Lasagne, name by name. The data, the training loop and
the figure are in ``problems.py``, ``experiment.py`` and ``report.py``.

References
----------
Y. Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17(59), 2016,
arXiv:1505.07818.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

import revgrad_theano.compat  # noqa: F401  before Theano, to run on a current Python

import numpy as np
import theano
import theano.tensor as T

import experiment
import revgrad


class DomainAdversarialNetwork:
    """A feature extractor, a label predictor and a domain classifier, trained together.

    Parameters
    ----------
    n_inputs : int
        The number of input features.
    n_classes : int
        The number of labels.
    features : sequence of int, optional
        The sizes of the layers of the feature extractor, at least one.
    labels, domains : sequence of int, optional
        The sizes of the hidden layers of the label predictor and of the domain classifier. None,
        as in the paper's shallow networks, makes both of them linear.
    learning_rate : float, optional
        The step size.
    domain_decay : float, optional
        The coefficient of the L2 penalty on the domain classifier, which keeps a classifier that
        is ahead of the features from becoming overconfident.
    optimizer : str, optional
        ``"adam"`` or ``"sgd"``.
    lam : theano scalar, optional
        The λ of the reversal, in place of a `revgrad.LambdaVariable`.
    inputs : sequence of theano variables, optional
        Further arguments of `train`, for example `lam`.
    updates : sequence of pairs, optional
        Further updates of `train`, for example of a step counter that `lam` depends on.

    Attributes
    ----------
    lam : revgrad.LambdaVariable or theano scalar
        The λ of the reversal. Set ``lam.value`` between two steps; nothing is compiled again.
    train : theano function
        ``train(xs, ys, xt, *inputs, domain_weight=1.0)`` takes one step on labelled source
        samples (`xs`, `ys`) and unlabelled target samples (`xt`), and returns the label loss and
        the domain loss before it.
    parameters : list of theano shared variables
        The weights and biases.
    inputs : list of theano variables
        The arguments of `train`.
    loss, domain_loss : theano scalars
        The total loss that is minimised, and the domain loss, which is one of its terms.

    Notes
    -----
    The paper uses λ in two ways, and this network supports both:

    - deep networks: the reversal has λ, the domain loss has weight 1 (``lam.value = λ`` and
      ``domain_weight=1``);
    - shallow networks, like the one of Figure 2 with λ = 6: λ also multiplies the gradient of the
      domain classifier itself (``lam.value = 1`` and ``domain_weight=λ``).

    The features get the same gradient in both. Under plain gradient descent the domain classifier
    learns λ times as fast in the second. Adam, used here, is invariant to a constant factor of the
    loss, so for a constant λ the two train alike.
    """

    def __init__(
        self,
        n_inputs: int,
        n_classes: int,
        features: Sequence[int] = (15,),
        labels: Sequence[int] = (),
        domains: Sequence[int] = (),
        learning_rate: float = 0.001,
        domain_decay: float = 0.0,
        optimizer: str = "adam",
        lam: Any = None,
        inputs: Sequence[Any] = (),
        updates: Sequence[Tuple[Any, Any]] = (),
    ) -> None:
        self.lam = revgrad.LambdaVariable(1.0) if lam is None else lam
        xs, ys, xt = T.matrix("xs"), T.ivector("ys"), T.matrix("xt")
        domain_weight = T.scalar("domain_weight")

        self.features = DenseStack(n_inputs, features)
        self.labels = DenseStack(features[-1], labels, n_outputs=n_classes)
        self.domains = DenseStack(features[-1], domains, n_outputs=1)
        stacks = [self.features, self.labels, self.domains]
        self.parameters = [parameter for stack in stacks for parameter in stack.parameters]

        source, target = self.features(xs), self.features(xt)
        label_loss = T.nnet.categorical_crossentropy(T.nnet.softmax(self.labels(source)), ys).mean()
        # The domain classifier's logit is that of "target": -log(1 - sigmoid(z)) = softplus(z).
        source_logit = self.domains(revgrad.reverse(source, self.lam))
        target_logit = self.domains(revgrad.reverse(target, self.lam))
        domain_loss = T.nnet.softplus(source_logit).mean() + T.nnet.softplus(-target_logit).mean()
        penalty = domain_decay * sum(T.sqr(weights).sum() for weights in self.domains.weights)
        self.inputs, self.domain_loss = [xs, ys, xt, domain_weight], domain_loss
        self.loss = label_loss + domain_weight * (domain_loss + penalty)

        rule = sgd if optimizer == "sgd" else adam
        steps = rule(self.loss, self.parameters, learning_rate)
        self._state = [(v, v.get_value()) for v in steps if v not in self.parameters]
        self.train = theano.function(
            [xs, ys, xt, *inputs, theano.In(domain_weight, value=1.0)],
            [label_loss, domain_loss],
            updates=[*steps.items(), *updates],
        )
        hidden = self.features(xs)
        self._outputs = theano.function(
            [xs], [hidden, self.labels(hidden), self.domains(hidden)[:, 0]]
        )

    def reset(self, seed: int) -> None:
        """Draw new parameters and clear the optimiser, without compiling again.

        Parameters
        ----------
        seed : int
            The seed of the draw.
        """
        rng = np.random.RandomState(seed)
        for parameter in self.parameters:
            parameter.set_value(initial(parameter.get_value().shape, rng))
        for variable, value in self._state:
            variable.set_value(value)

    def represent(self, x: np.ndarray) -> np.ndarray:
        """Return the features of each row of `x`."""
        return self._outputs(x)[0]

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the label of each row of `x`."""
        return self._outputs(x)[1].argmax(axis=1)

    def predict_domain(self, x: np.ndarray) -> np.ndarray:
        """Return the domain of each row of `x`: 0 for the source, 1 for the target."""
        return (self._outputs(x)[2] > 0).astype("int32")

    def get_state(self) -> List[np.ndarray]:
        """Return a copy of all that a checkpoint needs: the parameters and Adam's variables."""
        return self.get_parameters() + [variable.get_value() for variable, _ in self._state]

    def set_state(self, values: Sequence[np.ndarray]) -> None:
        """Restore the state that `get_state` returned."""
        self.set_parameters(values)
        for (variable, _), value in zip(self._state, values[len(self.parameters) :]):
            variable.set_value(value)

    def get_parameters(self) -> List[np.ndarray]:
        """Return a copy of the values of all parameters."""
        return [parameter.get_value() for parameter in self.parameters]

    def set_parameters(self, values: Sequence[np.ndarray]) -> None:
        """Set the values of all parameters."""
        for parameter, value in zip(self.parameters, values):
            parameter.set_value(value)


class DenseStack:
    """Dense layers, one after the other, each with a sigmoid.

    Parameters
    ----------
    n_inputs : int
        The number of inputs.
    sizes : sequence of int
        The number of units of each layer.
    n_outputs : int, optional
        The number of units of one more layer, a linear one.
    """

    def __init__(
        self, n_inputs: int, sizes: Sequence[int], n_outputs: Optional[int] = None
    ) -> None:
        self.n_hidden = len(sizes)
        units = [n_inputs, *sizes] + ([] if n_outputs is None else [n_outputs])
        self.weights, self.biases = [], []
        for n_in, n_out in zip(units, units[1:]):
            self.weights.append(theano.shared(np.zeros((n_in, n_out), theano.config.floatX), "W"))
            self.biases.append(theano.shared(np.zeros(n_out, theano.config.floatX), "b"))

    @property
    def parameters(self) -> List[Any]:
        """The weights and biases, layer by layer."""
        return [parameter for layer in zip(self.weights, self.biases) for parameter in layer]

    def __call__(self, x: Any) -> Any:
        """Return the output for a matrix with one sample in each row."""
        for i, (weights, biases) in enumerate(zip(self.weights, self.biases)):
            x = T.dot(x, weights) + biases
            if i < self.n_hidden:
                x = T.nnet.sigmoid(x)
        return x


def initial(shape: Tuple[int, ...], rng: np.random.RandomState) -> np.ndarray:
    """Return Glorot's uniform weights for a matrix, zeros for a vector of biases."""
    bound = np.sqrt(6 / sum(shape)) if len(shape) == 2 else 0.0
    return rng.uniform(-bound, bound, shape).astype(theano.config.floatX)


def sgd(loss: Any, parameters: Sequence[Any], learning_rate: float) -> Dict[Any, Any]:
    """Return the updates of gradient descent."""
    gradients = theano.grad(loss, parameters)
    return {p: p - learning_rate * g for p, g in zip(parameters, gradients)}


def adam(
    loss: Any,
    parameters: Sequence[Any],
    learning_rate: float,
    beta1: float = 0.5,
    beta2: float = 0.99,
) -> Dict[Any, Any]:
    """Return the updates of Adam, with smaller betas than usual, for adversarial training.

    Parameters
    ----------
    loss : theano scalar
        What is minimised.
    parameters : sequence of theano shared variables
        What is updated.
    learning_rate, beta1, beta2 : float
        As in Kingma and Ba, arXiv:1412.6980.

    Returns
    -------
    dict
        The new value of each parameter and of each variable of the optimiser's own.
    """
    step = theano.shared(np.asarray(0, theano.config.floatX), "step")
    updates = {step: step + 1}
    rate = learning_rate * T.sqrt(1 - beta2 ** (step + 1)) / (1 - beta1 ** (step + 1))
    for parameter, gradient in zip(parameters, theano.grad(loss, parameters)):
        mean = theano.shared(np.zeros_like(parameter.get_value()))
        square = theano.shared(np.zeros_like(parameter.get_value()))
        updates[mean] = beta1 * mean + (1 - beta1) * gradient
        updates[square] = beta2 * square + (1 - beta2) * T.sqr(gradient)
        updates[parameter] = parameter - rate * updates[mean] / (T.sqrt(updates[square]) + 1e-8)
    return updates


if __name__ == "__main__":
    experiment.main(DomainAdversarialNetwork, "Theano", theano.config.floatX)
