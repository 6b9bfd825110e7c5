"""`GradientReversal` in every kind of model, trained, saved and loaded."""

import json
import os

import keras
import numpy as np
import pytest
from small_models import JIT, X, Y, built, functional
from support.examples import assert_public
from support.processes import python

import revgrad_keras
from revgrad import InvalidLambdaError, LambdaVariable, reverse, scale_gradient
from revgrad_keras import GradientReversal, GradientScale, ScheduleLambda
from revgrad_keras.testing import KerasHarness, _pulled_back

NATIVE = keras.backend.backend()


def test_public_names():
    assert_public(revgrad_keras)
    for each in (GradientReversal, GradientScale):
        assert keras.saving.get_registered_name(each) == f"revgrad>{each.__name__}"


def number(variable):
    return float(variable.value)


def gradient(model, x=X, *more):
    """Return the gradient of the sum of what a model makes of `x`, which has its shape."""
    return KerasHarness()._run(model, _pulled_back)(x, *more, np.ones_like(x))[1]


def sequential(reversal):
    return keras.Sequential(functional(reversal).layers)


class Subclassed(keras.Model):
    def __init__(self, reversal):
        super().__init__()
        _, self.features, self.reversal, self.domain = functional(reversal).layers

    def call(self, inputs):
        return self.domain(self.reversal(self.features(inputs)))


def step(model):
    """Return by how much one step of training moves each trained weight."""
    before = [weight.numpy() for weight in model.trainable_weights]
    model.fit(X, Y, batch_size=16, verbose=0)
    moves = [weight.numpy() - old for weight, old in zip(model.trainable_weights, before)]
    for weight, old in zip(model.trainable_weights, before):
        weight.assign(old)
    return moves


def assert_moved(factor, ours, theirs):
    """Assert that the features move `factor` times as far, and the domain classifier as far."""
    for each, our, their in zip([factor, factor, 1, 1], ours, theirs):
        np.testing.assert_allclose(our, each * their, rtol=1e-4, atol=1e-7)
        assert np.abs(their).max() > 1e-3


@pytest.mark.parametrize("make", [functional, sequential, Subclassed])
def test_fit_moves_the_features_the_other_way(make):
    plain = step(built(make, keras.layers.Identity()))
    assert_moved(-0.3, step(built(make, GradientReversal(0.3))), plain)


def test_lambda_is_a_weight_that_cannot_be_trained():
    layer = GradientReversal(0.5)
    (weight,) = layer.weights
    assert weight is layer.lam and weight.shape == () and weight.dtype == "float32"
    with pytest.raises(InvalidLambdaError, match="asks for a gradient"):
        weight.trainable = True
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), layer])
    for model.trainable in (False, True):
        assert layer.trainable_weights == []
    assert len(model.trainable_weights) == 2
    assert number(GradientReversal().lam) == number(GradientScale().factor) == 1
    assert GradientReversal().built and layer.compute_output_shape((4, 3)) == (4, 3)
    with pytest.raises(InvalidLambdaError, match="got -1"):
        layer(keras.Input((3,)), lam=-1)


@pytest.mark.skipif(NATIVE != "torch", reason="the others compile in the tests of fit")
def test_torch_compile_of_the_training_step():
    import torch
    from torch._dynamo.utils import counters

    def trained(layer):
        torch._dynamo.reset()
        counters.clear()
        model, steps, graphs = built(sequential, layer, jit_compile=True), [], []
        for layer.lam in lams:
            steps.append(step(model))
            graphs.append(counters["stats"]["unique_graphs"])
        return steps, graphs, dict(counters["graph_break"])

    lams = (0.3, 0.6, 0.9, 1.2)
    theirs, *expected = trained(keras.layers.Identity())
    ours, *found = trained(GradientReversal())
    for lam, reversed_, plain in zip(lams, ours, theirs):
        assert_moved(-lam, reversed_, plain)
    # No graph and no break that Keras would not have by itself, and none for another λ.
    assert found == expected


class Counts(GradientReversal):
    """Counts how often Python runs it, which no compiled step does."""

    traces = 0

    def call(self, inputs):
        self.traces += 1
        return super().call(inputs)


def test_lambda_changes_between_two_fits_without_compiling_again():
    lam = LambdaVariable(0.5)
    layer = Counts(lam)
    model = built(sequential, layer)
    at_half, traces = step(model), layer.traces
    lam.value = 2.0
    assert_moved(4, step(model), at_half)
    layer.set_lam(1.5)
    assert_moved(3, step(model), at_half)
    assert not JIT or layer.traces == traces


