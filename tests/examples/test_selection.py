"""Reverse validation: the network by hand, the protocol, and a selection that is interrupted."""

import importlib
import json
import re
import resource
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
from support.processes import installed
from support.programs import finish, start, write_amazon
import by_hand
import experiment
import problems
import selection
from scipy.sparse import csr_matrix
from training import Settings, accuracy, fit


@pytest.fixture
def folder(tmp_path):
    write_amazon(tmp_path, "books_train", "dvd_train", "dvd_test", "books_test")
    return tmp_path


# --- the network ----------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["theano", "lasagne", "torch", "jax", "keras"])
@pytest.mark.parametrize("adversarial", [True, False], ids=["adversarial", "plain"])
def test_by_hand_is_the_network_of_each_framework(style, adversarial):
    if not installed({"jax": "optax"}.get(style, style)):
        pytest.skip(f"{style} is not installed")
    module = importlib.import_module(f"dann_{style}")
    dtype = module.theano.config.floatX if hasattr(module, "theano") else "float32"
    dense = problems.moons(0, 100, dtype=dtype)
    sparse = replace(dense, xs=csr_matrix(dense.xs), xt=csr_matrix(dense.xt))
    options = {"features": (5,), "learning_rate": 0.5}
    theirs = module.DomainAdversarialNetwork(2, 2, **options, optimizer="sgd")
    # Keras has a loop of its own, which draws other batches: here is one batch in an epoch.
    settings = Settings(3.0, "shallow", 0.0, epochs=30, batch=80, holdout=0.2)
    found = []
    ours = by_hand.DomainAdversarialNetwork(2, 2, **options)
    for network, problem in ((theirs, dense), (ours, sparse), (ours, dense)):
        experiment.train(network, problem, settings, 2, adversarial)
        methods = network.represent, network.predict, network.predict_domain
        found.append(np.column_stack([method(problem.xt) for method in methods]))
    np.testing.assert_allclose(found, 3 * found[-1:], rtol=1e-3, atol=1e-4)
    means = found[-1].mean(axis=0)
    assert np.all((means > 0) & (means < 1))  # neither classifier says the same of all


# --- the protocol ---------------------------------------------------------------------------------


def test_fit_starts_where_it_is_told_and_stops_early():
    network = by_hand.DomainAdversarialNetwork(2, 2, (5,), learning_rate=1.0)
    problem, other = problems.moons(0), problems.moons(1)
    # some wrong, so that training too long hurts
    held = other.xs, np.where(np.arange(150) < 50, 1 - other.ys, other.ys)
    right = lambda: np.mean(network.predict(held[0]) == held[1])
    seen = []
    settings = selection.settings_for(0.1, epochs=500, batch=10)
    fit(network, problem, settings, 2, True, lambda n=1: seen.append((n, right())), held_out=held)
    epochs, found = zip(*seen)
    best = max(np.flatnonzero(found == np.max(found)))
    assert sum(epochs) == 500 and best > 30
    assert len(seen) == int(1.5 * best) + 2  # counted from 0, and the one in which it stops
    kept = network.get_parameters()
    assert right() == found[best]
    fit(network, problem, replace(settings, epochs=0), 2, start=kept, held_out=held)
    assert all(map(np.array_equal, network.get_parameters(), kept))


def rows(risks):
    """Return the rows of ``{(size, λ): (risk of each split, ...)}``."""
    return [
        dict(source="a", target="b", features=n, lam=lam, split=split, risk=risk)
        for (n, lam), values in risks.items()
        for split, risk in enumerate(values)
    ]


def test_a_lambda_that_loses_the_labels_has_a_high_risk():
    """One input tells the label in both domains; another one too in the source, and shifts."""
    rng = np.random.RandomState(0)
    y, hidden = rng.randint(0, 2, (2, 300)).astype("int32")
    domain = lambda *inputs: rng.normal(inputs, 0.5).T.astype("float32")
    xs, xt = domain(2 * y - 1, 2 * y - 1), domain(2 * hidden - 1, np.full(300, -3))
    problem = problems.Problem(xs, y, xt, None, None)
    network = by_hand.DomainAdversarialNetwork(2, 2, (10,), 0.5)
    risks, right = {}, {}
    for lam in (0.0, 0.1, 3.0):
        settings = selection.settings_for(lam, epochs=60, batch=20)
        risks[10, lam] = [selection.reverse_risk(network, problem, settings, n) for n in (0, 1)]
        fit(network, problem, settings, 0, lam > 0)
        right[lam] = np.mean(network.predict(xt) == hidden)
    found = selection.choose(rows(risks))["a", "b"]
    assert found["adversarial"]["lam"] == 0.1 and found["plain"]["lam"] == 0.0
    assert max(map(max, risks.values())) > 0.4 > 0.1 > found["adversarial"]["risk"]
    assert right[0.1] > max(right[3.0], right[0.0]) + 0.1


def test_choose_takes_the_largest_lambda_within_one_standard_error_of_the_lowest_risk():
    risks = {(50, 0.1): (0.1, 0.3), (100, 0.1): (0.15, 0.2), (100, 0.5): (0.24, 0.2)}
    risks.update({(50, 0.2): (0.3, 0.1), (100, 0.2): (0.2, 0.19), (50, 1.0): (0.5, 0.1)})
    risks.update({(50, 0.0): (0.3, 0.3), (100, 0.0): (0.2, 0.4), (50, 0.5): (0.9, 0.0)})
    plain = {"features": 50, "lam": 0.0, "risk": 0.3}  # of equal ones the smallest
    # The lowest mean is 0.175, with a standard error of 0.025.
    for lowest, lam, risk in ((True, 0.1, 0.175), (False, 0.2, 0.195)):
        adversarial = {"features": 100, "lam": lam, "risk": risk}
        found = selection.choose(reversed(rows(risks)), lowest)
        assert found == {("a", "b"): {"plain": plain, "adversarial": adversarial}}
    one = rows({each: values[:1] for each, values in risks.items()})  # has no standard error
    assert selection.choose(one) == selection.choose(one, lowest=True)


