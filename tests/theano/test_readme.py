"""The code blocks of the README run as they stand."""

import pytest
from readme_blocks import BLOCKS


def test_the_first_block_is_the_call():
    import numpy as np

    import revgrad

    scope = {"revgrad": revgrad, "x": np.ones(2), "lam": 0.3}
    exec(BLOCKS["revgrad"], scope)
    assert scope["y"] is scope["x"]


@pytest.mark.parametrize("heading", ["Theano", "Lasagne", "λ over time"])
def test_block(heading):
    exec(BLOCKS[heading], {})


def test_every_block_is_run_somewhere():
    # In the tests of these.
    elsewhere = {"JAX", "PyTensor", "PyTorch", "TensorFlow", "Keras", "HIPS autograd"}
    assert set(BLOCKS) == {"revgrad", "Theano", "Lasagne", "λ over time"} | elsewhere
