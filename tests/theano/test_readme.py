"""The code blocks of the README run as they stand."""

import pathlib
import re

import pytest

README = pathlib.Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_first_block_is_the_call():
    import numpy as np

    import revgrad

    scope = {"revgrad": revgrad, "x": np.ones(2), "lam": 0.3}
    exec(BLOCKS[0], scope)
    assert scope["y"] is scope["x"]


@pytest.mark.parametrize("block", BLOCKS[1:], ids=["theano", "lasagne", "ramp"])
def test_block(block):
    exec(block, {})
