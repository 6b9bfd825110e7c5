"""Every backend whose framework is installed, in one process, whichever is used first."""

import os
import pathlib

import pytest
from support.processes import installed, python

import revgrad

PROGRAM = pathlib.Path(__file__).with_name("in_one_process.py")
# What no other package has, where the name alone does not tell.
MODULES = {"jax": "jax.numpy", "mlx": "mlx.core"}
PRESENT = [name for name in revgrad.backends if installed(MODULES.get(name, name))]
# Of any two each comes before the other once; with the slow ones each is the first once.
ORDERS = [PRESENT, PRESENT[::-1]] + [
    pytest.param(PRESENT[i:] + PRESENT[:i], marks=pytest.mark.slow)
    for i in range(1, len(PRESENT) - 1)
]


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
def test_one_after_the_other(order):
    # Of Theano and PyTensor only one can use C code in a process.
    python(PROGRAM, *order, PYTENSOR_FLAGS=os.environ.get("PYTENSOR_FLAGS", "") + ",cxx=")