def test_the_grid_is_the_papers():
    assert selection.SIZES == (50, 100)
    np.testing.assert_allclose(selection.LAMBDAS, [10 ** (-2 + k / 4) for k in range(9)])
    expected = Settings(0.1, "shallow", 0, 200, 100, holdout=0.1, stop_early=True)
    assert selection.settings_for(0.1, 200, 100) == expected


# --- the program ----------------------------------------------------------------------------------


STOPPED = "interrupted; the same command goes on with "
ENDS = (signal.SIGTERM, 1, STOPPED), (signal.SIGKILL, -9, ""), (None, 1, "was not written: ")


@pytest.mark.parametrize(
    "interruption, code, message",  # None is a full disk
    [(signal.SIGINT, 1, STOPPED), *(pytest.param(*each, marks=pytest.mark.slow) for each in ENDS)],
)
def test_an_interrupted_selection_goes_on_and_finds_the_same(interruption, code, message, folder):
    # A shell's background jobs, and what they start, ignore SIGINT.
    heed = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    full = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))

    def begin(record, batch=20, before=heed):
        options = "--source=books", "--epochs=60", f"--batch={batch}", "--splits=1"
        return start("selection.py", folder, f"--record={record}", *options, preexec_fn=before)

    whole, record = folder / "whole.jsonl", folder / "made" / "risks.jsonl"
    expected = finish(begin(whole))
    assert "books        dvd " in expected
    killed = begin(record, before=heed if interruption else full)
    while interruption and (not record.exists() or len(record.read_text().splitlines()) < 5):
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.01)
    if interruption:
        killed.send_signal(interruption)
    errors = finish(killed, code)
    # The workers of a process that was killed end in a traceback.
    assert message in errors and (code < 0 or "Traceback" not in errors)
    before = record.read_text()
    record.write_text(before + '{"source": "boo')  # written when the power went
    assert finish(begin(record)).splitlines()[:-1] == expected.splitlines()[:-1]
    assert record.read_text().startswith(before)
    lines = whole.read_text().splitlines()
    assert sorted(record.read_text().splitlines()) == sorted(lines)
    assert len(lines) == 1 + 2 * 10  # sizes, λ
    words = r"error: .*; this run is {'epochs': 60, 'batch': 10,.*pass another file to --record\."
    assert re.search(words, finish(begin(record, batch=10), 1))
    for content in (b"{}\nno JSON\nend", b"no JSON", b"\xff\n", b"[]\n{"):  # each is left as it is
        record.write_bytes(content)
        words = "is not a record of risks" if content != b"[]\n{" else "has the risks of"
        with pytest.raises(selection.RecordError, match=f"risks.jsonl {words}"):
            selection.read(record, {})
        assert record.read_bytes() == content


def test_a_risk_reads_no_label_of_the_target(folder):
    """It does not even read the test file; other labels in the training file change nothing."""
    jobs = [("books", "dvd", size, lam, 0) for size, lam in ((50, 0.0), (50, 0.1), (100, 1.0))]
    before = [selection._risk(str(folder), 3, 20, job) for job in jobs]
    path = folder / "dvd_train.svmlight"
    path.write_text(re.sub("^-1 ", "1 ", path.read_text(), flags=re.MULTILINE))
    (folder / "dvd_test.svmlight").unlink()
    selection._problem.cache_clear()
    assert [selection._risk(str(folder), 3, 20, job) for job in jobs] == before


@pytest.mark.skipif(not installed("torch"), reason="torch is not installed")
def test_an_example_trains_with_what_is_selected(folder, monkeypatch, capsys):
    import dann_torch

    monkeypatch.chdir(folder)
    options = ["amazon", ".", "--select", "--splits=1", "--epochs=3", "--batch=20", "--seeds=2"]
    options += ["--quiet", "--figure=a.png", "--record=r.jsonl", "--json=a.json"]
    dann_torch.main(options)
    out = capsys.readouterr().out
    assert "λ and layer selected by reverse validation; mean ± sd of the seeds" in out
    _, *risks = (folder / "r.jsonl").read_text().splitlines()
    selected = selection.choose(map(json.loads, risks))
    results = json.loads((folder / "a.json").read_text())
    found = [(row["source"], row["target"], row["seed"], row["selected"]) for row in results]
    assert found == [(*pair, seed, selected[pair]) for pair in selected for seed in range(2)]
    # the first of them, trained here by hand
    problem = problems.amazon(folder, "books", "dvd", "float32")
    best = selected["books", "dvd"]["adversarial"]
    network = by_hand.DomainAdversarialNetwork(5000, 2, (best["features"],), 0.001 * 20)
    fit(network, problem, selection.settings_for(best["lam"], 3, 20), 0)
    assert results[0]["adversarial"] == pytest.approx(accuracy(network, problem), abs=0.04)
    assert f"{best['features']:5d}  {best['lam']:.4f}  {best['risk']:.3f}" in out
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(SystemExit, match="Run it without torchrun"):
        experiment.main(dann_torch.DomainAdversarialNetwork, "PyTorch", "float32", options)
