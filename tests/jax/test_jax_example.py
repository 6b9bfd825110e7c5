"""The example in JAX: the same network as in Theano, one compilation, the moons."""

import json

import numpy as np
import pytest
from support.programs import finish, start

pytest.importorskip("optax")
import dann_jax
import jax

RNG = np.random.RandomState(0)
XS, XT = RNG.normal(size=(2, 12, 2)).astype("float32")
BATCH = XS, RNG.randint(0, 2, 12), XT


def test_features_get_minus_lambda_times_the_domain_gradient():
    network = dann_jax.DomainAdversarialNetwork(2, 2, (7,), (4,), (6,))
    find = jax.grad(dann_jax.losses, argnums=1, has_aux=True)
    # By λ and the weight of the domain loss.
    cases = (0.0, 1.0), (0.5, 1.0), (1.0, 1.0), (0.0, 0.0)
    gradients = [find(0.0, network.parameters, *BATCH, *case)[0] for case in cases]
    for part in ("features", "labels", "domains"):
        leaves = [jax.tree_util.tree_leaves(gradient[part]) for gradient in gradients]
        for none, half, one, plain in zip(*leaves):
            np.testing.assert_allclose(half - none, 0.5 * (one - none), atol=1e-6)
            assert (np.abs(one - none).max() > 1e-4) == (part == "features")
            if part == "features":
                np.testing.assert_allclose(none, plain, atol=1e-6)


def test_the_step_is_compiled_once_for_each_shape():
    network = dann_jax.DomainAdversarialNetwork(2, 2)
    for lam in (0.0, 1.0, 2.0):
        network.lam.value = lam
        network.train(*BATCH)
    assert network._step._cache_size() == 1


def test_the_adversary_helps_on_the_moons(tmp_path):
    out = "--figure", tmp_path / "moons.png", "--json", tmp_path / "moons.json"
    finish(start("dann_jax.py", "moons", "--quiet", "--seeds", "1", *out))
    (found,) = json.loads((tmp_path / "moons.json").read_text())
    assert found["adversarial"] > found["plain"] + 0.1