# --- λ is set -------------------------------------------------------------------------------------


def load(layer, value, tmp_path):
    """Load the weights of another model, in whose file λ is `value`."""
    path, other = str(tmp_path / "model.weights.h5"), GradientReversal()
    keras.Variable.assign(other.lam, value)  # which does not validate it
    keras.Sequential([keras.Input((3,)), other]).save_weights(path)
    keras.Sequential([keras.Input((3,)), layer]).load_weights(path)


SETS = {
    "layer.lam": lambda layer, value, _: setattr(layer, "lam", value),
    "assign": lambda layer, value, _: layer.lam.assign(value),
    "assign a tensor": lambda layer, value, _: layer.lam.assign(keras.ops.convert_to_tensor(value)),
    "assign a variable": lambda layer, value, _: layer.lam.assign(keras.Variable(value)),
    "assign_sub": lambda layer, value, _: layer.lam.assign_sub(number(layer.lam) - value),
    "set_weights": lambda layer, value, _: layer.set_weights([np.array(value, "float32")]),
    "load_weights": load,
}


@pytest.mark.parametrize("how", SETS)
def test_lambda_is_validated_and_its_variable_follows_wherever_it_is_set(how, tmp_path):
    # Keras raises an error of its own for a file, with our words.
    error = ValueError if how == "load_weights" else InvalidLambdaError
    lam = LambdaVariable(0.5)
    layer, other = GradientReversal(lam), GradientReversal(lam)
    weight = other.lam
    for bad, words in ((-1.0, "pass 1.0, not -1.0"), (np.nan, "got nan")):
        with pytest.raises(error, match=words):
            SETS[how](layer, bad, tmp_path)
    assert lam.value == number(weight) == 0.5
    SETS[how](layer, 0.25, tmp_path)
    assert layer.lam is weight and lam.value == number(weight) == 0.25
    lam.value = 0.3
    assert number(weight) == np.float32(0.3)
    weight.assign(weight.value)
    assert lam.value == 0.3  # not rounded to float32


def test_a_variable_that_is_refused_changes_nothing():
    lam = LambdaVariable(0.5)
    layer = GradientReversal(lam)
    with pytest.raises(InvalidLambdaError, match="too large .* for x of dtype float32"):
        lam.value = 1e39
    with pytest.raises(InvalidLambdaError, match="make the layer with it"):
        layer.lam = LambdaVariable(0.3)
    assert lam.value == number(layer.lam) == 0.5


def test_lambda_comes_back_with_the_weights_of_its_epoch(tmp_path):
    """EarlyStopping and ModelCheckpoint restore λ; the variable that drives it follows."""
    lam, path = LambdaVariable(0.0), str(tmp_path / "best.weights.h5")
    model = built(functional, GradientReversal(lam))
    best = {"monitor": "lam", "mode": "min"}
    callbacks = [
        ScheduleLambda(lambda p: [3, 1, 2, 2][round(4 * p)], 4, per="epoch"),
        keras.callbacks.EarlyStopping(patience=1, restore_best_weights=True, **best),
        keras.callbacks.ModelCheckpoint(path, save_weights_only=True, save_best_only=True, **best),
    ]
    model.fit(X, Y, epochs=4, verbose=0, callbacks=callbacks)
    assert lam.value == number(model.layers[2].lam) == 1.0
    lam.value = 3.0
    model.load_weights(path)
    assert lam.value == number(model.layers[2].lam) == 1.0


# --- what passes through the layer ----------------------------------------------------------------


def test_nested_inputs():
    x = {"a": X, "b": [X[:, :2], X[:, None, :2].astype("float16")]}
    inputs = keras.tree.map_structure(lambda a: keras.Input(a.shape[1:], dtype=a.dtype.name), x)
    found = keras.Model(inputs, GradientReversal(0.5)(inputs))(x)
    for y, expected in zip(keras.tree.flatten(found), keras.tree.flatten(x)):
        y = keras.ops.convert_to_numpy(y)
        np.testing.assert_array_equal(y, expected, strict=True)


def test_masks_are_passed_on():
    layers = keras.layers.Masking(), GradientReversal(0.5), keras.layers.GlobalAveragePooling1D()
    found = keras.Sequential(layers).predict(np.array([[[1.0], [0.0]]]), verbose=0)
    assert found.item() == 1  # the mean of what is not masked


