"""`revgrad check`, run as a user does, on the real TensorFlow and Keras."""

import os
import subprocess
import sys

import pytest

from support.pages import ROOT

# The contract is tested in this process, too; here it is the table.
pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "reference" / "check-tensorflow-keras.txt"


def test_check_prints_the_table_of_the_docs():
    done = subprocess.run(
        [sys.executable, "-m", "revgrad", "check", "tensorflow", "keras"],
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout == PAGE.read_text(encoding="utf-8")
