"""The example programs: the model, the data, the command line, and what it claims."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.processes import python
from support.programs import EXAMPLES, write_amazon
import dann_theano  # first: it makes Theano importable for the others
import dann_lasagne
import experiment
import problems
import selection
import theano
from training import Settings, fit

FLOAT = theano.config.floatX
# Theano's program and Lasagne's differ in the network alone: all of Lasagne's run every night.
STYLES = ["theano", pytest.param("lasagne", marks=pytest.mark.slow)]
MODULES = {"theano": dann_theano, "lasagne": dann_lasagne}
MOONS = problems.moons(0, 30, dtype=FLOAT)
SHALLOW = Settings(lam=6.0, reading="shallow", ramp=0.0, epochs=4, batch=30)


@pytest.fixture(scope="module")
def networks():
    """Networks with hidden layers everywhere, compiled once."""
    sizes = {"features": (7, 5), "labels": (4,), "domains": (6,)}
    options = dict(sizes, learning_rate=0.02, domain_decay=0.01)
    return [each.DomainAdversarialNetwork(2, 3, **options) for each in MODULES.values()]


@pytest.fixture(params=[0, 1], ids=list(MODULES))
def network(request, networks):
    return networks[request.param]


# --- the model ------------------------------------------------------------------------------------


def test_features_get_minus_lambda_times_the_domain_gradient(network):
    features = network.parameters[:4]  # the weights and biases of two layers
    gradients = theano.grad(network.loss, features)
    compute = theano.function(network.inputs, [*gradients, network.domain_loss])
    network.reset(1)

    def at(lam, weight=1.0):
        network.lam.value = lam
        return compute(MOONS.xs, MOONS.ys, MOONS.xt, weight)

    found = at(0.0), at(0.5), at(1.0), at(1.0, 3.0), at(1.0, 0.0)
    rng = np.random.RandomState(2)
    for parameter, plain, half, one, three, none in zip(features, *found):
        change = one - plain
        expected = change / 2, 3 * change, 0 * change
        changes = half - plain, three - plain, none - plain
        np.testing.assert_allclose(changes, expected, rtol=1e-3, atol=1e-6)
        # the slope of the domain loss itself, along a random direction
        value, direction, losses = parameter.get_value(), rng.normal(size=change.shape), []
        for step in (1e-2, -1e-2):
            parameter.set_value((value + step * direction).astype(FLOAT))
            losses.append(at(1.0)[-1])
        parameter.set_value(value)
        slope = (losses[0] - losses[1]) / 2e-2
        assert abs(slope) > 1e-4
        np.testing.assert_allclose(np.sum(change * direction), -slope, rtol=2e-2, atol=1e-4)


def test_both_styles_are_the_same_network(networks):
    a, b = (fitted(network, lam=2.0, epochs=10) for network in networks)
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


# --- training -------------------------------------------------------------------------------------


def fitted(network, problem=MOONS, adversarial=True, tick=lambda: None, **changes):
    """Return the parameters of a network, trained with changes of the settings, as one vector."""
    fit(network, problem, replace(SHALLOW, **changes), 1, adversarial, tick)
    return np.concatenate([each.ravel() for each in network.get_parameters()])


@pytest.mark.parametrize("holdout", [0.0, 0.2])
def test_fit_does_not_read_the_labels_of_the_target(holdout, network):
    blind = replace(MOONS, test_x=None, test_y=None)
    seeing = fitted(network, holdout=holdout)
    np.testing.assert_array_equal(seeing, fitted(network, blind, holdout=holdout))


def test_fit_sets_lambda_as_each_reading_says(network):
    for lam, adversarial, changes in (
        (1.0, True, {"reading": "shallow"}),
        (6.0, True, {"reading": "deep"}),
        (6 * np.tanh(5 * 0.75), True, {"reading": "deep", "ramp": 10.0}),  # 3 of 4 steps are done
        (0.0, False, {"reading": "deep"}),
    ):
        fitted(network, adversarial=adversarial, **changes)
        assert network.lam.value == pytest.approx(lam)


def test_fit_averages_the_last_epochs(network):
    # without a ramp, three epochs are the first three of four
    mean = (fitted(network, epochs=3) + fitted(network, epochs=4)) / 2
    np.testing.assert_allclose(fitted(network, average=0.5), mean, rtol=1e-4, atol=1e-6)


def test_fit_keeps_the_epoch_that_is_best_on_held_out_source(network):
    held = np.random.RandomState(1).permutation(30)[:12]
    right = lambda: np.mean(network.predict(MOONS.xs[held]) == MOONS.ys[held])
    seen = []
    fitted(network, tick=lambda: seen.append(right()), holdout=0.4, epochs=30)
    assert len(seen) == 30 and right() == max(seen) > seen[-1]


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


# --- the programs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES)
def test_moons_program(style, tmp_path):
    """The claim: five seeds, at least .94 on the target and .10 more than the plain network."""
    done = python(EXAMPLES / f"dann_{style}.py", "moons", "--json=numbers.json", cwd=tmp_path)
    rows = json.loads((tmp_path / "numbers.json").read_text())
    plain, adversarial = ([row[name] for row in rows] for name in ("plain", "adversarial"))
    assert [row["seed"] for row in rows] == [0, 1, 2, 3, 4]
    assert np.mean(adversarial) >= max(0.94, np.mean(plain) + 0.10)
    assert f"mean    {np.mean(plain):.3f}      {np.mean(adversarial):.3f}" in done.stdout
    assert f"   4    {plain[4]:.3f}      {adversarial[4]:.3f}" in done.stdout
    figure = f"results/moons_{style}.png"
    assert f"figure: {figure}\n" in done.stdout
    assert (tmp_path / figure).read_bytes().startswith(b"\x89PNG")
    assert "epoch" not in done.stderr  # no progress bar in a pipe


def main(style, *arguments):
    experiment.main(MODULES[style].DomainAdversarialNetwork, style.capitalize(), FLOAT, arguments)


@pytest.mark.parametrize("style", STYLES)
def test_amazon_program(style, tmp_path, capsys):
    write_amazon(tmp_path, "books_train", "books_test", "dvd_train", "dvd_test", "kitchen_train")
    figure = tmp_path / "made" / "amazon.png"
    short = "--seeds=1", "--epochs=2", "--batch=10", "--features=3"
    main(style, "amazon", str(tmp_path), *short, f"--figure={figure}")
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines() if line.count("±") == 2]
    assert ", ".join(" ".join(line[:2] + line[-3:]) for line in lines) == (
        "books dvd 0.790 0.784 0.799, dvd books 0.720 0.723 0.743, "
        "kitchen books - 0.709 -, kitchen dvd - 0.740 -"
    )
    assert "Pairs that need electronics_train.svmlight, electronics_test.svmlight, " in out
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_programs_say_which_reviews_are_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for further, arguments, words in (
        ("", "away", "away does not exist. The Amazon example needs .* github.com/GRAAL-Research/"),
        ("", ".", "holds none of the files; missing: books_train.svmlight, books_test.svmlight, "),
        ("books_train dvd_train", ".", r"books_train.\w+, dvd_train.\w+; missing: books_test.svm"),
        ("dvd_test", ". --source=kitchen", r"kitchen .* \(any\)\. Complete are: books to dvd"),
    ):
        write_amazon(tmp_path, *further.split())
        for program in (selection.main, lambda given: main("theano", "amazon", *given)):
            with pytest.raises(SystemExit, match=f"^error: The folder .*{words}"):
                program(arguments.split())


def test_options_are_explained_and_validated(capsys):
    for option, status, words in (
        ("--help", 0, "[--figure FIGURE]"),
        ("--lam=-1", 2, "λ must be a real, finite number >= 0"),
        ("--seeds=0", 2, "0 is not positive"),
        ("--first-seed=-1", 2, "-1 is negative"),
        ("--holdout=1", 2, "1 is not a number from 0 to less than 1"),
    ):
        with pytest.raises(SystemExit, match=str(status)):
            main("theano", "moons", option)
        assert words in "".join(capsys.readouterr())
