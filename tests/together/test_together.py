"""Every backend whose framework is installed, in one process, whichever is used first."""

import os

import pytest
from support.processes import installed, python

import revgrad

# A use that takes a gradient.
USES = {
    "numpy": "import numpy; assert revgrad.reverse(numpy.float64(1.0), lam) == 1.0",
    "jax": "import jax; assert jax.grad(lambda x: revgrad.reverse(x, lam.value))(1.0) == -0.5",
    "theano": """
import theano, theano.tensor as T
x = T.dscalar()
assert theano.function([x], theano.grad(revgrad.reverse(x, lam), x))(1.0) == -0.5
""",
    "torch": """
import torch
x = torch.ones((), requires_grad=True)
revgrad.reverse(x, lam).backward()
assert x.grad == -0.5
""",
    "pytensor": """
import pytensor, pytensor.tensor as pt
x = pt.dscalar()
assert pytensor.grad(revgrad.reverse(x, lam), x).eval({x: 1.0}) == -0.5
""",
    "tensorflow": """
import tensorflow as tf
x = tf.Variable(1.0)
with tf.GradientTape() as tape:
    y = revgrad.reverse(x, lam)
assert tape.gradient(y, x) == -0.5
""",
    "keras": """
import keras
inputs = keras.Input((1,))
model = keras.Model(inputs, revgrad.reverse(inputs, lam))
assert keras.ops.convert_to_numpy(model(keras.ops.ones((1, 1)))) == 1.0
""",
    "autograd": "import autograd; assert autograd.grad(lambda x: revgrad.reverse(x, lam))(1.0) == -0.5",
    "mlx": """
import mlx.core as mx
assert mx.grad(lambda x: revgrad.reverse(x, lam))(mx.array(1.0)).item() == -0.5
""",
    "paddle": """
import paddle
x = paddle.to_tensor(1.0, stop_gradient=False)
revgrad.reverse(x, lam).backward()
assert x.grad.item() == -0.5
""",
    "mindspore": """
import mindspore as ms
assert ms.grad(lambda x: revgrad.reverse(x, lam))(ms.Tensor(1.0)) == -0.5
""",
    "lasagne": """
import lasagne, theano, theano.tensor as T
layer = revgrad.reverse(lasagne.layers.InputLayer((None, 1)), lam)
x = T.dmatrix()
y = lasagne.layers.get_output(layer, x).sum()
assert theano.function([x], theano.grad(y, x))([[1.0]]) == -0.5
""",
}


# What no other package has, where the name alone does not tell.
MODULES = {"jax": "jax.numpy", "mlx": "mlx.core"}
PRESENT = [name for name in USES if name in revgrad.backends and installed(MODULES.get(name, name))]
# Of any two each comes before the other once; with the slow ones each is the first once.
ORDERS = [PRESENT, PRESENT[::-1]] + [
    pytest.param(PRESENT[i:] + PRESENT[:i], marks=pytest.mark.slow)
    for i in range(1, len(PRESENT) - 1)
]

START = "import revgrad_theano.compat" if installed("theano") else ""
END = """
assert lam.value == 0.5
from revgrad._registry import registry
assert not registry.failures
print("all of them")
"""


def test_every_backend_has_a_use():
    assert set(revgrad.backends) <= set(USES)


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
def test_one_after_the_other(order):
    uses = [USES[name] for name in order]
    lines = [START, "import revgrad", "lam = revgrad.LambdaVariable(0.5)", *uses, *uses, END]
    # Of Theano and PyTensor only one can use C code in a process.
    flags = os.environ.get("PYTENSOR_FLAGS", "") + ",cxx="
    done = python(code="\n".join(lines), PYTENSOR_FLAGS=flags)
    assert done.stdout.splitlines()[-1] == "all of them"
