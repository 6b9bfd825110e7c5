"""The example programs, which this puts on the path; tests skip where what they need is missing."""

import sys
from subprocess import PIPE, Popen

import numpy as np
import pytest
from support.pages import ROOT

EXAMPLES = ROOT / "docs" / "examples"
sys.path.insert(0, str(EXAMPLES))

for needed in ("sklearn", "matplotlib", "tqdm"):
    pytest.importorskip(needed)


def write_amazon(folder, *names):
    """Write files of the form of the Amazon reviews."""
    from sklearn.datasets import dump_svmlight_file

    rng = np.random.RandomState(0)
    for name in names:
        x = rng.randint(0, 3, (40, 8))
        path = str(folder / f"{name}.svmlight")
        dump_svmlight_file(x, np.where(x[:, 0] > 0, 1, -1), path, zero_based=True)


def start(program, *arguments, **options):
    """Start a program of the examples, or one elsewhere, as a user does."""
    command = [sys.executable, str(EXAMPLES / program), *map(str, arguments)]
    return Popen(command, stdout=PIPE, stderr=PIPE, encoding="utf-8", **options)


def finish(process, code=0):
    """Return what a program prints; where it ends with another code than 0, its errors."""
    out, errors = process.communicate()
    assert process.returncode == code, out + errors
    return errors if code else out
