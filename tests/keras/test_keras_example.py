"""Listings, and the example in Keras: the moons, by `fit`."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from support.pages import listings

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/reverse-selectively.md"])
def test_the_listings_of_a_page(page):
    (code,) = listings(page)["Keras"]
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_the_adversary_helps_on_the_moons(tmp_path):
    for needed in ("sklearn", "matplotlib", "tqdm", "jax"):
        pytest.importorskip(needed)
    program = ROOT / "docs" / "examples" / "dann_keras.py"
    options = ["--seeds", "1", "--epochs", "300", "--figure", "moons.png", "--json", "moons.json"]
    subprocess.run(
        [sys.executable, str(program), "moons", "--quiet", *options],
        env={**os.environ, "KERAS_BACKEND": "jax"},  # the fastest of them on the CPU
        cwd=str(tmp_path),
        check=True,
    )
    (found,) = json.loads((tmp_path / "moons.json").read_text())
    assert found["adversarial"] > found["plain"] + 0.05
