"""Domain-adversarial training in Keras 3, with ``fit``: one layer, and λ on a schedule.

The whole method is in `DomainAdversarialNetwork` and `Batches` below, which you may copy into a
project of your own. A feature extractor feeds two classifiers: one predicts the labels of the
source, the other distinguishes source from target. Between the features and the domain classifier
is a ``GradientReversal``. Each batch has samples of both domains; sample weights of 0 exclude the
target from the label loss.

Run it on the inter-twinning moons, on the Amazon reviews, or on digits (with the network of
``digits_keras.py``), on any backend of Keras::

    KERAS_BACKEND=tensorflow python docs/examples/dann_keras.py moons
    KERAS_BACKEND=jax python docs/examples/dann_keras.py amazon FOLDER
    KERAS_BACKEND=tensorflow python docs/examples/dann_keras.py digits FOLDER

``dann_theano.py`` is the same network in Theano. The data, the command line and the figure are in
``problems.py``, ``experiment.py`` and ``report.py``.

References
----------
Y. Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17(59), 2016,
arXiv:1505.07818.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence, Tuple

import keras
import numpy as np

import experiment
from problems import Problem
from revgrad.schedules import Constant, Dann
from revgrad_keras import GradientReversal, ScheduleLambda
from training import Settings


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
    model : keras.Model
        From `x` to the logits ``"label"`` and ``"domain"``, compiled.
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
        self._sgd = optimizer == "sgd"
        x = keras.Input((n_inputs,))
        self._dense: List[Any] = []
        hidden = self._stack(x, [*features])
        label = self._stack(hidden, [*labels, n_classes], "label")
        decay = keras.regularizers.L2(domain_decay)
        reversed_ = GradientReversal()(hidden)
        domain = self._stack(reversed_, [*domains, 1], "domain", kernel_regularizer=decay)
        self._features = keras.Model(x, hidden)
        self.model = keras.Model(x, {"label": label, "domain": domain})
        adam = keras.optimizers.Adam(learning_rate, beta_1=0.5, beta_2=0.99, epsilon=1e-8)
        self.model.compile(
            keras.optimizers.SGD(learning_rate) if self._sgd else adam,
            {
                "label": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                "domain": keras.losses.BinaryCrossentropy(from_logits=True),
            },
            jit_compile=keras.backend.backend() != "torch",
        )

    def _stack(self, x: Any, units: Sequence[int], name: str = "", **options: Any) -> Any:
        """Apply dense layers, each with a sigmoid; the last one of a named stack gives logits."""
        for number, size in enumerate(units):
            last = bool(name) and number == len(units) - 1
            self._dense.append(
                keras.layers.Dense(
                    size,
                    activation=None if last else "sigmoid",
                    name=name if last else None,
                    **options,
                )
            )
            x = self._dense[-1](x)
        return x

    def reset(self, seed: int) -> None:
        """Draw new parameters and clear the optimiser, without compiling again.

        Parameters
        ----------
        seed : int
            The seed of the draw; the parameters are the same as in ``dann_theano.py``.
        """
        rng = np.random.RandomState(seed)
        for dense in self._dense:
            shape = dense.kernel.shape
            bound = np.sqrt(6 / sum(shape))
            weights = rng.uniform(-bound, bound, shape)
            rng.uniform(size=shape[1])  # dann_theano.py draws biases here
            dense.set_weights([weights, np.zeros(shape[1])])
        optimizer = self.model.optimizer
        for variable in optimizer.variables:
            if variable is not optimizer._learning_rate:
                variable.assign(keras.ops.zeros(variable.shape, variable.dtype))

    def fit(
        self,
        problem: Problem,
        settings: Settings,
        seed: int,
        adversarial: bool = True,
        tick: Callable[..., Any] = lambda n=1: None,
    ) -> None:
        """Train from scratch; the arguments are those of `training.fit`.

        The paper uses λ in two ways: deep networks have λ in the reversal and weight 1 on the
        domain loss, shallow ones have 1 in the reversal and weight λ. With Adam the domain loss
        has weight 1 in both: the domain classifier trains the same, because Adam is invariant to
        the scale of its loss, and the features get λ times its gradient in either case.
        """
        self.reset(seed)
        rng = np.random.RandomState(seed)
        held = int(settings.holdout * len(problem.xs))
        order = rng.permutation(len(problem.xs))
        held_out, train = order[:held], order[held:]
        shallow = self._sgd and settings.reading == "shallow"
        weight, lam = (settings.lam, 1.0) if shallow else (1.0, settings.lam)
        xs, ys, xt = problem.xs[train], problem.ys[train], problem.xt
        batches = Batches(xs, ys, xt, settings.batch, rng, weight)
        ramp = Dann(settings.ramp, high=lam) if settings.ramp else Constant(lam)
        keep = Keep(self, settings, problem.xs[held_out], problem.ys[held_out], tick)
        self.model.fit(
            batches,
            epochs=settings.epochs,
            shuffle=False,  # the batches are drawn anew after each epoch
            verbose=0,
            callbacks=[
                ScheduleLambda(
                    ramp if adversarial else Constant(0), settings.epochs * len(batches)
                ),
                keep,
            ],
        )
        if keep.kept is not None:
            self.set_parameters(keep.kept)

    def represent(self, x: np.ndarray) -> np.ndarray:
        """Return the features of each row of `x`."""
        return keras.ops.convert_to_numpy(self._features(x))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the label of each row of `x`."""
        return keras.ops.convert_to_numpy(self.model(x)["label"]).argmax(axis=1)

    def predict_domain(self, x: np.ndarray) -> np.ndarray:
        """Return the domain of each row of `x`: 0 for the source, 1 for the target."""
        return (keras.ops.convert_to_numpy(self.model(x)["domain"])[:, 0] > 0).astype("int32")

    def get_parameters(self) -> List[np.ndarray]:
        """Return a copy of the values of all parameters."""
        return [np.array(each) for dense in self._dense for each in dense.get_weights()]

    def set_parameters(self, values: Sequence[np.ndarray]) -> None:
        """Set the values of all parameters."""
        for number, dense in enumerate(self._dense):
            dense.set_weights(values[2 * number : 2 * number + 2])


