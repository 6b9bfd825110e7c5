"""Several frameworks in one process, in any order of first use."""

import itertools
import subprocess
import sys

import pytest

USES = {
    "jax": "import jax; assert jax.grad(lambda x: revgrad.reverse(x, 0.5))(1.0) == -0.5",
    "pytensor": (
        "import pytensor, pytensor.tensor as pt; x = pt.dscalar(); "
        "assert pytensor.grad(revgrad.reverse(x, 0.5), x).eval({x: 1.0}) == -0.5"
    ),
    "numpy": "import numpy; assert revgrad.reverse(numpy.float64(1.0), 0.5) == 1.0",
}


@pytest.mark.parametrize("order", itertools.permutations(USES), ids=" ".join)
def test_one_after_the_other(order):
    pytest.importorskip("jax.numpy")
    lines = ["import revgrad", *(USES[name] for name in order), "print(*revgrad.backends)"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert done.returncode == 0 and set(order) <= set(done.stdout.split())