def test_mixed_precision_does_not_round_lambda():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = built(functional, GradientReversal(0.3))
        assert np.isfinite(model.fit(X, Y, verbose=0).history["loss"]).all()
        assert number(model.layers[2].lam) == np.float32(0.3)
    finally:
        keras.config.set_dtype_policy(policy)


def test_copies_keep_lambda_as_it_is_now():
    layer = GradientReversal(0.5, name="reversal")
    layer.set_lam(0.25)
    copy = keras.models.clone_model(functional(layer)).get_layer("reversal")
    assert copy.lam is not layer.lam and number(copy.lam) == 0.25


CONTINUE = """
import sys, json, keras, numpy as np
from revgrad_keras import GradientReversal
model = keras.models.load_model(sys.argv[1])
x, y = np.load(sys.argv[2]).values()
print(json.dumps(model.fit(x, y, epochs=4, shuffle=False, verbose=0).history["loss"]))
"""


@pytest.mark.slow
def test_saved_and_trained_on_in_a_new_process(tmp_path):
    model = built(functional, GradientReversal(0.3), keras.optimizers.Adam(0.05))
    model.fit(X, Y, epochs=3, shuffle=False, verbose=0)
    model.layers[2].set_lam(0.7)
    path, data = str(tmp_path / "model.keras"), str(tmp_path / "data.npz")
    model.save(path)
    np.savez(data, x=X, y=Y)
    here = model.fit(X, Y, epochs=4, shuffle=False, verbose=0).history["loss"]
    there = json.loads(python(path, data, code=CONTINUE).stdout.splitlines()[-1])
    np.testing.assert_allclose(there, here, rtol=1e-6)
    assert here[0] != here[-1]


def test_a_variable_of_keras():
    x, lam = keras.Variable(X), keras.Variable(0.5, trainable=False)
    for y in (reverse(x, lam), scale_gradient(x, lam)):
        assert keras.ops.is_tensor(y)
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(y), X)


def test_a_variable_of_keras_as_lambda_of_a_symbolic_tensor_is_rejected():
    """No layer would hold it, so JAX would freeze its value, and nothing could save it."""
    with pytest.raises(InvalidLambdaError, match="a LambdaVariable, or a tensor of Keras"):
        reverse(keras.Input((3,)), keras.Variable(0.5))


# --- scale_gradient -------------------------------------------------------------------------------


def test_a_saved_model_keeps_factors_that_select(tmp_path):
    """One factor for each feature, and one for each sample, which an input of the model chooses."""
    x, flag, path = keras.Input((3,)), keras.Input((1,)), str(tmp_path / "model.keras")
    features, flags = np.array([[1.0, -2.0, 0.0]]), np.arange(16, dtype="float32")[:, None] % 2
    y = scale_gradient(scale_gradient(x, features), keras.ops.where(flag > 0, -0.5, 1.0))
    model = keras.Model([x, flag], y)
    model.save(path)
    for each in (model, keras.models.load_model(path)):
        expected = features * np.where(flags, -0.5, 1.0)
        np.testing.assert_array_equal(gradient(each, X, flags), expected)


def test_the_layer_of_a_factor():
    plain, layer = step(built(functional, keras.layers.Identity())), GradientScale(0.5)
    model = built(functional, layer)
    for layer.factor in (-2.0, 0.1):
        assert_moved(number(layer.factor), step(model), plain)
    assert number(GradientScale.from_config(layer.get_config()).factor) == np.float32(0.1)
    for bad in (np.nan, True, None, "0.3", 1e39):
        with pytest.raises(InvalidLambdaError, match="actor"):
            layer.factor = bad
    with pytest.raises(InvalidLambdaError, match="λ or factor asks for a gradient"):
        layer.factor.trainable = True


# --- the backends of Keras ------------------------------------------------------------------------


@pytest.mark.skipif(NATIVE != "tensorflow", reason="exports a SavedModel, with its gradient")
def test_an_exported_model_reverses(tmp_path):
    import tensorflow as tf

    model = keras.Sequential([keras.Input((3,)), GradientReversal(0.5)])
    model.export(str(tmp_path / "model"), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    np.testing.assert_array_equal(gradient(loaded.serve), np.full(X.shape, -0.5))


def test_the_backend_is_that_of_the_environment():
    assert os.environ["KERAS_BACKEND"] == NATIVE
