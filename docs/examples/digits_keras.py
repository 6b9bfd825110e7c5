"""The digits' network in Keras 3; ``dann_keras.py digits`` trains it."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

import keras
import numpy as np

import digits
import revgrad
from revgrad_keras import GradientReversal


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
    model : keras.Model
        From images, (n, 28, 28, 3), to the logits ``"label"`` and ``"domain"``, compiled.
    """

    def __init__(self, momentum: float = 0.9) -> None:
        self.lam = revgrad.LambdaVariable(0.0)
        layout = "channels_last"  # TensorFlow has no other one on a CPU
        self._layers = [keras.layers.Conv2D(n, 5, data_format=layout) for n in (32, 48)]
        self._layers += [keras.layers.Dense(n) for n in (100, 100)]
        self._layers += [keras.layers.Dense(10, name="label"), keras.layers.Dense(100)]
        self._layers += [keras.layers.Dense(1, name="domain")]
        conv1, conv2, label1, label2, label3, domain1, domain2 = self._layers
        relu = keras.ops.relu
        x = hidden = keras.Input((28, 28, 3))
        for convolution in (conv1, conv2):
            pooled = keras.layers.MaxPooling2D(2, data_format=layout)(convolution(hidden))
            hidden = relu(pooled)
        hidden = keras.layers.Permute((3, 1, 2))(hidden)  # the order of `digits.SHAPES`
        hidden = keras.layers.Flatten()(hidden)
        label = label3(relu(label2(relu(label1(hidden)))))
        domain = domain2(relu(domain1(GradientReversal(self.lam)(hidden))))  # of "target"
        self._outputs = keras.Model(x, {"features": hidden, "label": label})
        self.model = keras.Model(x, {"label": label, "domain": domain})
        self.model.compile(
            keras.optimizers.SGD(0.01, momentum=momentum),
            {
                "label": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                "domain": keras.losses.BinaryCrossentropy(from_logits=True),
            },
            metrics={"domain": keras.metrics.BinaryAccuracy("accuracy", threshold=0.0)},
            jit_compile=keras.backend.backend() == "jax",
        )
        self.model.optimizer.build(self.model.trainable_variables)
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Set the first weights of a seed and clear the optimiser."""
        values = digits.initial(seed)
        self.set_state([*values, *(np.zeros_like(value) for value in values)])

    def train(
        self, xs: np.ndarray, ys: np.ndarray, xt: Optional[np.ndarray], rate: float
    ) -> Tuple[float, float, float]:
        """Take one step; ``digits_torch.py`` describes the arguments and the result."""
        n_source, n_target = len(xs), 0 if xt is None else len(xt)
        x = xs if xt is None else np.concatenate([xs, xt])
        # The target has no label loss; without a target, there is no domain loss. Keras divides by
        # the size of the batch: a weight of 2 gives the mean over the source.
        factor = np.float32((n_source + n_target) / n_source)
        numbers = [n_source, n_target]
        self.model.optimizer.learning_rate = rate
        self.model.reset_metrics()
        logs = self.model.train_on_batch(
            x.transpose(0, 2, 3, 1),
            {
                "label": np.concatenate([ys, np.zeros(n_target, ys.dtype)]),
                "domain": np.repeat(np.float32([0, 1]), numbers)[:, None],
            },
            {
                "label": np.repeat(np.float32([factor, 0]), numbers),
                "domain": np.full(len(x), n_target > 0, "float32"),
            },
            return_dict=True,
        )
        if xt is None:
            return float(logs["label_loss"]), np.nan, np.nan
        return tuple(float(logs[n]) for n in ("label_loss", "domain_loss", "domain_accuracy"))

    def represent(self, x: np.ndarray) -> np.ndarray:
        """Return the features of images."""
        return self._predict(x, "features")

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the labels of images."""
        return self._predict(x, "label").argmax(axis=1)

    def _predict(self, x: np.ndarray, name: str) -> np.ndarray:
        outputs = self._outputs.predict_on_batch(x.transpose(0, 2, 3, 1))
        return np.asarray(outputs[name])

    def get_state(self) -> List[np.ndarray]:
        """Return a copy of the parameters, in the form of `digits.initial`, and the momenta."""
        values = (keras.ops.convert_to_numpy(each) for each in self._variables())
        return [np.array(v.transpose(3, 2, 0, 1) if v.ndim == 4 else v) for v in values]

    def set_state(self, values: Sequence[np.ndarray]) -> None:
        """Restore the state that `get_state` returned."""
        for variable, value in zip(self._variables(), values):
            variable.assign(value.transpose(2, 3, 1, 0) if value.ndim == 4 else value)

    def _variables(self) -> List[Any]:
        parameters = [variable for layer in self._layers for variable in layer.variables]
        momenta = self.model.optimizer.momentums
        order = [id(variable) for variable in self.model.trainable_variables]
        return [*parameters, *(momenta[order.index(id(variable))] for variable in parameters)]
