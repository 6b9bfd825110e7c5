"""The example programs: the model, the data, the command line, and what it claims."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
from support.processes import python
from support.programs import EXAMPLES, write_amazon
import dann_theano  # first: it makes Theano importable for the others
import dann_lasagne
import experiment
import problems
import theano
from training import Settings, accuracy, fit

FLOAT = theano.config.floatX
PNG = b"\x89PNG\r\n\x1a\n"
# Theano's program and Lasagne's differ in the network alone: all of Lasagne's run every night.
STYLES = ["theano", pytest.param("lasagne", marks=pytest.mark.slow)]
MOONS = problems.moons(0, 30, dtype=FLOAT)
SHALLOW = Settings(lam=6.0, reading="shallow", ramp=0.0, epochs=4, batch=30)


@pytest.fixture(scope="module", params=[dann_theano, dann_lasagne], ids=["theano", "lasagne"])
def network(request):
    """A network with hidden layers everywhere, compiled once."""
    return request.param.DomainAdversarialNetwork(
        2, 3, features=(7, 5), labels=(4,), domains=(6,), learning_rate=0.02, domain_decay=0.01
    )


@pytest.fixture(scope="module")
def batch():
    rng = np.random.RandomState(0)
    xs, xt = rng.normal(size=(2, 12, 2)).astype(FLOAT)
    return xs, rng.randint(0, 3, 12).astype("int32"), xt


def run(program, *arguments, cwd, check=True):
    """Run an example as a user does; Theano's compile directory is that of this process."""
    flags = f"base_compiledir={theano.config.base_compiledir},{os.environ.get('THEANO_FLAGS', '')}"
    return python(EXAMPLES / program, *arguments, cwd=cwd, check=check, THEANO_FLAGS=flags)


# --- the model ------------------------------------------------------------------------------------


