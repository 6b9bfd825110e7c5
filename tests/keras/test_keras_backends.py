"""Runs `on_each_backend` on each backend of Keras, and compares what the backends compute."""

import contextlib
import json
import pathlib

import numpy as np
import pytest
from support.processes import installed, python

import revgrad

HERE = pathlib.Path(__file__).parent
FILES = sorted(str(path) for path in (HERE / "on_each_backend").glob("keras_*.py"))


def run_on(backend, *command):
    """Run Python in a new process, with Keras on that backend."""
    if backend not in revgrad.backends or not installed(backend):
        pytest.skip(f"the backend {backend!r}, or its framework, is not installed")
    return python(*command, cwd=HERE.parents[1], KERAS_BACKEND=backend).stdout


# The layers call the functions of the three frameworks, which have tests of their own.
@pytest.mark.parametrize(
    "backend",
    ["tensorflow", *(pytest.param(each, marks=pytest.mark.slow) for each in ("jax", "torch"))],
)
def test_on_each_backend(backend, pytestconfig):
    assert len(FILES) == 3
    selected = "-m", pytestconfig.option.markexpr
    run_on(backend, "-m", "pytest", "-q", "-p", "no:cacheprovider", *selected, *FILES)


GRADIENTS = """
import json, keras, numpy as np, revgrad
from revgrad_keras.testing import KerasHarness, _pulled_back

x, rng = keras.Input((5,)), np.random.RandomState(0)
features = keras.layers.Dense(4, activation="tanh")(x)
domain = keras.layers.Dense(3, activation="gelu")(revgrad.reverse(features, 0.3))
model = keras.Model(x, keras.layers.Dense(1)(domain) + keras.layers.Dense(1)(features))
model.set_weights([rng.normal(size=w.shape) if w.shape else w for w in model.get_weights()])
run = KerasHarness()._run(model, _pulled_back)
y, gradient = run(rng.normal(size=(7, 5)).astype("float32"), np.ones((7, 1), "float32"))
print(json.dumps(np.hstack([y, gradient]).tolist()))
"""


@pytest.mark.slow
def test_the_backends_agree():
    found = []
    for backend in ("tensorflow", "jax", "torch"):
        with contextlib.suppress(pytest.skip.Exception):
            found.append(json.loads(run_on(backend, "-c", GRADIENTS).splitlines()[-1]))
    first, *others = map(np.array, found)
    assert others, "one backend has nothing to agree with"
    for other in others:
        np.testing.assert_allclose(first, other, rtol=2e-6, atol=2e-6)
    assert np.abs(first[:, 1:]).max() > 0.1
