"""Reverse validation: the network by hand, the protocol, and a selection that is interrupted."""

from __future__ import annotations

import dataclasses
import importlib
import json
import signal
import time
from functools import partial

import numpy as np
import pytest
from support.processes import installed
from support.programs import finish, start
import by_hand
import experiment
import problems
import selection
from scipy.sparse import csr_matrix
from sklearn.datasets import dump_svmlight_file
from training import Settings, accuracy, fit

SHALLOW = Settings(0.7, "shallow", 0.0, epochs=30, batch=80, holdout=0.2)
PAIR = ("books", "dvd")


def words(seed, n, shift, n_words=12):
    """Counts of words, of which the first tells the label, and the second half the domain."""
    rng = np.random.RandomState(seed)
    y = rng.randint(0, 2, n).astype("int32")
    x = rng.poisson(1.0, (n, n_words)).astype("float32")
    x[:, 0] = 4 * y + rng.poisson(0.2, n)
    x[:, n_words // 2 :] += shift
    return x, y


@pytest.fixture
def problem():
    (xs, ys), (xt, _) = words(0, 100, 0), words(1, 80, 1)
    return problems.Problem(xs, ys, xt, None, None)


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(("books_train", "dvd_train", "dvd_test", "books_test")):
        x, y = words(number, 60, float(name.startswith("dvd")))
        path = str(tmp_path / f"{name}.svmlight")
        dump_svmlight_file(x, np.where(y > 0, 1, -1), path, zero_based=True)
    return tmp_path


# --- the network ----------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["theano", "lasagne", "torch", "jax", "keras"])
@pytest.mark.parametrize("adversarial", [True, False], ids=["adversarial", "plain"])
def test_by_hand_is_the_network_of_each_framework(style, adversarial, problem):
    if not installed({"jax": "optax"}.get(style, style)):
        pytest.skip(f"{style} is not installed")
    module = importlib.import_module(f"dann_{style}")
    options = {"features": (5,), "learning_rate": 0.1}
    ours = by_hand.DomainAdversarialNetwork(12, 2, **options)
    theirs = module.DomainAdversarialNetwork(12, 2, **options, optimizer="sgd")
    dtype = "float32"
    if style in ("theano", "lasagne"):
        dtype = importlib.import_module("theano").config.floatX
    data = dataclasses.replace(problem, xs=problem.xs.astype(dtype), xt=problem.xt.astype(dtype))
    fit(ours, problem, SHALLOW, 2, adversarial)
    # Keras has a loop of its own, which draws other batches: here is one batch in an epoch.
    getattr(theirs, "fit", partial(fit, theirs))(data, SHALLOW, 2, adversarial)
    sparse = by_hand.DomainAdversarialNetwork(12, 2, **options)
    x, t = csr_matrix(problem.xs), csr_matrix(problem.xt)
    fit(sparse, problems.Problem(x, problem.ys, t, None, None), SHALLOW, 2, adversarial)
    x = words(3, 50, 0.5)[0]
    features = ours.represent(x)
    np.testing.assert_allclose(features, theirs.represent(x.astype(dtype)), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(features, sparse.represent(csr_matrix(x)), rtol=1e-3, atol=1e-4)
    for method in ("predict", "predict_domain"):
        found = getattr(ours, method)(x.astype(dtype))
        np.testing.assert_array_equal(found, getattr(theirs, method)(x.astype(dtype)))
        assert 0 < np.mean(found) < 1 or not adversarial
    ours.reset(2)
    assert np.abs(features - ours.represent(x)).max() > 0.1


# --- the protocol ---------------------------------------------------------------------------------


def test_fit_starts_where_it_is_told_and_stops_early(problem):
    network = by_hand.DomainAdversarialNetwork(12, 2, (5,), learning_rate=1.0)
    seen = []
    tick = lambda n=1: seen.append((n, network.get_parameters()))
    settings = selection.settings_for(0.1, epochs=500, batch=10)
    x, y = words(5, 60, 0)
    held = x, np.where(np.arange(60) < 20, 1 - y, y)  # some wrong, so that training too long hurts
    fit(network, problem, settings, 1, tick=tick, held_out=held)
    assert sum(n for n, _ in seen) == 500 and len(seen) < 500
    right = []
    for _, parameters in seen:
        network.set_parameters(parameters)
        right.append(np.mean(network.predict(held[0]) == held[1]))
    best = max(np.flatnonzero(right == np.max(right)))
    stopped = len(seen) - 1
    assert stopped > max(30, int(1.5 * best)) and max(right[31:stopped], default=0) <= max(right)
    start = seen[best][1]
    fit(network, problem, SHALLOW, 1, start=start, held_out=held)
    fit(network, problem, SHALLOW, 1, held_out=held)
    fresh = network.get_parameters()
    fit(network, problem, SHALLOW, 1, start=start, held_out=held)
    assert any(np.abs(a - b).max() > 0.1 for a, b in zip(fresh, network.get_parameters()))


def test_a_lambda_that_loses_the_labels_has_a_high_risk():
    """One input tells the label in both domains; another one too in the source, and shifts."""
    rng = np.random.RandomState(0)
    y, hidden = rng.randint(0, 2, (2, 300)).astype("int32")

    def domain(label, shifting):
        inputs = [each + rng.normal(0, 0.5, 300) for each in (2 * label - 1, shifting)]
        return np.stack(inputs, axis=1).astype("float32")

    xs, xt = domain(y, 2 * y - 1), domain(hidden, np.full(300, -3))
    problem = problems.Problem(xs, y, xt, None, None)
    network = by_hand.DomainAdversarialNetwork(2, 2, (10,), 0.5)
    rows, right = [], {}
    for lam in (0.0, 0.1, 3.0):
        settings = selection.settings_for(lam, epochs=60, batch=20)
        for split in range(2):
            risk = selection.reverse_risk(network, problem, settings, split)
            row = {"source": "a", "target": "b", "features": 10, "lam": lam}
            rows.append({**row, "split": split, "risk": risk})
        fit(network, problem, settings, 0, lam > 0)
        right[lam] = np.mean(network.predict(xt) == hidden)
    found = selection.choose(rows)["a", "b"]
    assert found["adversarial"]["lam"] == 0.1 and found["plain"]["lam"] == 0.0
    assert max(row["risk"] for row in rows) > 0.4 > 0.1 > found["adversarial"]["risk"]
    assert right[0.1] > right[3.0] + 0.1 and right[0.1] > right[0.0] + 0.1


def test_choose_takes_the_largest_lambda_within_one_standard_error_of_the_lowest_risk():
    risks = {(50, 0.1): (0.1, 0.3), (100, 0.1): (0.15, 0.2), (100, 0.5): (0.24, 0.2)}
    risks.update({(50, 0.2): (0.3, 0.1), (100, 0.2): (0.2, 0.19), (50, 1.0): (0.5, 0.1)})
    risks.update({(50, 0.0): (0.3, 0.3), (100, 0.0): (0.2, 0.4), (50, 0.5): (0.9, 0.0)})
    rows = [
        dict(source="a", target="b", features=n, lam=lam, split=split, risk=risk)
        for (n, lam), values in risks.items()
        for split, risk in enumerate(values)
    ]
    plain = {"features": 50, "lam": 0.0, "risk": 0.3}  # of equal ones the smallest
    # The lowest mean is 0.175, with a standard error of 0.025.
    for lowest, lam, risk in ((True, 0.1, 0.175), (False, 0.2, 0.195)):
        adversarial = {"features": 100, "lam": lam, "risk": risk}
        expected = {("a", "b"): {"plain": plain, "adversarial": adversarial}}
        assert selection.choose(reversed(rows), lowest) == expected
    one = [row for row in rows if row["split"] == 0]  # has no standard error
    assert selection.choose(one) == selection.choose(one, lowest=True)


def test_the_grid_is_the_papers():
    assert len(selection.LAMBDAS) == 9 and selection.SIZES == (50, 100)
    np.testing.assert_allclose(selection.LAMBDAS, [10 ** (-2 + k / 4) for k in range(9)])
    settings = selection.settings_for(0.1, 200, 100)
    assert (settings.reading, settings.ramp, settings.holdout) == ("shallow", 0, 0.1)


# --- the program ----------------------------------------------------------------------------------


def begin(folder, record, *options):
    """Start the selection with few epochs."""
    few = "--epochs", "3", "--batch", "20", "--splits", "1"
    # A shell's background jobs, and what they start, ignore SIGINT.
    heed = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    command = "selection.py", folder, "--record", record, *few, *options
    return start(*command, preexec_fn=heed)


@pytest.mark.parametrize(
    "interruption", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_an_interrupted_selection_goes_on_and_finds_the_same(interruption, folder, tmp_path):
    whole, record = tmp_path / "whole.jsonl", tmp_path / "made" / "risks.jsonl"
    only = "--source", "books", "--epochs", "30"  # long enough to be interrupted
    expected = finish(begin(folder, whole, *only))
    assert "books        dvd " in expected
    killed = begin(folder, record, *only)
    while not record.exists() or len(record.read_text().splitlines()) < 5:
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.01)
    killed.send_signal(interruption)
    errors = finish(killed, 1)
    assert f"interrupted; the same command goes on with {record}" in errors, errors
    before = record.read_text()
    record.write_text(before + '{"source": "boo')  # written when the power went
    assert finish(begin(folder, record, *only)).splitlines()[:-1] == expected.splitlines()[:-1]
    assert record.read_text().startswith(before)
    first, *rows = whole.read_text().splitlines()
    again, *others = record.read_text().splitlines()
    assert first == again and sorted(rows) == sorted(others)
    assert len(rows) == 2 * 10  # sizes, λ
    errors = finish(begin(folder, record, *only, "--batch", "10"), 1)
    assert "error: " in errors and "this run is {'epochs': 30, 'batch': 10," in errors
    assert "Run with those, or pass another file to --record." in errors


def test_a_risk_reads_no_label_of_the_target(folder):
    """It does not even read the test file; other labels in the training file change nothing."""
    jobs = [(*PAIR, size, lam, 0) for size, lam in ((50, 0.0), (50, 0.1), (100, 1.0))]
    before = [selection._risk(str(folder), 3, 20, job) for job in jobs]
    path = folder / "dvd_train.svmlight"
    lines = path.read_text().splitlines()
    flipped = [("1" if line[0] == "-" else "-1") + line[line.index(" ") :] for line in lines]
    path.write_text("\n".join(flipped) + "\n")
    (folder / "dvd_test.svmlight").write_text("-1 0:1\n")
    selection._problem.cache_clear()
    assert [selection._risk(str(folder), 3, 20, job) for job in jobs] == before


def test_selection_says_what_is_missing(folder, tmp_path):
    words = r"is not complete for the source kitchen and the target \(any\)\. Complete are: "
    with pytest.raises(SystemExit, match=words):
        selection.main([str(folder), "--record", str(tmp_path / "r"), "--source", "kitchen"])
    with pytest.raises(SystemExit, match="error: The folder .* does not exist"):
        selection.main([str(tmp_path / "nowhere"), "--record", str(tmp_path / "r")])


def test_an_example_trains_with_what_is_selected(folder, tmp_path, monkeypatch, capsys):
    if not installed("torch"):
        pytest.skip("torch is not installed")
    import dann_torch

    options = ["amazon", str(folder), "--select", "--splits=1", "--epochs=3", "--batch=20"]
    options += [f"--record={tmp_path / 'r.jsonl'}", "--seeds=2", "--quiet"]
    options += [f"--figure={tmp_path / 'a.png'}", f"--json={tmp_path / 'a.json'}"]
    dann_torch.main(options)
    out = capsys.readouterr().out
    assert "λ and layer selected by reverse validation; mean ± sd of the seeds" in out
    rows = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()[1:]]
    selected = selection.choose(rows)
    results = json.loads((tmp_path / "a.json").read_text())
    runs = [("books", 0), ("books", 1), ("dvd", 0), ("dvd", 1)]
    assert [(row["source"], row["seed"]) for row in results] == runs
    for row in results:
        assert row["selected"] == selected[row["source"], row["target"]]
    # the first of them, trained here by hand
    problem = problems.amazon(folder, *PAIR, "float32")
    best = selected[PAIR]["adversarial"]
    network = by_hand.DomainAdversarialNetwork(5000, 2, (best["features"],), 0.001 * 20)
    fit(network, problem, selection.settings_for(best["lam"], 3, 20), 0)
    assert results[0]["adversarial"] == pytest.approx(accuracy(network, problem), abs=0.04)
    assert f"{best['features']:5d}  {best['lam']:.4f}  {best['risk']:.3f}" in out
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(SystemExit, match="Run it without torchrun"):
        experiment.main(dann_torch.DomainAdversarialNetwork, "PyTorch", "float32", options)
