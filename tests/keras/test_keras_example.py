"""The block of the README, and the example in Keras: the moons, by `fit`."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from readme_blocks import BLOCKS

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_block_of_the_readme():
    subprocess.run([sys.executable, "-c", BLOCKS["Keras"]], check=True)


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
