"""A small model around a reversal, and the data that it is trained on."""

import keras
import numpy as np

JIT = keras.backend.backend() != "torch"  # torch.compile takes its time: it has one test
X = np.random.RandomState(0).normal(size=(16, 3)).astype("float32")
Y = np.random.RandomState(1).normal(size=(16, 1)).astype("float32")


def functional(reversal):
    x = keras.Input((3,))
    hidden = keras.layers.Dense(4, activation="tanh")(x)
    return keras.Model(x, keras.layers.Dense(1)(reversal(hidden)))


def built(make, reversal, optimizer=None, **options):
    keras.utils.set_random_seed(0)
    model, optimizer = make(reversal), optimizer or keras.optimizers.SGD(0.5)
    model(X)  # builds
    model.compile(optimizer, "mse", **{"jit_compile": JIT, **options})
    return model
