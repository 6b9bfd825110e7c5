"""`GradientReversal` in every kind of model, trained, saved and loaded."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import revgrad
from revgrad_keras import GradientReversal
from revgrad_keras.testing import KerasHarness, _pulled_back

NATIVE = keras.backend.backend()
JIT = NATIVE != "torch"  # torch.compile takes its time: it has one test here
X = np.random.RandomState(0).normal(size=(8, 3)).astype("float32")
Y = np.random.RandomState(1).normal(size=(8, 1)).astype("float32")


def gradient(model, x=X):
    """Return the gradient of the sum of what a model makes of `x`."""
    y = keras.ops.convert_to_numpy(model(x))
    return KerasHarness()._run(model, _pulled_back)(x, np.ones_like(y))[1]


def functional(reversal):
    x = keras.Input((3,))
    hidden = keras.layers.Dense(4, activation="tanh")(x)
    return keras.Model(x, keras.layers.Dense(1)(reversal(hidden)))


def sequential(reversal):
    return keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, activation="tanh"),
            reversal,
            keras.layers.Dense(1),
        ]
    )


class Subclassed(keras.Model):
    def __init__(self, reversal):
        super().__init__()
        self.features, self.reversal = keras.layers.Dense(4, activation="tanh"), reversal
        self.domain = keras.layers.Dense(1)

    def call(self, inputs):
        return self.domain(self.reversal(self.features(inputs)))


def built(make, reversal, **compile_options):
    keras.utils.set_random_seed(0)
    model = make(reversal)
    model(X)  # builds
    model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=JIT, **compile_options)
    return model


def step(model):
    """Return by how much one step of training moves each trained weight."""
    before = [np.array(keras.ops.convert_to_numpy(w)) for w in model.trainable_weights]
    model.fit(X, Y, batch_size=8, epochs=1, verbose=0)
    after = [keras.ops.convert_to_numpy(w) for w in model.trainable_weights]
    model.set_weights(weights_with(model, before))
    return [b - a for a, b in zip(before, after)]


def weights_with(model, trained):
    trained = iter(trained)
    return [next(trained) if w.trainable else keras.ops.convert_to_numpy(w) for w in model.weights]


@pytest.mark.parametrize("make", [functional, sequential, Subclassed])
def test_fit_moves_the_features_the_other_way(make):
    plain = step(built(make, keras.layers.Identity()))
    reversed_ = step(built(make, GradientReversal(0.3)))
    for number, (ours, theirs) in enumerate(zip(reversed_, plain)):
        factor = -0.3 if number < 2 else 1.0  # the features, then the domain classifier
        np.testing.assert_allclose(ours, factor * theirs, rtol=1e-4, atol=1e-7)
        assert np.abs(theirs).max() > 1e-3


def test_lambda_is_a_weight_that_is_not_trained():
    layer = GradientReversal(0.5)
    (weight,) = layer.weights
    assert weight is layer.lam and not weight.trainable
    assert weight.shape == () and weight.dtype == "float32"
    assert layer.trainable_weights == [] and layer.count_params() == 1


class Counts(keras.layers.Layer):
    """Counts how often Python runs it, which no compiled step does."""

    traces = 0

    def call(self, inputs):
        self.traces += 1
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.skipif(NATIVE != "torch", reason="the others compile in the tests of fit")
def test_torch_compile_of_the_training_step():
    import torch
    from torch._dynamo.utils import counters

    def trained(reversal):
        torch._dynamo.reset()
        counters.clear()
        model, steps, graphs = built(sequential, reversal), [], []
        model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=True)
        for lam in lams:
            if isinstance(reversal, GradientReversal):
                reversal.set_lam(lam)
            steps.append(step(model))
            graphs.append(counters["stats"]["unique_graphs"])
        return steps, graphs, dict(counters["graph_break"])

    lams = (0.3, 0.6, 0.9, 1.2)
    theirs, graphs, breaks = trained(keras.layers.Identity())
    ours, *found = trained(GradientReversal())
    for lam, plain, reversed_ in zip(lams, theirs, ours):
        np.testing.assert_allclose(reversed_[0], -lam * plain[0], rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(reversed_[2], plain[2], rtol=1e-4, atol=1e-7)
    # None that Keras would not have by itself, and none for another λ.
    assert found == [graphs, breaks]


@pytest.mark.parametrize("how", ["LambdaVariable", "set_lam"])
def test_lambda_changes_between_two_fits_without_compiling_again(how):
    lam = revgrad.LambdaVariable(0.5)
    reversal, counts = GradientReversal(lam if how == "LambdaVariable" else 0.5), Counts()
    model = built(lambda reversal: sequential(keras.Sequential([counts, reversal])), reversal)
    at_half = step(model)
    traces = counts.traces
    if how == "LambdaVariable":
        lam.value = 2.0
    else:
        reversal.set_lam(2.0)
    at_two = step(model)
    if JIT:
        assert counts.traces == traces
    np.testing.assert_allclose(at_two[0], 4 * at_half[0], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(at_two[2], at_half[2], rtol=1e-5, atol=1e-7)


def test_one_variable_for_several_layers():
    lam = revgrad.LambdaVariable(0.5)
    one, other = GradientReversal(lam), GradientReversal(lam)
    assert one.lam is other.lam
    one.set_lam(0.25)
    assert lam.value == 0.25 and float(keras.ops.convert_to_numpy(other.lam)) == 0.25


def test_nested_inputs():
    layer = GradientReversal(0.5)
    half = keras.Input((1, 2), dtype="float16")
    nested = {"a": keras.Input((3,), name="a"), "b": [keras.Input((2,)), half]}
    outputs = layer(nested)
    assert outputs["a"].shape == (None, 3) and outputs["b"][1].dtype == "float16"
    x = {"a": X, "b": [X[:, :2], X[:, None, :2].astype("float16")]}
    found = keras.Model(nested, outputs)(x)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(found["b"][1]), x["b"][1])


def test_masks_are_passed_on():
    def pooled(layer, mask_zero=True):
        tokens = keras.Input((4,), dtype="int32")
        keras.utils.set_random_seed(0)
        x = layer(keras.layers.Embedding(9, 3, mask_zero=mask_zero)(tokens))
        model = keras.Model(tokens, keras.layers.GlobalAveragePooling1D()(x))
        return model.predict(np.array([[1, 2, 0, 0], [3, 4, 5, 0]]), verbose=0)

    masked = pooled(keras.layers.Identity())
    np.testing.assert_array_equal(pooled(GradientReversal(0.5)), masked)
    assert np.abs(pooled(GradientReversal(0.5), mask_zero=False) - masked).max() > 1e-4


def test_mixed_precision_casts_neither_lambda_nor_x():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        layer = GradientReversal(0.3)
        assert layer.lam.dtype == "float32"
        for dtype in ("float16", "float32"):
            x = keras.Input((3,), dtype=dtype)
            assert layer(x).dtype == dtype
            model = keras.Model(x, layer(x))
            found = gradient(model, X.astype(dtype))
            assert found.dtype == dtype
            np.testing.assert_array_equal(found, np.full(X.shape, -np.asarray(0.3, dtype)))
        model = built(functional, GradientReversal(0.3))
        assert np.isfinite(model.fit(X, Y, verbose=0).history["loss"]).all()
    finally:
        keras.config.set_dtype_policy(policy)


def test_copies_keep_lambda_as_it_is_now():
    layer = GradientReversal(0.5, name="reversal")
    layer.set_lam(0.25)
    config = layer.get_config()
    assert config["lam"] == 0.25 and config["name"] == "reversal"
    again = GradientReversal.from_config(config)
    assert float(keras.ops.convert_to_numpy(again.lam)) == 0.25
    model = functional(layer)
    copy = keras.models.clone_model(model)
    assert copy.get_layer("reversal").lam is not layer.lam
    assert float(keras.ops.convert_to_numpy(copy.get_layer("reversal").lam)) == 0.25


CONTINUE = """
import sys, json, keras, numpy as np
from revgrad_keras import GradientReversal
model = keras.models.load_model(sys.argv[1])
x, y = np.load(sys.argv[2]).values()
print(json.dumps(model.fit(x, y, epochs=4, shuffle=False, verbose=0).history["loss"]))
"""


def test_saved_and_trained_on_in_a_new_process(tmp_path):
    model = built(functional, GradientReversal(0.3))
    model.compile(keras.optimizers.Adam(0.05), "mse", jit_compile=JIT)
    model.fit(X, Y, epochs=3, shuffle=False, verbose=0)
    model.layers[2].set_lam(0.7)
    path, data = str(tmp_path / "model.keras"), str(tmp_path / "data.npz")
    model.save(path)
    np.savez(data, x=X, y=Y)
    here = model.fit(X, Y, epochs=4, shuffle=False, verbose=0).history["loss"]
    done = subprocess.run(
        [sys.executable, "-c", CONTINUE, path, data], stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert done.returncode == 0
    there = [float(each) for each in done.stdout.strip().splitlines()[-1].strip("[]").split(",")]
    np.testing.assert_allclose(there, here, rtol=1e-6)
    assert here[0] != here[-1]
    loaded = keras.models.load_model(path)
    assert abs(float(keras.ops.convert_to_numpy(loaded.layers[2].lam)) - 0.7) < 1e-6


def test_symbolic_tensors_through_the_one_call(tmp_path):
    x, lam = keras.Input((3,)), keras.Input((1,))
    y = revgrad.reverse(x, lam)
    assert isinstance(y, keras.KerasTensor) and y.shape == x.shape
    per_sample = np.arange(8, dtype="float32")[:, None]
    model = keras.Model([x, lam], y)
    path = str(tmp_path / "model.keras")
    model.save(path)
    for each in (model, keras.models.load_model(path)):
        found = KerasHarness()._run(each, _pulled_back)(X, per_sample, np.ones_like(X))[1]
        np.testing.assert_array_equal(found, np.tile(-per_sample, 3))


def test_a_number_and_an_array_through_the_one_call(tmp_path):
    x = keras.Input((3,))
    per_feature = np.array([1.0, 2.0, 3.0], "float32")
    for lam, expected in ((0.5, [-0.5] * 3), (per_feature[None], -per_feature)):
        model = keras.Model(x, revgrad.reverse(x, lam))
        model.save(str(tmp_path / "model.keras"))
        loaded = keras.models.load_model(str(tmp_path / "model.keras"))
        for each in (model, loaded):
            np.testing.assert_array_equal(gradient(each), np.tile(expected, (8, 1)))


def test_a_variable_of_keras():
    x, lam = keras.Variable(X), keras.Variable(0.5, trainable=False)
    y = revgrad.reverse(x, lam)
    assert keras.ops.is_tensor(y)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(y), X)


@pytest.mark.parametrize(
    "lam, words",
    [
        (-1.0, "The gradient is multiplied by -λ already"),
        (1e39, r"λ = 1e\+39 is too large for x of dtype float32"),
        (True, "a bool is not a strength"),
        (object(), "or a tensor or variable of Keras; got an object of type builtins.object"),
        (np.ones((8, 1, 1)), r"does not broadcast to x of shape \(None, 3\)"),
    ],
)
def test_a_lam_that_is_none(lam, words):
    with pytest.raises(revgrad.InvalidLambdaError, match=words.replace("a bool", "bool")):
        revgrad.reverse(keras.Input((3,)), lam)


def test_a_bad_lam_in_the_layer():
    layer = GradientReversal(0.5)
    for bad in (-1, float("nan"), "0.3", None, 1e39, [0.5]):
        with pytest.raises(revgrad.InvalidLambdaError):
            GradientReversal(bad)
        with pytest.raises(revgrad.InvalidLambdaError):
            layer.set_lam(bad)
    assert float(keras.ops.convert_to_numpy(layer.lam)) == 0.5


def test_integers_are_refused():
    with pytest.raises(revgrad.UnsupportedTypeError, match="of dtype int32.* Cast it to a float"):
        GradientReversal()(keras.Input((3,), dtype="int32"))


@pytest.mark.skipif(NATIVE != "tensorflow", reason="exports a SavedModel, with its gradient")
def test_an_exported_model_reverses(tmp_path):
    import tensorflow as tf

    layer = GradientReversal(0.5)
    model = keras.Sequential([keras.Input((3,)), layer])
    model.export(str(tmp_path / "model"), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = loaded.serve(x)
    np.testing.assert_array_equal(tape.gradient(y, x), np.full(X.shape, -0.5))


def test_the_backend_is_that_of_the_environment():
    assert os.environ["KERAS_BACKEND"] == NATIVE
