"""`GradientReversal` in every kind of model, trained, saved and loaded."""

import os

import h5py
import keras
import numpy as np
import pytest
from support.processes import python

import revgrad
from revgrad_keras import GradientReversal, GradientScale
from revgrad_keras.testing import KerasHarness, _pulled_back

NATIVE = keras.backend.backend()
JIT = NATIVE != "torch"  # torch.compile takes its time: it has one test here
X = np.random.RandomState(0).normal(size=(8, 3)).astype("float32")
Y = np.random.RandomState(1).normal(size=(8, 1)).astype("float32")


def number(variable):
    return float(variable.value)


def compare(ours, factor, theirs):
    """Assert that one step is another, times a factor."""
    np.testing.assert_allclose(ours, factor * theirs, rtol=1e-4, atol=1e-7)


def gradient(model, x=X):
    """Return the gradient of the sum of what a model makes of `x`."""
    y = keras.ops.convert_to_numpy(model(x))
    return KerasHarness()._run(model, _pulled_back)(x, np.ones_like(y))[1]


def functional(reversal):
    x = keras.Input((3,))
    hidden = keras.layers.Dense(4, activation="tanh")(x)
    return keras.Model(x, keras.layers.Dense(1)(reversal(hidden)))


def sequential(reversal):
    features, domain = keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(1)
    return keras.Sequential([keras.Input((3,)), features, reversal, domain])


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
    after = [np.array(keras.ops.convert_to_numpy(w)) for w in model.trainable_weights]
    for weight, value in zip(model.trainable_weights, before):
        weight.assign(value)
    return [b - a for a, b in zip(before, after)]


@pytest.mark.parametrize("make", [functional, sequential, Subclassed])
def test_fit_moves_the_features_the_other_way(make):
    plain = step(built(make, keras.layers.Identity()))
    reversed_ = step(built(make, GradientReversal(0.3)))
    for number, (ours, theirs) in enumerate(zip(reversed_, plain)):
        factor = -0.3 if number < 2 else 1.0  # the features, then the domain classifier
        compare(ours, factor, theirs)
        assert np.abs(theirs).max() > 1e-3


def test_lambda_is_a_weight_that_cannot_be_trained():
    layer = GradientReversal(0.5)
    (weight,) = layer.weights
    assert weight is layer.lam and not weight.trainable
    assert weight.shape == () and weight.dtype == "float32"
    assert layer.trainable_weights == [] and layer.count_params() == 1
    with pytest.raises(revgrad.InvalidLambdaError, match="asks for a gradient"):
        weight.trainable = True
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), layer])
    for model.trainable in (False, True):
        assert layer.trainable_weights == []
    assert len(model.trainable_weights) == 2


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
        compare(reversed_[0], -lam, plain[0])
        compare(reversed_[2], 1, plain[2])
    # None that Keras would not have by itself, and none for another λ.
    assert found == [graphs, breaks]


@pytest.mark.parametrize(
    "lam, change",
    [
        (revgrad.LambdaVariable(0.5), lambda lam, _: setattr(lam, "value", 2.0)),
        (0.5, lambda _, layer: layer.set_lam(2.0)),
        (0.5, lambda _, layer: setattr(layer, "lam", 2.0)),
    ],
    ids=["LambdaVariable", "set_lam", "assignment"],
)
def test_lambda_changes_between_two_fits_without_compiling_again(lam, change):
    reversal, counts = GradientReversal(lam), Counts()
    model = built(lambda reversal: sequential(keras.Sequential([counts, reversal])), reversal)
    at_half = step(model)
    traces = counts.traces
    change(lam, reversal)
    at_two = step(model)
    if JIT:
        assert counts.traces == traces
    compare(at_two[0], 4, at_half[0])
    compare(at_two[2], 1, at_half[2])


# --- λ is set -------------------------------------------------------------------------------------


def load(layer, value, tmp_path):
    """Load the weights of another model, in whose file λ is `value`."""
    path = str(tmp_path / "model.weights.h5")
    model = keras.Sequential([keras.Input((3,)), layer])
    model.save_weights(path)
    with h5py.File(path, "r+") as file:
        stored = []
        file.visititems(lambda name, item: stored.append(item) if hasattr(item, "dtype") else None)
        (dataset,) = stored
        dataset[...] = value
    model.load_weights(path)


