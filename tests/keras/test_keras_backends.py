"""Runs `on_each_backend` on each backend of Keras, and compares what the backends compute."""

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

keras.utils.set_random_seed(0)
x = keras.Input((5,))
features = keras.layers.Dense(4, activation="tanh")(x)
domain = keras.layers.Dense(3, activation="gelu")(revgrad.reverse(features, 0.3))
model = keras.Model(x, keras.layers.Dense(1)(domain) + keras.layers.Dense(1)(features))
rng = np.random.RandomState(0)
model.set_weights([rng.normal(size=w.shape).astype("float32") for w in model.get_weights()[:2]]
    + [rng.normal(size=w.shape) if w.shape else w for w in model.get_weights()[2:]])
run = KerasHarness()._run(model, _pulled_back)
y, gradient = run(*rng.normal(size=(7, 5)).astype("float32")[None], np.ones((7, 1), "float32"))
print(json.dumps([y.tolist(), gradient.tolist()]))
"""


@pytest.mark.slow
def test_the_backends_agree():
    found = {}
    for backend in ("tensorflow", "jax", "torch"):
        try:
            printed = run_on(backend, "-c", GRADIENTS)
        except pytest.skip.Exception:
            continue
        found[backend] = [np.array(each) for each in json.loads(printed.splitlines()[-1])]
    assert len(found) >= 2, "one backend has nothing to agree with"
    first, *others = found.values()
    for other in others:
        for ours, theirs in zip(first, other):
            np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=2e-6)
    assert np.abs(first[1]).max() > 0.1
