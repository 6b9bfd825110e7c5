"""Listings, and the example in Keras: the moons, by `fit`."""

import json
import os
import sys

import pytest
from support.pages import ROOT, listings
from support.processes import python


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/reverse-selectively.md"])
def test_the_listings_of_a_page(page):
    (code,) = listings(page)["Keras"]
    python(code=code)


def test_tutorials():
    code = "from support.pages import run_doctest\n"
    for page in ("first-reversal", "domain-adversarial-training"):
        code += f"run_doctest('docs/tutorial/{page}.md', 'keras')\n"
    python(code=code, PYTHONPATH=os.pathsep.join([str(ROOT / "tests"), *sys.path]))


@pytest.mark.slow
def test_the_adversary_helps_on_the_moons(tmp_path):
    for needed in ("sklearn", "matplotlib", "tqdm", "jax"):
        pytest.importorskip(needed)
    options = "--quiet --seeds 1 --epochs 300 --figure moons.png --json moons.json".split()
    program = ROOT / "docs" / "examples" / "dann_keras.py"
    # JAX is the fastest on the CPU.
    python(program, "moons", *options, cwd=tmp_path, KERAS_BACKEND="jax")
    (found,) = json.loads((tmp_path / "moons.json").read_text())
    assert found["adversarial"] > found["plain"] + 0.05