SETS = {
    "layer.lam": lambda layer, value, _: setattr(layer, "lam", value),
    "set_lam": lambda layer, value, _: layer.set_lam(value),
    "assign": lambda layer, value, _: layer.lam.assign(value),
    "assign a tensor": lambda layer, value, _: layer.lam.assign(keras.ops.convert_to_tensor(value)),
    "assign a variable": lambda layer, value, _: layer.lam.assign(keras.Variable(value)),
    "assign_sub": lambda layer, value, _: layer.lam.assign_sub(number(layer.lam) - value),
    "set_weights": lambda layer, value, _: layer.set_weights([np.array(value, "float32")]),
    "load_weights": load,
}


def error_of(how):
    """Return the type of the error: Keras raises one of its own for a file, with our words."""
    return ValueError if how == "load_weights" else revgrad.InvalidLambdaError


@pytest.mark.parametrize("how", SETS)
def test_lambda_is_validated_and_its_variable_follows_wherever_it_is_set(how, tmp_path):
    lam = revgrad.LambdaVariable(0.5)
    one, other, alone = GradientReversal(lam), GradientReversal(lam), GradientReversal(0.5)
    assert one.lam is other.lam
    for layer in (one, alone):
        weight = layer.lam
        for bad, words in ((-1.0, "pass 1.0, not -1.0"), (np.nan, "got nan")):
            with pytest.raises(error_of(how), match=words):
                SETS[how](layer, bad, tmp_path)
        assert lam.value == number(weight) == 0.5
        SETS[how](layer, 0.25, tmp_path)
        assert layer.lam is weight and number(weight) == 0.25
        assert lam.value == (0.25 if layer is one else 0.5)
        lam.value = 0.5
    lam.value = 0.3
    assert number(one.lam) == np.float32(0.3)
    one.lam.assign(one.lam.value)
    assert lam.value == 0.3  # not rounded to float32


def test_a_variable_that_is_refused_changes_nothing():
    lam = revgrad.LambdaVariable(0.5)
    layer = GradientReversal(lam)
    with pytest.raises(revgrad.InvalidLambdaError, match="too large .* for x of dtype float32"):
        lam.value = 1e39
    with pytest.raises(revgrad.InvalidLambdaError, match="make the layer with it"):
        layer.lam = revgrad.LambdaVariable(0.3)
    assert lam.value == 0.5 and number(layer.lam) == 0.5


def test_lambda_comes_back_with_the_weights_of_its_epoch(tmp_path):
    """EarlyStopping and ModelCheckpoint restore λ; the variable that drives it follows."""
    lam = revgrad.LambdaVariable(0.0)
    model = built(functional, GradientReversal(lam))
    path = str(tmp_path / "best.weights.h5")

    class Epochs(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model  # on JAX
            lam.value = float(epoch)

        def on_epoch_end(self, epoch, logs=None):
            logs["score"] = [3, 1, 2, 2][epoch]

    best = {"monitor": "score", "mode": "min"}
    stopping = keras.callbacks.EarlyStopping(patience=1, restore_best_weights=True, **best)
    checkpoint = keras.callbacks.ModelCheckpoint(
        path, save_weights_only=True, save_best_only=True, **best
    )
    model.fit(X, Y, epochs=4, verbose=0, callbacks=[Epochs(), stopping, checkpoint])
    assert lam.value == 1.0 and number(model.layers[2].lam) == 1.0
    lam.value = 3.0
    model.load_weights(path)
    assert lam.value == 1.0 and number(model.layers[2].lam) == 1.0


# --- what passes through the layer ----------------------------------------------------------------


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
            found = gradient(keras.Model(x, layer(x)), X.astype(dtype))
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
    assert number(again.lam) == 0.25
    model = functional(layer)
    copy = keras.models.clone_model(model)
    assert copy.get_layer("reversal").lam is not layer.lam
    assert number(copy.get_layer("reversal").lam) == 0.25


CONTINUE = """
import sys, json, keras, numpy as np
from revgrad_keras import GradientReversal
model = keras.models.load_model(sys.argv[1])
x, y = np.load(sys.argv[2]).values()
print(json.dumps(model.fit(x, y, epochs=4, shuffle=False, verbose=0).history["loss"]))
"""


@pytest.mark.slow
def test_saved_and_trained_on_in_a_new_process(tmp_path):
    model = built(functional, GradientReversal(0.3))
    model.compile(keras.optimizers.Adam(0.05), "mse", jit_compile=JIT)
    model.fit(X, Y, epochs=3, shuffle=False, verbose=0)
    model.layers[2].set_lam(0.7)
    path, data = str(tmp_path / "model.keras"), str(tmp_path / "data.npz")
    model.save(path)
    np.savez(data, x=X, y=Y)
    here = model.fit(X, Y, epochs=4, shuffle=False, verbose=0).history["loss"]
    done = python(path, data, code=CONTINUE)
    there = [float(each) for each in done.stdout.strip().splitlines()[-1].strip("[]").split(",")]
    np.testing.assert_allclose(there, here, rtol=1e-6)
    assert here[0] != here[-1]
    loaded = keras.models.load_model(path)
    assert abs(number(loaded.layers[2].lam) - 0.7) < 1e-6


def test_a_variable_of_keras():
    x, lam = keras.Variable(X), keras.Variable(0.5, trainable=False)
    for y in (revgrad.reverse(x, lam), revgrad.scale_gradient(x, lam)):
        assert keras.ops.is_tensor(y)
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(y), X)


