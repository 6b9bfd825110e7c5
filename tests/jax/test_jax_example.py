"""The example in JAX: the same network as in Theano, one compilation, the moons."""

import pathlib
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("optax")
EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "docs" / "examples"
sys.path.insert(0, str(EXAMPLES))

import dann_jax  # noqa: E402
import experiment  # noqa: E402
import jax  # noqa: E402
import problems  # noqa: E402
from training import accuracy, fit  # noqa: E402


def test_features_get_minus_lambda_times_the_domain_gradient():
    network = dann_jax.DomainAdversarialNetwork(2, 2, (7,), (4,), (6,))
    rng = np.random.RandomState(0)
    xs, xt = rng.normal(size=(2, 12, 2)).astype("float32")
    batch = xs, rng.randint(0, 2, 12), xt

    def gradient(lam, weight=1.0):
        find = jax.grad(dann_jax.losses, argnums=1, has_aux=True)
        return find(0.0, network.parameters, *batch, lam, weight)[0]

    at = {lam: gradient(lam) for lam in (0.0, 0.5, 1.0)}
    plain = gradient(0.0, 0.0)
    for part in ("features", "labels", "domains"):
        for none, half, one in zip(*(jax.tree_util.tree_leaves(at[lam][part]) for lam in at)):
            np.testing.assert_allclose(half - none, 0.5 * (one - none), atol=1e-6)
            assert (np.abs(one - none).max() > 1e-4) == (part == "features")
    leaves = [jax.tree_util.tree_leaves(each["features"]) for each in (at[0.0], plain)]
    for ours, none in zip(*leaves):
        np.testing.assert_allclose(ours, none, atol=1e-6)


def test_the_step_is_compiled_once_for_each_shape():
    network = dann_jax.DomainAdversarialNetwork(2, 2)
    problem = problems.moons(0, dtype="float32")
    for lam in (0.0, 1.0, 2.0):
        network.lam.value = lam
        network.train(problem.xs, problem.ys, problem.xt)
    assert network._step._cache_size() == 1


def test_the_adversary_helps_on_the_moons():
    args = experiment.parse("JAX", ["moons"])
    problem = problems.moons(0, args.samples, args.noise, args.angle, "float32")
    network = dann_jax.DomainAdversarialNetwork(2, 2, **experiment.sizes(args))
    found = []
    for adversarial in (False, True):
        fit(network, problem, experiment.settings_of(args), 0, adversarial)
        found.append(accuracy(network, problem))
    assert found[1] > found[0] + 0.1