class Batches(keras.utils.PyDataset):
    """Batches of source and target together, for ``fit``.

    Parameters
    ----------
    xs, ys : numpy.ndarray
        Labelled source samples.
    xt : numpy.ndarray
        Unlabelled target samples.
    size : int
        The number of source samples in a batch; those of the target are spread over the batches.
    rng : numpy.random.RandomState
        Draws the order.
    domain_weight : float, optional
        The weight of the domain loss.
    """

    def __init__(
        self,
        xs: Any,
        ys: Any,
        xt: Any,
        size: int,
        rng: np.random.RandomState,
        domain_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self._domain_weight = np.float32(domain_weight)
        self._xs, self._ys, self._xt, self._rng = xs, ys, xt, rng
        self._count = max(1, len(xs) // size)
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        """Draw a new order."""
        self._source, self._target = (
            self._rng.permutation(len(x))[: len(x) // self._count * self._count].reshape(
                self._count, -1
            )
            for x in (self._xs, self._xt)
        )

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Tuple[Any, Dict[str, Any], Dict[str, Any]]:
        source, target = self._source[index], self._target[index]
        n_source, n_target = len(source), len(target)
        total = n_source + n_target
        x = np.concatenate([self._xs[source], self._xt[target]])
        label = np.concatenate([self._ys[source], np.zeros(n_target, self._ys.dtype)])
        domain = np.repeat(np.float32([0, 1]), [n_source, n_target])[:, None]
        # Keras divides by the batch size; these weights give a mean over each domain instead.
        of_source, of_target = np.float32(total / n_source), np.float32(total / n_target)
        weights = {
            "label": np.repeat(np.float32([of_source, 0]), [n_source, n_target]),
            "domain": self._domain_weight
            * np.repeat(np.float32([of_source, of_target]), [n_source, n_target]),
        }
        return x, {"label": label, "domain": domain}, weights


class Keep(keras.callbacks.Callback):
    """Keeps the parameters of the best epoch, or their average; see `training.Settings`."""

    def __init__(self, network: Any, settings: Settings, x: Any, y: Any, tick: Any) -> None:
        super().__init__()
        self.kept: Any = None
        self._network, self._settings, self._x, self._y = network, settings, x, y
        self._tick, self._count, self._best, self._until = tick, 0, -1.0, 30

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Update the kept parameters."""
        if len(self._x):
            accuracy = float(np.mean(self._network.predict(self._x) == self._y))
            if accuracy >= self._best:
                self._best, self.kept = accuracy, self._network.get_parameters()
                self._until = max(self._until, int(1.5 * epoch))
            elif self._settings.stop_early and epoch > self._until:
                self.model.stop_training = True
                self._tick(self._settings.epochs - epoch)
                return
        elif epoch >= (1 - self._settings.average) * self._settings.epochs:
            self._count += 1
            now = self._network.get_parameters()
            before = now if self.kept is None else self.kept
            self.kept = [a + (b - a) / self._count for a, b in zip(before, now)]
        self._tick()


if __name__ == "__main__":
    experiment.main(DomainAdversarialNetwork, "Keras", "float32")