def test_a_variable_of_keras_as_lambda_of_a_symbolic_tensor_is_rejected():
    """No layer would hold it, so JAX would freeze its value, and nothing could save it."""
    with pytest.raises(revgrad.InvalidLambdaError, match="a LambdaVariable, or a tensor of Keras"):
        revgrad.reverse(keras.Input((3,)), keras.Variable(0.5))


# --- scale_gradient -------------------------------------------------------------------------------


def test_any_factor_through_the_one_call(tmp_path):
    x, path = keras.Input((3,)), str(tmp_path / "model.keras")
    per_feature = np.array([[1.0, -2.0, 0.0]])
    for factor in (0.1, 0.0, -0.5, per_feature, revgrad.LambdaVariable(0.5)):
        model = keras.Model(x, revgrad.scale_gradient(x, factor))
        model.save(path)
        expected = np.broadcast_to(np.float32(getattr(factor, "value", factor)), X.shape)
        for each in (model, keras.models.load_model(path)):
            np.testing.assert_array_equal(gradient(each), expected)


def test_a_factor_of_the_model_is_selective(tmp_path):
    """The samples whose flag is set are reversed, the others are not."""
    x, flag = keras.Input((3,)), keras.Input((1,))
    y = revgrad.scale_gradient(x, keras.ops.where(flag > 0, -0.5, 1.0))
    model, path = keras.Model([x, flag], y), str(tmp_path / "model.keras")
    model.save(path)
    flags = np.arange(8, dtype="float32")[:, None] % 2
    for each in (model, keras.models.load_model(path)):
        found = KerasHarness()._run(each, _pulled_back)(X, flags, np.ones_like(X))[1]
        np.testing.assert_array_equal(found, np.tile(np.where(flags, -0.5, 1), 3))


def test_the_layer_of_a_factor():
    plain = step(built(functional, keras.layers.Identity()))
    layer = GradientScale(0.5, name="slow")
    model = built(functional, layer)
    for layer.factor in (-2.0, 0.1):
        scaled = step(model)
        compare(scaled[0], number(layer.factor), plain[0])
        compare(scaled[2], 1, plain[2])
    config = layer.get_config()
    assert config["factor"] == np.float32(0.1) and config["name"] == "slow"
    assert number(GradientScale.from_config(config).factor) == np.float32(0.1)
    for bad in (np.nan, True, None, "0.3", 1e39):
        with pytest.raises(revgrad.InvalidLambdaError, match="actor"):
            layer.factor = bad
    with pytest.raises(revgrad.InvalidLambdaError, match="λ or factor asks for a gradient"):
        layer.factor.trainable = True


# --- several heads --------------------------------------------------------------------------------


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
