"""The functions and the layer in Paddle's modes, and what Paddle itself does wrong."""

import numpy as np
import paddle
import pytest
from paddle.autograd import PyLayer
from support.processes import python

import revgrad
from revgrad import reference
from revgrad_paddle import GradientReversal, reverse_gradient, scale_gradient


def variable(values=(1.0, 2.0, 3.0), dtype="float32"):
    return paddle.to_tensor(np.array(values, dtype), stop_gradient=False)


def slope(function, x=None):
    x = variable() if x is None else x
    function(x).sum().backward()
    return x.grad.numpy()


def merged(x):
    return 2 * revgrad.reverse(x, 1.0) + 3 * revgrad.reverse(x, 5.0)


def test_two_branches_stay_apart():
    for function in (merged, paddle.jit.to_static(merged, full_graph=True)):
        np.testing.assert_array_equal(slope(function), [-17] * 3)
    again = paddle.jit.to_static(merged, full_graph=False)
    for _ in range(2):
        np.testing.assert_array_equal(slope(again), [-17] * 3)


def test_hessians():
    def cost(x):
        return (revgrad.reverse(x, 2.0) ** 3).sum()

    for hessian in (
        paddle.incubate.autograd.Hessian(cost, variable())[:],
        (lambda x: paddle.autograd.hessian(cost(x), x)[:])(variable()),
    ):
        np.testing.assert_array_equal(hessian.numpy(), np.diag([24.0, 48.0, 72.0]))


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_numbers(dtype):
    x, g = variable([1 + 2j, -3j], dtype), np.array([np.inf + 0j, 1 - 1j], dtype)
    paddle.autograd.backward([reverse_gradient(x, 0.5)], [paddle.to_tensor(g)])
    np.testing.assert_array_equal(x.grad.numpy(), reference.pullback(g, 0.5))


def test_a_variable_counts_at_the_forward_pass():
    lam, x = revgrad.LambdaVariable(0.5), variable()
    y = revgrad.reverse(x, lam)
    lam.value = 2.0
    y.sum().backward()
    assert x.grad.tolist() == [-0.5] * 3

    def frozen(x):
        return revgrad.reverse(x, lam)

    with pytest.raises(revgrad.InvalidLambdaError, match="would freeze its value. Use revgrad_pad"):
        paddle.jit.to_static(frozen, full_graph=True)(x)
    with pytest.raises(Exception, match="would freeze its value"):
        paddle.jit.to_static(frozen, full_graph=False)(x)


X = paddle.to_tensor([1.0, 2.0])


@pytest.mark.parametrize(
    "x, lam, error, words",
    [
        (X, paddle.to_tensor(True), revgrad.InvalidLambdaError, "bool"),
        (X, paddle.to_tensor(1j), revgrad.InvalidLambdaError, "complex64"),
        (X, variable([0.5, 0.5]), revgrad.InvalidLambdaError, "gradient"),
        (X, object(), revgrad.InvalidLambdaError, "a paddle.Tensor"),
        ([1.0], 1.0, revgrad.UnsupportedTypeError, "Expected a paddle.Tensor; got a list"),
    ],
)
def test_what_is_rejected(x, lam, error, words):
    with pytest.raises(error, match=words):
        reverse_gradient(x, lam)


def test_a_factor_that_selects():
    factor = paddle.to_tensor([-0.5, 1.0, -0.5])
    for scale in (revgrad.scale_gradient, scale_gradient):
        assert slope(lambda x, scale=scale: scale(x, factor)).tolist() == [-0.5, 1.0, -0.5]


# --- the layer ------------------------------------------------------------------------------------


def test_a_built_program_follows_a_variable():
    lam = revgrad.LambdaVariable(0.5)
    layer = GradientReversal(lam)
    for full_graph in (True, False):
        built = paddle.jit.to_static(layer.forward, full_graph=full_graph)
        for value in (0.5, 0.0, 3.0):
            lam.value = value
            assert slope(built).tolist() == [-value] * 3


def test_the_layer():
    layer = GradientReversal(0.5)
    assert repr(layer) == "GradientReversal(lam=0.5)"
    assert list(layer.state_dict()) == ["lam"] and not layer.parameters()
    for wrong in (-1, paddle.to_tensor(-1.0), paddle.to_tensor([1.0]), "0.3", None, 1e39):
        with pytest.raises(revgrad.InvalidLambdaError):
            layer.lam = wrong
        with pytest.raises(revgrad.InvalidLambdaError):
            GradientReversal(wrong)
    with pytest.raises(revgrad.InvalidLambdaError, match="gradient"):
        layer.lam = variable(0.5)
    layer.set_state_dict({"lam": paddle.to_tensor(-1.0)})
    with pytest.raises(revgrad.InvalidLambdaError):
        layer(X)


# --- files ----------------------------------------------------------------------------------------

LOAD = """
import sys, paddle
model = paddle.jit.load(sys.argv[1])
model.train()
x = paddle.to_tensor([1.0, 2.0, 3.0], stop_gradient=False)
y = model(x)
y.sum().backward()
print(y.tolist(), x.grad.tolist(), [m for m in sys.modules if m.startswith("revgrad")])
"""


def test_another_process_that_has_no_revgrad(tmp_path):
    """The file holds plain operations, λ included: nothing is lost, and nothing of ours is needed."""
    spec = [paddle.static.InputSpec([3], "float32", stop_gradient=False)]
    model = paddle.nn.Sequential(GradientReversal(0.5))
    paddle.jit.save(model, str(tmp_path / "model"), input_spec=spec)
    done = python(tmp_path / "model", code=LOAD)
    assert done.stdout.splitlines()[-1] == "[1.0, 2.0, 3.0] [-0.5, -0.5, -0.5] []"


class PlainReversal(PyLayer):
    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, g):
        return -g


class WithPlainReversal(paddle.nn.Layer):
    def forward(self, x):
        return PlainReversal.apply(x)


def test_a_plain_pylayer_is_lost_in_a_file(tmp_path):
    spec = [paddle.static.InputSpec([3], "float32", stop_gradient=False)]
    paddle.jit.save(WithPlainReversal(), str(tmp_path / "model"), input_spec=spec)
    done = python(tmp_path / "model", code=LOAD, check=False)
    assert done.returncode != 0 and "[-1.0, -1.0, -1.0]" not in done.stdout


# --- what Paddle does -----------------------------------------------------------------------------


def test_an_output_that_is_overwritten():
    """In Paddle 3.3 a difference is computed in the memory of an output of the program."""

    def difference(x):
        h = x * 2
        return h - paddle.assign(h), h

    built = paddle.jit.to_static(difference, full_graph=True)
    assert built(variable())[1].tolist() == [0.0] * 3
    assert difference(variable())[1].tolist() == [2.0, 4.0, 6.0]


def test_half_precision_on_the_cpu():
    half = paddle.ones([2], "float16")
    with pytest.raises(RuntimeError, match="float16"):
        half * half
