"""The functions and the Cell in MindSpore's modes, and what MindSpore itself does wrong."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

import revgrad
from revgrad_mindspore import GradientReversal, reverse_gradient, scale_gradient

X = ms.Tensor(np.array([1.0, 2.0, 3.0], "float32"))
# In one list: the names of parameters must differ within a graph.
CELLS = nn.CellList([GradientReversal(lam) for lam in (0.5, 1.0, 5.0, 2.0)])
CELL, ONE, FIVE, TWO = CELLS


# MindSpore reads the source of what it compiles: functions, not lambdas.
def half(x):
    return CELL(x)


def merged(x):
    return (2 * ONE(x) + 3 * FIVE(x)).sum()


def cube(x):
    return (TWO(x) ** 3).sum()


def slope_of_cube(x):
    return ms.grad(cube)(x).sum()


@pytest.fixture(params=["PyNative", "Graph"])
def mode(request):
    ms.set_context(mode=ms.GRAPH_MODE if request.param == "Graph" else ms.PYNATIVE_MODE)
    yield request.param
    ms.set_context(mode=ms.PYNATIVE_MODE)


def test_the_cell_in_both_modes(mode):
    np.testing.assert_array_equal(half(X).asnumpy(), X.asnumpy())
    np.testing.assert_array_equal(ms.grad(merged)(X).asnumpy(), [-17] * 3)
    np.testing.assert_array_equal(ms.grad(slope_of_cube)(X).asnumpy(), [24, 48, 72])
    np.testing.assert_array_equal(ms.jvp(half, X, X)[1].asnumpy(), -0.5 * X.asnumpy())
    np.testing.assert_array_equal(ms.vjp(half, X)[1](X)[0].asnumpy(), -0.5 * X.asnumpy())


@pytest.mark.parametrize("capture", ["ast", "bytecode"])
def test_jit(capture):
    for compiled in (ms.jit(merged, capture_mode=capture), merged):
        np.testing.assert_array_equal(ms.grad(compiled)(X).asnumpy(), [-17] * 3)
    np.testing.assert_array_equal(ms.jit(ms.grad(merged))(X).asnumpy(), [-17] * 3)


def batch(x):
    return ms.vmap(half)(x).sum()


def test_the_gradient_of_vmap_raises(mode):
    """MindSpore batches no bprop."""
    with pytest.raises(TypeError):
        ms.grad(batch)(ops.ones((2, 3)))


def function(x):
    return revgrad.reverse(x, 0.5)


@pytest.mark.parametrize("compile_it", [ms.jit, ms.vmap])
def test_a_function_of_ours_raises_where_it_is_compiled(compile_it):
    with pytest.raises(NameError, match="registry"):
        compile_it(function)(X)


def test_a_compiled_graph_follows_a_variable():
    lam = revgrad.LambdaVariable(0.5)
    cell = GradientReversal(lam)

    def cost(x):
        return cell(x).sum()

    compiled = ms.jit(cost)
    for value in (0.5, 0.0, 3.0):
        lam.value = value
        for each in (cost, compiled):
            assert ms.grad(each)(X).asnumpy().tolist() == [-value] * 3


def test_training_does_not_move_lambda():
    model = nn.SequentialCell(nn.Dense(3, 4), GradientReversal(0.5), nn.Dense(4, 1))
    assert "1.lam" in model.parameters_dict() and len(model.trainable_params()) == 4
    for parameter in model.get_parameters():
        parameter.requires_grad = True
    with pytest.raises(revgrad.InvalidLambdaError, match="gradient"):
        model(X[None])


@pytest.mark.parametrize(
    "x, lam, error, words",
    [
        (X, ms.Tensor(True), revgrad.InvalidLambdaError, "Bool"),
        (X, ms.Parameter(ms.Tensor(0.5)), revgrad.InvalidLambdaError, "gradient"),
        (X, object(), revgrad.InvalidLambdaError, "a mindspore.Tensor"),
        (ms.Tensor(1j), 1.0, revgrad.UnsupportedTypeError, "Reverse its real and its imaginary"),
        ([1.0], 1.0, revgrad.UnsupportedTypeError, "Expected a mindspore.Tensor; got a list"),
    ],
)
def test_what_is_rejected(x, lam, error, words):
    with pytest.raises(error, match=words):
        reverse_gradient(x, lam)


def test_a_factor_that_selects():
    factor = ms.Tensor([-0.5, 1.0, -0.5])
    for scale in (revgrad.scale_gradient, scale_gradient):
        found = ms.grad(lambda x, scale=scale: scale(x, factor).sum())(X)
        assert found.asnumpy().tolist() == [-0.5, 1.0, -0.5]


def test_the_cell():
    cell = GradientReversal(0.5)
    assert repr(cell) == "GradientReversal(lam=0.5)"
    for wrong in (-1, ms.Tensor(-1.0), ms.Tensor([1.0]), "0.3", None, 1e39):
        with pytest.raises(revgrad.InvalidLambdaError):
            cell.lam = wrong
        with pytest.raises(revgrad.InvalidLambdaError):
            GradientReversal(wrong)
    cell.lam.set_data(ms.Tensor(-1.0, ms.float32))
    with pytest.raises(revgrad.InvalidLambdaError):
        cell(X)
    with pytest.raises(revgrad.UnsupportedTypeError, match="Cast it"):
        GradientReversal(0.5)(X.astype(ms.int32))


# --- what MindSpore does --------------------------------------------------------------------------


class Product(nn.Cell):
    def __init__(self):
        super().__init__()
        self.weight = ms.Parameter(ms.Tensor(0.5, ms.float32))

    def construct(self, x):
        return x * self.weight


def test_set_data_does_not_reach_a_compiled_graph():
    """Nor does load_param_into_net, which calls it: load before a graph is compiled."""
    cell = Product()

    def call(x):
        return cell(x)

    compiled = ms.jit(call)
    assert compiled(X)[0].item() == 0.5
    cell.weight.set_data(ms.Tensor(3.0, ms.float32))
    assert (cell(X)[0].item(), compiled(X)[0].item()) == (3.0, 0.5)


def test_tanh_of_single_precision():
    assert abs(ops.tanh(ms.Tensor(4.5, ms.float32)).item() - np.tanh(4.5)) > 1e-5
