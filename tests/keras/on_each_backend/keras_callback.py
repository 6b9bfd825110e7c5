"""`ScheduleLambda`: per batch and per epoch, logged, and resumed after a crash."""

from unittest import mock

import keras
import numpy as np
import pytest
from keras.callbacks import BackupAndRestore, Callback, LambdaCallback
from small_models import JIT, X, Y, built, functional

import revgrad
from revgrad.schedules import Constant, Dann, Linear, progress
from revgrad_keras import GradientReversal, ScheduleLambda
from revgrad_keras.native import LambdaWeight

RAMP, TOTAL = Dann(), 12


def make(reversal=None, **options):
    return built(functional, reversal or GradientReversal(), **options)


def fit(model, *callbacks, **options):
    """Return the history, and in it λ as it is logged of each batch."""
    lams = []
    watch = LambdaCallback(on_train_batch_end=lambda _, logs: lams.append(logs.get("lam")))
    settings = {"epochs": 3, "batch_size": 4, "shuffle": False, "verbose": 0, **options}
    history = model.fit(X, Y, callbacks=[*callbacks, watch], **settings).history
    return {**history, "lam of each batch": lams}


def expected(steps):
    """Return λ as the weight holds it, in float32."""
    return [float(np.float32(RAMP(progress(step, TOTAL)))) for step in steps]


@pytest.mark.parametrize(
    "callback, lams",
    [
        (ScheduleLambda(RAMP, TOTAL), expected(range(12))),
        (ScheduleLambda(Linear(0, 3), 3, per="epoch"), [0.0] * 4 + [1.0] * 4 + [2.0] * 4),
    ],
)
def test_per_batch_and_per_epoch(callback, lams, capsys):
    """λ is also in the history, and in the progress bar."""
    history = fit(make(), callback, verbose=2)
    assert history["lam of each batch"] == lams
    assert history["lam"] == lams[3::4]
    assert f"lam: {lams[7]:.4f}" in capsys.readouterr().out


def test_lambda_is_what_the_step_is_trained_with():
    """Over a ramp, training is what it is when λ is set by hand between one-batch fits."""
    by_callback, by_hand = make(), make()
    fit(by_callback, ScheduleLambda(RAMP, TOTAL))
    for step, rows in enumerate(np.split(np.tile(np.arange(16), 3), 12)):
        by_hand.layers[2].set_lam(RAMP(progress(step, TOTAL)))
        by_hand.fit(X[rows], Y[rows], batch_size=4, shuffle=False, verbose=0)
    for ours, theirs in zip(by_callback.get_weights(), by_hand.get_weights()):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "per, total", [pytest.param("batch", 12, marks=pytest.mark.slow), ("epoch", 3)]
)
def test_it_survives_a_crash(tmp_path, per, total):
    def callbacks():
        backup = BackupAndRestore(str(tmp_path), delete_checkpoint=False)
        return ScheduleLambda(RAMP, total, per=per), backup

    whole = fit(make(), callbacks()[0])
    crash = mock.Mock(side_effect=[None, None, KeyboardInterrupt])  # when epoch 2 begins
    with pytest.raises(KeyboardInterrupt):
        fit(make(), *callbacks(), LambdaCallback(on_epoch_begin=crash))
    rest = fit(make(), *callbacks())
    assert rest["lam"] == whole["lam"][2:]
    np.testing.assert_allclose(rest["loss"], whole["loss"][2:], rtol=1e-6)


def test_a_second_fit_and_a_loaded_model_go_on(tmp_path):
    model, path = make(), str(tmp_path / "model.keras")
    first = fit(model, ScheduleLambda(RAMP, TOTAL), epochs=1)
    model.save(path)
    for each in (model, keras.models.load_model(path)):
        second = fit(each, ScheduleLambda(RAMP, TOTAL), initial_epoch=1)
        assert first["lam"] + second["lam"] == expected([3, 7, 11])


@pytest.mark.skipif(not JIT, reason="PyTorch runs one step at a time")
def test_several_steps_in_one_execution():
    history = fit(make(steps_per_execution=2), ScheduleLambda(RAMP, TOTAL))
    assert history["lam of each batch"] == expected(range(0, 12, 2))


@pytest.mark.parametrize("wrap", [lambda inner: inner, keras.optimizers.LossScaleOptimizer])
def test_accumulated_gradients_are_batches_too(wrap):
    """The optimizer counts one iteration for every two batches; λ moves at each batch."""
    optimizer = wrap(keras.optimizers.Adam(gradient_accumulation_steps=2))
    history = fit(make(optimizer=optimizer), ScheduleLambda(RAMP, TOTAL))
    assert history["lam of each batch"] == expected(range(12))


class Writes(Callback):
    """Sets λ to 9 at the beginning or at the end of each second batch."""

    def __init__(self, when):
        super().__init__()
        setattr(self, f"on_train_batch_{when}", self.write)

    def write(self, batch, logs=None):
        if batch % 2:
            self.model.layers[2].lam = 9.0


@pytest.mark.parametrize("when, logged", [("end", [1.0] * 4), ("begin", [1.0, 9.0, 1.0, 9.0])])
def test_what_another_callback_sets_is_logged_and_does_not_stay(when, logged):
    """On a plateau of the schedule too."""
    history = fit(make(), ScheduleLambda(Constant(1.0), 4), Writes(when), epochs=1)
    assert history["lam of each batch"] == logged


@pytest.mark.parametrize("per, total", [("batch", 12), ("epoch", 3)])
def test_on_a_plateau_the_weights_are_not_copied_at_each_batch(per, total):
    """Setting or reading a weight while JAX trains copies all of them back to the model."""
    options = {"autospec": True, "side_effect": LambdaWeight.assign}
    with mock.patch.object(LambdaWeight, "assign", **options) as assign:
        fit(make(), ScheduleLambda(Constant(0.3), total, per=per))
    assert assign.call_count <= 4  # once, and JAX at the end of each of three epochs


def test_layers_inside_other_layers_are_found_and_a_variable_is_set_too():
    lam = revgrad.LambdaVariable()
    inner = keras.Sequential([GradientReversal(lam), keras.layers.Dense(1)])
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), inner])
    model.compile("sgd", "mse")
    fit(model, ScheduleLambda(RAMP, TOTAL))
    assert float(inner.layers[0].lam.value) == np.float32(lam.value) == expected([11])[0]


def test_a_bad_argument():
    for arguments, words in (
        ((RAMP, TOTAL, "step"), "per must be 'batch' or 'epoch'; got 'step'"),
        ((RAMP, 0), "total_steps"),
        ((0.3, TOTAL), "schedule"),
    ):
        with pytest.raises(ValueError, match=words):
            ScheduleLambda(*arguments)


def test_a_bad_model_and_a_bad_schedule():
    with pytest.raises(ValueError, match="found no GradientReversal in the model"):
        fit(make(keras.layers.Identity()), ScheduleLambda(RAMP, TOTAL))
    with pytest.raises(revgrad.InvalidLambdaError):
        fit(make(), ScheduleLambda(lambda p: -p, TOTAL))
    model = make()
    model.compile(None, "mse")
    with pytest.raises(ValueError, match="counts batches by the optimizer"):
        fit(model, ScheduleLambda(RAMP, TOTAL))
