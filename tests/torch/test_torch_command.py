"""`revgrad check torch`, run as a user does."""

import os
import subprocess
import sys

import pytest

from support.pages import ROOT

# The contract is tested in this process, too; here it is the table.
pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "reference" / "check-torch.txt"


def test_check_prints_the_table_of_the_docs():
    done = subprocess.run(
        [sys.executable, "-m", "revgrad", "check", "torch"],
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout == PAGE.read_text(encoding="utf-8")
