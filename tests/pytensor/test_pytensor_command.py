"""`revgrad check`, run as a user does, on the real PyTensor and JAX."""

import os
import subprocess
import sys

import pytest
from support.pages import ROOT

PAGE = ROOT / "docs" / "reference" / "check-jax-pytensor.txt"


def test_check_prints_the_table_of_the_docs():
    pytest.importorskip("jax.numpy")
    pytest.importorskip("flatbuffers")  # without it JAX exports and cannot save
    done = subprocess.run(
        [sys.executable, "-m", "revgrad", "check", "jax", "pytensor"],
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout == PAGE.read_text(encoding="utf-8")
