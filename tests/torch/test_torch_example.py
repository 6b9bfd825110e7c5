"""The example in PyTorch: the same network as in Theano, in one process and in two."""

import numpy as np
import pytest
from support.processes import python
from support.programs import EXAMPLES

import dann_torch
import experiment
import problems
from training import accuracy, fit


def test_features_get_minus_lambda_times_the_domain_gradient():
    rng = np.random.RandomState(0)
    xs, xt = rng.normal(size=(2, 12, 2)).astype("float32")
    batch = xs, rng.randint(0, 2, 12), xt

    def gradients(lam, weight=1.0):
        network = dann_torch.DomainAdversarialNetwork(2, 2, (7,), (4,), (6,))
        network.lam.value = lam
        network.train(*batch, domain_weight=weight)
        return {name: each.grad.numpy() for name, each in network.parts.named_parameters()}

    none, half, one, plain = (gradients(*each) for each in ((0,), (0.5,), (1,), (0, 0)))
    for name in none:
        difference = one[name] - none[name]
        np.testing.assert_allclose(half[name] - none[name], 0.5 * difference, atol=1e-6)
        assert (np.abs(difference).max() > 1e-4) == name.startswith("features")
        if name.startswith("features"):
            np.testing.assert_allclose(none[name], plain[name], atol=1e-6)


@pytest.mark.slow
def test_the_adversary_helps_on_the_moons():
    args = experiment.parse("PyTorch", ["moons"])
    problem = problems.moons(0, args.samples, args.noise, args.angle, "float32")
    network = dann_torch.DomainAdversarialNetwork(2, 2, **experiment.sizes(args))
    found = []
    for adversarial in (False, True):
        fit(network, problem, experiment.settings_of(args), 0, adversarial)
        found.append(accuracy(network, problem))
    assert found[1] > found[0] + 0.1


@pytest.mark.slow
def test_two_processes_find_what_one_finds(tmp_path):
    options = ["moons", "--seeds", "1", "--epochs", "20", "--quiet"]

    def run(name, *command):
        out = ["--figure", str(tmp_path / f"{name}.png"), "--json", str(tmp_path / name)]
        done = python(*command, EXAMPLES / "dann_torch.py", *options, *out)
        return (tmp_path / name).read_text(), done.stdout.splitlines()[0]

    two = run("two", "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    assert two == run("one")
