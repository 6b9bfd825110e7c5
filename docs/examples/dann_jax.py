"""Domain-adversarial training in JAX: one jitted step, with λ as one of its arguments.

The whole method is in `losses` and `step` below, which you may copy into a project of your own. A
feature extractor feeds two classifiers: one predicts the labels of the source, the other
distinguishes source from target. Between the features and the domain classifier is
``revgrad.reverse``.

Run it on the inter-twinning moons, on the Amazon reviews, or on digits (``digits_jax.py`` has
that network)::

    python docs/examples/dann_jax.py moons
    python docs/examples/dann_jax.py amazon FOLDER
    python docs/examples/dann_jax.py digits FOLDER

``dann_theano.py`` is the same program in Theano. The data, the training loop and the figure are in
``problems.py``, ``experiment.py`` and ``report.py``.

References
----------
Y. Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17(59), 2016,
arXiv:1505.07818.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Dict, List, Optional, Sequence, Tuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import experiment
import revgrad

Layers = List[Tuple[Any, Any]]


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
        The sizes of the hidden layers of the label predictor and of the domain classifier.
    learning_rate : float, optional
        The step size.
    domain_decay : float, optional
        The coefficient of the L2 penalty on the domain classifier.
    optimizer : str, optional
        ``"adam"`` or ``"sgd"``.

    Attributes
    ----------
    lam : revgrad.LambdaVariable
        The λ of the reversal. `train` passes its value to the compiled step as an argument, so it
        may change between two steps without another compilation.
    parameters : dict
        The weights and biases of the three parts.

    Notes
    -----
    The paper uses λ in two ways, and this network supports both: deep networks have λ in the
    reversal and weight 1 on the domain loss, shallow ones have 1 in the reversal and weight λ.
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
    ) -> None:
        self.lam = revgrad.LambdaVariable(1.0)
        self._units = {
            "features": [n_inputs, *features],
            "labels": [features[-1], *labels, n_classes],
            "domains": [features[-1], *domains, 1],
        }
        adam = optax.adam(learning_rate, b1=0.5, b2=0.99)
        self._optimizer = optax.sgd(learning_rate) if optimizer == "sgd" else adam
        self._step = jax.jit(partial(step, self._optimizer, domain_decay))
        self._outputs = jax.jit(outputs)
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Draw new parameters and clear the optimiser, without compiling again.

        Parameters
        ----------
        seed : int
            The seed of the draw.
        """
        rng = np.random.RandomState(seed)
        self.parameters: Dict[str, Layers] = {
            part: [dense(shape, rng) for shape in zip(units, units[1:])]
            for part, units in self._units.items()
        }
        self._state = self._optimizer.init(self.parameters)

    def train(
        self, xs: np.ndarray, ys: np.ndarray, xt: np.ndarray, domain_weight: float = 1.0
    ) -> Tuple[Any, Any]:
        """Take one step, and return the label loss and the domain loss before it.

        Parameters
        ----------
        xs, ys : numpy.ndarray
            Labelled source samples.
        xt : numpy.ndarray
            Unlabelled target samples.
        domain_weight : float, optional
            The weight of the domain loss.

        Returns
        -------
        tuple of jax.Array
            Two scalars.
        """
        self.parameters, self._state, both = self._step(
            self.parameters, self._state, xs, ys, xt, self.lam.value, domain_weight
        )
        return both

    def represent(self, x: np.ndarray) -> np.ndarray:
        """Return the features of each row of `x`."""
        return np.asarray(self._outputs(self.parameters, x)[0])

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the label of each row of `x`."""
        return np.asarray(self._outputs(self.parameters, x)[1]).argmax(axis=1)

    def predict_domain(self, x: np.ndarray) -> np.ndarray:
        """Return the domain of each row of `x`: 0 for the source, 1 for the target."""
        return (np.asarray(self._outputs(self.parameters, x)[2]) > 0).astype("int32")

    def get_parameters(self) -> List[np.ndarray]:
        """Return a copy of the values of all parameters."""
        return [np.array(leaf) for leaf in jax.tree_util.tree_leaves(self.parameters)]

    def set_parameters(self, values: Sequence[np.ndarray]) -> None:
        """Set the values of all parameters."""
        structure = jax.tree_util.tree_structure(self.parameters)
        leaves = [jnp.asarray(value) for value in values]
        self.parameters = jax.tree_util.tree_unflatten(structure, leaves)


def losses(
    domain_decay: float, parameters: Any, xs: Any, ys: Any, xt: Any, lam: Any, domain_weight: Any
) -> Tuple[Any, Tuple[Any, Any]]:
    """Return the total loss, and the label loss and the domain loss, which are its terms."""
    source, target = (stack(parameters["features"], x, "hidden") for x in (xs, xt))
    logits = stack(parameters["labels"], source)
    label_loss = optax.softmax_cross_entropy_with_integer_labels(logits, ys).mean()
    # The domain classifier's logit is that of "target": -log(1 - sigmoid(z)) = softplus(z).
    source_logit = stack(parameters["domains"], revgrad.reverse(source, lam))
    target_logit = stack(parameters["domains"], revgrad.reverse(target, lam))
    domain_loss = jax.nn.softplus(source_logit).mean() + jax.nn.softplus(-target_logit).mean()
    penalty = domain_decay * sum((weights**2).sum() for weights, _ in parameters["domains"])
    return label_loss + domain_weight * (domain_loss + penalty), (label_loss, domain_loss)


def step(
    optimizer: Any, domain_decay: float, parameters: Any, state: Any, *batch: Any
) -> Tuple[Any, Any, Tuple[Any, Any]]:
    """Return the parameters and the optimiser's state after one step, and the two losses."""
    find = jax.grad(partial(losses, domain_decay), has_aux=True)
    gradients, both = find(parameters, *batch)
    updates, state = optimizer.update(gradients, state)
    return optax.apply_updates(parameters, updates), state, both


def outputs(parameters: Any, x: Any) -> Tuple[Any, Any, Any]:
    """Return the features, the logits of the labels and that of the domain."""
    hidden = stack(parameters["features"], x, "hidden")
    return hidden, stack(parameters["labels"], hidden), stack(parameters["domains"], hidden)[:, 0]


def stack(layers: Layers, x: Any, last: Optional[str] = None) -> Any:
    """Apply dense layers with sigmoids; the last one is linear unless it is hidden."""
    for number, (weights, biases) in enumerate(layers):
        x = x @ weights + biases
        if last == "hidden" or number < len(layers) - 1:
            x = jax.nn.sigmoid(x)
    return x


def dense(shape: Tuple[int, int], rng: np.random.RandomState) -> Tuple[Any, Any]:
    """Return Glorot's uniform weights, and biases of zero."""
    bound = np.sqrt(6 / sum(shape))
    weights = rng.uniform(-bound, bound, shape)
    rng.uniform(size=shape[1])  # dann_theano.py draws biases here: a seed gives the same network
    return jnp.asarray(weights, "float32"), jnp.zeros(shape[1])


if __name__ == "__main__":
    experiment.main(DomainAdversarialNetwork, "JAX", "float32")
