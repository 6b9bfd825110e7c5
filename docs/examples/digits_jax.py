"""The digits' network in JAX; ``dann_jax.py digits`` trains it."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

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
        The λ of the reversal. `train` passes its value to the compiled step as an argument.
    """

    def __init__(self, momentum: float = 0.9) -> None:
        self.lam = revgrad.LambdaVariable(0.0)
        self._optimizer = optax.trace(momentum)
        self._step = jax.jit(self._one_step)
        self._outputs = jax.jit(outputs)
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Set the first weights of a seed and clear the optimiser."""
        self._parameters = [jnp.asarray(value) for value in digits.initial(seed)]
        self._state = self._optimizer.init(self._parameters)

    def train(
        self, xs: np.ndarray, ys: np.ndarray, xt: Optional[np.ndarray], rate: float
    ) -> Tuple[float, float, float]:
        """Take one step; ``digits_torch.py`` describes the arguments and the result."""
        lam = self.lam.value
        self._parameters, self._state, numbers = self._step(
            self._parameters, self._state, xs, ys, xt, lam, rate
        )
        label_loss, domain_loss, right = (float(each) for each in numbers)
        return label_loss, domain_loss, right

    def _one_step(self, parameters: Any, state: Any, *args: Any) -> Tuple[Any, Any, Any]:
        *batch, rate = args
        gradients, numbers = jax.grad(losses, has_aux=True)(parameters, *batch)
        updates, state = self._optimizer.update(gradients, state)
        return [p - rate * u for p, u in zip(parameters, updates)], state, numbers

    def represent(self, x: np.ndarray) -> np.ndarray:
        """Return the features of images."""
        return np.asarray(self._outputs(self._parameters, x)[0])

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the labels of images."""
        return np.asarray(self._outputs(self._parameters, x)[1]).argmax(axis=1)

    def get_state(self) -> List[np.ndarray]:
        """Return a copy of the parameters, in the form of `digits.initial`, and the momenta."""
        return [np.array(each) for each in (*self._parameters, *self._state.trace)]

    def set_state(self, values: Sequence[np.ndarray]) -> None:
        """Restore the state that `get_state` returned."""
        n = len(self._parameters)
        self._parameters, trace = ([jnp.asarray(v) for v in vs] for vs in (values[:n], values[n:]))
        self._state = optax.TraceState(trace)


def losses(parameters: Any, xs: Any, ys: Any, xt: Any, lam: Any) -> Tuple[Any, Any]:
    """Return the total loss; and the label loss, the domain loss and the domain accuracy."""
    hidden = represent(parameters, xs if xt is None else jnp.concatenate([xs, xt]))
    logits = classify(parameters[4:10], hidden[: len(xs)])
    label_loss = optax.softmax_cross_entropy_with_integer_labels(logits, ys).mean()
    if xt is None:
        return label_loss, (label_loss, jnp.nan, jnp.nan)
    logit = classify(parameters[10:], revgrad.reverse(hidden, lam))[:, 0]  # of "target"
    domain = jnp.arange(len(hidden)) >= len(xs)
    domain_loss = optax.sigmoid_binary_cross_entropy(logit, domain).mean()
    right = ((logit > 0) == domain).mean()
    return label_loss + domain_loss, (label_loss, domain_loss, right)


def outputs(parameters: Any, x: Any) -> Tuple[Any, Any]:
    """Return the features and the logits of the labels."""
    hidden = represent(parameters, x)
    return hidden, classify(parameters[4:10], hidden)


def represent(parameters: Any, x: Any) -> Any:
    """Return the features of images."""
    x = x.transpose(0, 2, 3, 1)  # the layout of the images in memory, and the faster one on a CPU
    for weights, biases in (parameters[0:2], parameters[2:4]):
        names = ("NHWC", "OIHW", "NHWC")
        x = lax.conv_general_dilated(x, weights, (1, 1), "VALID", dimension_numbers=names) + biases
        n, rows, columns, maps = x.shape
        x = x.reshape(n, rows // 2, 2, columns // 2, 2, maps).max(axis=(2, 4))
        x = jax.nn.relu(x)
    return x.transpose(0, 3, 1, 2).reshape(len(x), -1)


def classify(parameters: Any, x: Any) -> Any:
    """Apply dense layers with ReLUs between them."""
    for i in range(0, len(parameters), 2):
        x = jax.nn.relu(x) if i else x  # the features are rectified already
        x = x @ parameters[i] + parameters[i + 1]
    return x
