"""Domain-adversarial training in Lasagne.

The whole method is in the class `DomainAdversarialNetwork` below, which you may copy into a
project of your own. A feature extractor feeds two classifiers: one predicts the labels of the
source, the other distinguishes source from target. Between the features and the domain classifier
is ``revgrad.reverse``: the domain classifier learns to distinguish the domains, and the features,
which get its gradient times -λ, learn to make the domains indistinguishable. The rest of the
training is unchanged: the losses are added, and one optimiser updates all parameters.

Run it on the inter-twinning moons, on the Amazon reviews, or on digits (``digits_lasagne.py`` has
that network)::

    python docs/examples/dann_lasagne.py moons
    python docs/examples/dann_lasagne.py amazon FOLDER
    python docs/examples/dann_lasagne.py digits FOLDER

``dann_theano.py`` is the same program in plain Theano, name by name. The data, the training loop
and the figure are in ``problems.py``, ``experiment.py`` and ``report.py``.

References
----------
Y. Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17(59), 2016,
arXiv:1505.07818.
"""

from __future__ import annotations

from functools import partial
from typing import Any, List, Optional, Sequence, Tuple

import revgrad_theano.compat  # noqa: F401  before Theano, to run on a current Python

import lasagne
import numpy as np
import theano
import theano.tensor as T
from lasagne.layers import DenseLayer, InputLayer, get_all_layers, get_all_params, get_output

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

        self.features = dense_stack(InputLayer((None, n_inputs)), features)
        self.labels = dense_stack(self.features, labels, n_outputs=n_classes)
        reversal = revgrad.reverse(self.features, self.lam)
        self.domains = dense_stack(reversal, domains, n_outputs=1)
        self.parameters = get_all_params([self.labels, self.domains], trainable=True)

        label_logits, source_logit = get_output([self.labels, self.domains], xs)
        target_logit = get_output(self.domains, xt)
        label_loss = T.nnet.categorical_crossentropy(T.nnet.softmax(label_logits), ys).mean()
        # The domain classifier's logit is that of "target": -log(1 - sigmoid(z)) = softplus(z).
        domain_loss = T.nnet.softplus(source_logit).mean() + T.nnet.softplus(-target_logit).mean()
        above = get_all_layers(self.domains, treat_as_input=[reversal])
        penalty = domain_decay * sum(T.sqr(layer.W).sum() for layer in above[1:])
        self.inputs, self.domain_loss = [xs, ys, xt, domain_weight], domain_loss
        self.loss = label_loss + domain_weight * (domain_loss + penalty)

        # Smaller betas than the defaults suit adversarial training.
        rule = partial(lasagne.updates.adam, beta1=0.5, beta2=0.99)
        if optimizer == "sgd":
            rule = lasagne.updates.sgd
        steps = rule(self.loss, self.parameters, learning_rate)
        self._state = [(v, v.get_value()) for v in steps if v not in self.parameters]
        self.train = theano.function(
            [xs, ys, xt, *inputs, theano.In(domain_weight, value=1.0)],
            [label_loss, domain_loss],
            updates=[*steps.items(), *updates],
        )
        hidden = get_output(self.features, xs)
        self._outputs = theano.function([xs], [hidden, label_logits, source_logit[:, 0]])

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


def dense_stack(incoming: Any, sizes: Sequence[int], n_outputs: Optional[int] = None) -> Any:
    """Return dense layers on top of `incoming`, one after the other, each with a sigmoid.

    Parameters
    ----------
    incoming : lasagne.layers.Layer
        The layer below.
    sizes : sequence of int
        The number of units of each layer.
    n_outputs : int, optional
        The number of units of one more layer, a linear one.

    Returns
    -------
    lasagne.layers.Layer
        The topmost layer.
    """
    for size in sizes:
        incoming = DenseLayer(incoming, size, nonlinearity=T.nnet.sigmoid)
    if n_outputs is not None:
        incoming = DenseLayer(incoming, n_outputs, nonlinearity=None)
    return incoming


def initial(shape: Tuple[int, ...], rng: np.random.RandomState) -> np.ndarray:
    """Return Glorot's uniform weights for a matrix, zeros for a vector of biases."""
    bound = np.sqrt(6 / sum(shape)) if len(shape) == 2 else 0.0
    return rng.uniform(-bound, bound, shape).astype(theano.config.floatX)


if __name__ == "__main__":
    experiment.main(DomainAdversarialNetwork, "Lasagne", theano.config.floatX)
