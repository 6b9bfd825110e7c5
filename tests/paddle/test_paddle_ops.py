"""The functions and the layer in Paddle's modes, and what Paddle itself does wrong."""

import numpy as np
import paddle
import pytest
from paddle.autograd import PyLayer
from support.checks import assert_only_a_lambda_is_accepted
from support.examples import assert_public
from support.processes import python

import revgrad_paddle
from revgrad import InvalidLambdaError, LambdaVariable, UnsupportedTypeError, reference, reverse
from revgrad_paddle import GradientReversal, reverse_gradient


def variable(values=(1.0, 2.0, 3.0), dtype="float32"):
    return paddle.to_tensor(np.array(values, dtype), stop_gradient=False)


def slope(function):
    x = variable()
    function(x).sum().backward()
    return x.grad.tolist()


def test_public_names():
    assert_public(revgrad_paddle)


def test_two_branches_stay_apart_where_a_graph_may_break():
    def merged(x):
        return 2 * reverse(x, 1.0) + 3 * reverse(x, 5.0)

    built = paddle.jit.to_static(merged, full_graph=False)
    for _ in range(2):
        assert slope(built) == [-17] * 3


def test_hessians():
    def cost(x):
        return (reverse(x, 2.0) ** 3).sum()

    x, expected = variable(), np.diag([24.0, 48.0, 72.0]).tolist()
    assert paddle.incubate.autograd.Hessian(cost, x)[:].tolist() == expected
    assert paddle.autograd.hessian(cost(x), x)[:].tolist() == expected


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_numbers(dtype):
    x, g = variable([1 + 2j, -3j], dtype), np.array([np.inf + 0j, 1 - 1j], dtype)
    paddle.autograd.backward([reverse_gradient(x, 0.5)], [paddle.to_tensor(g)])
    np.testing.assert_array_equal(x.grad.numpy(), reference.pullback(g, 0.5))


@pytest.mark.parametrize("full_graph, error", [(True, InvalidLambdaError), (False, Exception)])
def test_a_program_would_freeze_a_variable(full_graph, error):
    def frozen(x):
        return reverse(x, LambdaVariable(0.5))

    with pytest.raises(error, match="would freeze its value. Use revgrad_pad"):
        paddle.jit.to_static(frozen, full_graph=full_graph)(variable())


X = paddle.to_tensor([1.0, 2.0])
REJECTED = [
    (X, paddle.to_tensor(True), InvalidLambdaError, "bool"),
    (X, paddle.to_tensor(1j), InvalidLambdaError, "complex64"),
    (X, variable([0.5, 0.5]), InvalidLambdaError, "gradient"),
    (X, object(), InvalidLambdaError, "a paddle.Tensor"),
    ([1.0], 1.0, UnsupportedTypeError, "Expected a paddle.Tensor; got a list"),
]


@pytest.mark.parametrize("x, lam, error, words", REJECTED)
def test_what_is_rejected(x, lam, error, words):
    with pytest.raises(error, match=words):
        reverse_gradient(x, lam)


# --- the layer ------------------------------------------------------------------------------------


@pytest.mark.parametrize("full_graph", [True, False])
def test_a_built_program_follows_a_variable(full_graph):
    lam = LambdaVariable(0.5)
    layer = GradientReversal(lam)  # the program holds no reference to it
    built = paddle.jit.to_static(layer.forward, full_graph=full_graph)
    for lam.value in (0.5, 0.0, 3.0):
        assert slope(built) == [-lam.value] * 3


def test_the_layer():
    assert_only_a_lambda_is_accepted(GradientReversal, paddle.to_tensor)
    layer = GradientReversal(0.5)
    assert not layer.parameters()
    with pytest.raises(InvalidLambdaError, match="gradient"):
        layer.lam = variable(0.5)


def test_what_is_assigned_or_written_to_a_layer_counts_and_stays_float32():
    lam = LambdaVariable(0.5)
    layer = GradientReversal(lam)
    layer.lam = 0.25
    assert lam.value == 0.25 and slope(layer) == [-0.25] * 3
    layer.lam.set_value(paddle.to_tensor(0.75))
    assert slope(layer) == [-0.75] * 3 and lam.value == 0.75
    lam.value = 0.1
    layer.lam = layer.lam
    assert lam.value == 0.1  # not rounded
    layer.lam.set_value(paddle.to_tensor(0.5))
    assert layer.to(dtype="float64") is layer and layer.lam.dtype == paddle.float32
    layer.lam.set_value(paddle.to_tensor(-0.5))
    with pytest.raises(InvalidLambdaError):
        layer.to(dtype="float16")


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


def loaded_elsewhere(model, path, **options):
    """Return the process that has loaded a model from a file, and printed its gradient."""
    spec = [paddle.static.InputSpec([3], "float32", stop_gradient=False)]
    paddle.jit.save(model, str(path), input_spec=spec)
    return python(path, code=LOAD, **options)


def test_another_process_that_has_no_revgrad(tmp_path):
    """The file holds plain operations, λ included: nothing is lost, and nothing of ours is needed."""
    done = loaded_elsewhere(paddle.nn.Sequential(GradientReversal(0.5)), tmp_path / "model")
    assert done.stdout.splitlines()[-1] == "[1.0, 2.0, 3.0] [-0.5, -0.5, -0.5] []"


def test_a_plain_pylayer_is_lost_in_a_file(tmp_path):
    class Plain(PyLayer):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return -g

    def reversal(x):
        return Plain.apply(x)

    done = loaded_elsewhere(reversal, tmp_path / "model", check=False)
    assert "is not found in python_callable_registry" in done.stderr


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
