"""`ScheduleLambda`: λ along a schedule, while `fit` runs."""

from typing import Any, Dict, Optional

import keras
import numpy as np

from revgrad._names import set_module
from revgrad.backend import lambda_as_float
from revgrad.schedules import progress
from revgrad_keras.layers import GradientReversal

Logs = Optional[Dict[str, Any]]


@set_module("revgrad_keras")
class ScheduleLambda(keras.callbacks.Callback):  # type: ignore[misc]
    """Sets λ of every `GradientReversal` in the model along a schedule, and logs it as ``lam``.

    Parameters
    ----------
    schedule : callable
        Maps progress in [0, 1] to λ; one of `revgrad.schedules`, say.
    total_steps : int
        The steps of the whole training run, at least 1: batches or epochs. There is no default, as
        a ramp over some fixed number of steps is right for one training run only.
    per : {"batch", "epoch"}, optional
        When λ is set.

    Raises
    ------
    ValueError
        If an argument is none of these; or, when training begins, if the model has no
        `GradientReversal`, or has no optimizer to count the batches.

    Notes
    -----
    The callback has no state that could be lost. The batches are those that the optimizer has
    counted, as for a learning rate that falls: they are saved and loaded with the model, and
    `keras.callbacks.BackupAndRestore` brings them back. Where it accumulates the gradients of n
    batches, it counts whole n only, so an epoch whose batches n does not divide may begin by up to
    n - 1 batches early on the ramp. The epoch is that of `fit`, which goes on from
    ``initial_epoch``.

    Examples
    --------
    >>> import keras
    >>> import numpy as np
    >>> from revgrad.schedules import Linear
    >>> from revgrad_keras import GradientReversal, ScheduleLambda
    >>> model = keras.Sequential([keras.Input((2,)), GradientReversal(), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> ramp = ScheduleLambda(Linear(0, 1), total_steps=4, per="epoch")
    >>> data = np.ones((8, 2)), np.ones((8, 1))
    >>> model.fit(*data, epochs=4, verbose=0, callbacks=[ramp]).history["lam"]
    [0.0, 0.25, 0.5, 0.75]
    """

    def __init__(self, schedule: Any, total_steps: int, per: str = "batch") -> None:
        super().__init__()
        if per not in ("batch", "epoch"):
            raise ValueError(f"per must be 'batch' or 'epoch'; got {per!r}")
        if not callable(schedule):
            raise ValueError(f"schedule must map progress to λ; got {schedule!r}")
        progress(0, total_steps)  # which validates total_steps
        self.schedule = schedule
        self.total_steps = total_steps
        self._per_batch = per == "batch"

    def on_train_begin(self, logs: Logs = None) -> None:
        """Find the layers."""
        model = self.model
        layers = model._flatten_layers()
        self._layers = [each for each in layers if isinstance(each, GradientReversal)]
        if not self._layers:
            raise ValueError(
                f"ScheduleLambda found no GradientReversal in the model {model.name!r}: put one "
                "between the features and the domain classifier."
            )
        if self._per_batch and model.optimizer is None:
            raise ValueError(
                "ScheduleLambda counts batches by the optimizer, and the model was compiled "
                "without one. Compile it with an optimizer, or pass per='epoch'."
            )

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Set λ, or find out how many batches were trained before."""
        if self._per_batch:
            optimizer = self.model.optimizer
            optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of a loss scale
            # Where gradients are accumulated, an iteration is several batches.
            batches = getattr(optimizer, "gradient_accumulation_steps", None) or 1
            self._before = int(optimizer.iterations) * batches
        else:
            self._set(epoch)

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Set λ."""
        if self._per_batch:
            self._set(self._before + batch)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Log the λ that was trained with, whoever has set it."""
        if logs is not None:
            logs["lam"] = self._lam(self._layers[0])

    on_epoch_end = on_train_batch_end

    def _lam(self, layer: GradientReversal) -> float:
        lam: Optional[float] = layer.lam.value_in_training
        if lam is not None:
            return lam
        self.model  # on JAX: copies the state of the training to the weights
        return float(layer.lam.value)

    def _set(self, step: int) -> None:
        lam = lambda_as_float(self.schedule(progress(step, self.total_steps)))
        for layer in self._layers:
            if self._lam(layer) != np.float32(lam):
                self.model  # on JAX: as above, or the state would overwrite λ
                layer.lam = lam