def test_features_get_minus_lambda_times_the_domain_gradient(network, batch):
    xs, ys, xt = batch
    network.reset(1)
    n_features = 4  # the weights and biases of two layers
    gradients = theano.function(network.inputs, theano.grad(network.loss, network.parameters))
    domain_loss = theano.function(network.inputs, network.domain_loss, on_unused_input="ignore")

    def at(lam, weight=1.0):
        network.lam.value = lam
        return gradients(xs, ys, xt, weight)

    label_only, one, half = at(0.0), at(1.0), at(0.5)
    weight_three, none = at(1.0, 3.0), at(1.0, 0.0)
    rng = np.random.RandomState(2)
    for i, parameter in enumerate(network.parameters[:n_features]):
        # the slope of the domain loss itself, along a random direction
        value = parameter.get_value()
        direction = rng.normal(size=value.shape)
        losses = []
        for step in (1e-2, -1e-2):
            parameter.set_value((value + step * direction).astype(FLOAT))
            losses.append(domain_loss(xs, ys, xt, 1.0))
        parameter.set_value(value)
        slope = (losses[0] - losses[1]) / 2e-2
        change = one[i] - label_only[i]
        assert abs(slope) > 1e-4
        np.testing.assert_allclose(np.sum(change * direction), -slope, rtol=2e-2, atol=1e-4)
        np.testing.assert_allclose(half[i] - label_only[i], 0.5 * change, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(none[i], label_only[i], rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(weight_three[i] - none[i], 3 * change, rtol=1e-3, atol=1e-6)


def test_reset_starts_again(network, batch):
    losses = []
    network.lam.value = 1.0
    for _ in range(2):
        network.reset(4)
        losses.append([network.train(*batch) for _ in range(5)])
    np.testing.assert_array_equal(losses[0], losses[1])
    assert losses[0][-1][0] < losses[0][0][0]


def test_both_styles_are_the_same_network(batch):
    nets = [
        module.DomainAdversarialNetwork(2, 3, (7,), (), (4,), learning_rate=0.02)
        for module in (dann_theano, dann_lasagne)
    ]
    for net in nets:
        net.reset(5)
        net.lam.value = 0.7
        for _ in range(10):
            net.train(*batch, 2.0)
    for a, b in zip(*(net.get_parameters() for net in nets)):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    for method in ("represent", "predict", "predict_domain"):
        a, b = (getattr(net, method)(batch[0]) for net in nets)
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


# --- training -------------------------------------------------------------------------------------


def test_fit_does_not_read_the_labels_of_the_target(network):
    blind = dataclasses.replace(MOONS, test_x=None, test_y=None)
    for settings in (SHALLOW, dataclasses.replace(SHALLOW, holdout=0.2)):
        fit(network, MOONS, settings, seed=1)
        seen = network.get_parameters()
        fit(network, blind, settings, seed=1)
        for a, b in zip(seen, network.get_parameters()):
            np.testing.assert_array_equal(a, b)


def test_fit_sets_lambda_as_each_reading_says(network):
    fit(network, MOONS, SHALLOW, seed=1)
    assert network.lam.value == 1.0
    deep = dataclasses.replace(SHALLOW, reading="deep")
    fit(network, MOONS, deep, seed=1)
    assert network.lam.value == 6.0
    ramp = dataclasses.replace(deep, ramp=10.0)
    fit(network, MOONS, ramp, seed=1)
    np.testing.assert_allclose(network.lam.value, 6 * np.tanh(5 * 0.75))  # 3 of 4 steps are done
    fit(network, MOONS, deep, seed=1, adversarial=False)
    assert network.lam.value == 0.0


def test_fit_averages_the_last_epochs(network):
    last = []
    for epochs in (3, 4):  # without a ramp, three epochs are the first three of four
        fit(network, MOONS, dataclasses.replace(SHALLOW, epochs=epochs), seed=1)
        last.append(network.get_parameters())
    fit(network, MOONS, dataclasses.replace(SHALLOW, average=0.5), seed=1)
    for a, b, mean in zip(*last, network.get_parameters()):
        np.testing.assert_allclose(mean, (a + b) / 2, rtol=1e-4, atol=1e-6)


def test_fit_keeps_the_epoch_that_is_best_on_held_out_source(network):
    problem = problems.moons(0, 60, dtype=FLOAT)
    held = np.random.RandomState(1).permutation(60)[:24]
    right = lambda: np.mean(network.predict(problem.xs[held]) == problem.ys[held])
    seen = []
    settings = dataclasses.replace(SHALLOW, holdout=0.4, epochs=30)
    fit(network, problem, settings, 1, adversarial=False, tick=lambda: seen.append(right()))
    assert len(seen) == 30
    assert right() == max(seen)
    assert accuracy(network, problem) == np.mean(network.predict(problem.xt) == problem.test_y)


# --- the data -------------------------------------------------------------------------------------


def test_moons_are_centred_and_the_target_is_another_sample_turned_anticlockwise():
    problem, straight = problems.moons(3), problems.moons(3, angle=0)
    np.testing.assert_allclose(problem.xs.mean(axis=0), 0, atol=1e-12)
    assert np.abs(straight.xt - problem.xs).max() > 0.1
    assert 3.5 < np.ptp(problem.xs[:, 0]) / 1.6 < 4.5  # doubled: the moons span 3
    turn = np.exp(1j * np.deg2rad(35))
    np.testing.assert_allclose(problem.xt @ [1, 1j], (straight.xt @ [1, 1j]) * turn)


def test_amazon_reads_svmlight(tmp_path):
    write_amazon(tmp_path, "books_train", "dvd_train", "dvd_test")
    assert problems.amazon_pairs(tmp_path) == [("books", "dvd")]
    problem = problems.amazon(tmp_path, "books", "dvd", "float32")
    assert problem.xs.shape == problem.xt.shape == problem.test_x.shape == (40, 5000)
    assert problem.xs.dtype == "float32"
    np.testing.assert_array_equal(problem.ys, problem.xs[:, 0] > 0)
    np.testing.assert_array_equal(problem.test_y, problem.test_x[:, 0] > 0)


@pytest.mark.parametrize(
    "present, words",
    [
        (None, r"nowhere does not exist\. The Amazon example needs"),
        ((), r"holds none of the files; missing: books_train\.svmlight, books_test\.svmlight, "),
        (
            ("books_train", "dvd_train"),
            r"books_train\.\w+, dvd_train\.\w+; missing: books_test\.svmlight, ",
        ),
    ],
    ids=["no-folder", "empty", "no-test-file"],
)
def test_amazon_says_what_is_missing(tmp_path, present, words):
    folder = tmp_path if present is not None else tmp_path / "nowhere"
    write_amazon(folder, *(present or ()))
    with pytest.raises(FileNotFoundError, match=words) as caught:
        problems.amazon_pairs(folder)
    assert "github.com/GRAAL-Research/domain_adversarial_neural_network" in str(caught.value)


# --- the programs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES)
def test_moons_program(style, tmp_path):
    """The claim: five seeds, at least .94 on the target and .10 more than the plain network."""
    done = run(f"dann_{style}.py", "moons", "--json", "numbers.json", cwd=tmp_path)
    rows = json.loads((tmp_path / "numbers.json").read_text())
    plain, adversarial = ([row[name] for row in rows] for name in ("plain", "adversarial"))
    assert [row["seed"] for row in rows] == [0, 1, 2, 3, 4]
    assert np.mean(adversarial) >= 0.94
    assert np.mean(adversarial) >= np.mean(plain) + 0.10
    assert f"mean    {np.mean(plain):.3f}      {np.mean(adversarial):.3f}" in done.stdout
    assert f"   4    {plain[4]:.3f}      {adversarial[4]:.3f}" in done.stdout
    figure = tmp_path / "results" / f"moons_{style}.png"
    assert f"figure: {Path('results') / figure.name}" in done.stdout
    assert figure.read_bytes().startswith(PNG)
    assert "epoch" not in done.stderr  # no progress bar in a pipe


@pytest.mark.parametrize("style", STYLES)
def test_help(style, tmp_path):
    done = run(f"dann_{style}.py", "moons", "--help", cwd=tmp_path)
    assert "--lam" in done.stdout and "--seeds" in done.stdout and "--figure" in done.stdout


def main(style, *arguments):
    module = {"theano": dann_theano, "lasagne": dann_lasagne}[style]
    experiment.main(module.DomainAdversarialNetwork, style.capitalize(), FLOAT, arguments)


@pytest.mark.parametrize("style", STYLES)
def test_amazon_program(style, tmp_path, capsys):
    write_amazon(tmp_path, "books_train", "books_test", "dvd_train", "dvd_test", "kitchen_train")
    figure = tmp_path / "made" / "amazon.png"
    short = "--seeds=1", "--epochs=2", "--batch=10", "--features=3"
    main(style, "amazon", str(tmp_path), *short, f"--figure={figure}")
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    numbers = {tuple(line[:2]): line[-3:] for line in lines if line.count("±") == 2}
    assert numbers == {
        ("books", "dvd"): ["0.790", "0.784", "0.799"],
        ("dvd", "books"): ["0.720", "0.723", "0.743"],
        ("kitchen", "books"): ["-", "0.709", "-"],
        ("kitchen", "dvd"): ["-", "0.740", "-"],
    }
    assert "Pairs that need electronics_train.svmlight, electronics_test.svmlight, " in out
    assert figure.read_bytes().startswith(PNG)


def test_amazon_program_on_an_incomplete_folder(tmp_path):
    with pytest.raises(SystemExit, match="error: The folder .*absent does not exist"):
        main("theano", "amazon", str(tmp_path / "absent"))
    write_amazon(tmp_path, "books_train", "books_test", "dvd_train", "dvd_test")
    words = r"not complete for the source kitchen and the target \(any\)\. Complete are: books to "
    with pytest.raises(SystemExit, match=words):
        main("theano", "amazon", str(tmp_path), "--source", "kitchen")


@pytest.mark.parametrize(
    "option, value, words",
    [
        ("--lam", "-1", "λ must be a real, finite number >= 0"),
        ("--seeds", "0", "0 is not positive"),
        ("--first-seed", "-1", "-1 is negative"),
        ("--holdout", "1", "1 is not a number from 0 to less than 1"),
    ],
)
def test_options_are_validated(option, value, words, capsys):
    with pytest.raises(SystemExit):
        main("theano", "moons", f"{option}={value}")
    assert words in capsys.readouterr().err
