"""The functions and the Cell in MindSpore's modes, and what MindSpore itself does wrong."""

import mindspore as ms
import pytest
from mindspore import nn, ops
from support.checks import assert_only_a_lambda_is_accepted
from support.examples import assert_public

import revgrad_mindspore
from revgrad import InvalidLambdaError, LambdaVariable, UnsupportedTypeError, reverse
from revgrad_mindspore import GradientReversal, reverse_gradient

X = ms.Tensor([1.0, 2.0, 3.0])
# In one list: the names of parameters must differ within a graph.
CELLS = nn.CellList([GradientReversal(lam) for lam in (0.5, 1.0, 5.0, 2.0)])
HALF, ONE, FIVE, TWO = CELLS


def test_public_names():
    assert_public(revgrad_mindspore)


# MindSpore reads the source of what it compiles: functions, not lambdas.
def half(x):
    return HALF(x)


def merged(x):
    return (2 * ONE(x) + 3 * FIVE(x)).sum()


def cube(x):
    return (TWO(x) ** 3).sum()


def test_the_gradient_for_lambda_is_zero():
    assert ms.grad(reverse_gradient, grad_position=1)(X, ms.Tensor(0.5)).asnumpy() == 0


def slope_of_cube(x):
    return ms.grad(cube)(x).sum()


@pytest.fixture(params=[ms.PYNATIVE_MODE, ms.GRAPH_MODE], ids=["PyNative", "Graph"])
def mode(request):
    ms.set_context(mode=request.param)
    yield
    ms.set_context(mode=ms.PYNATIVE_MODE)


def test_the_cell_in_both_modes(mode):
    assert half(X).tolist() == [1, 2, 3]
    assert ms.grad(merged)(X).tolist() == [-17] * 3
    assert ms.grad(slope_of_cube)(X).tolist() == [24, 48, 72]
    assert ms.jvp(half, X, X)[1].tolist() == [-0.5, -1, -1.5]
    assert ms.vjp(half, X)[1](X)[0].tolist() == [-0.5, -1, -1.5]


@pytest.mark.parametrize("capture", ["ast", "bytecode"])
def test_jit(capture):
    assert ms.grad(ms.jit(merged, capture_mode=capture))(X).tolist() == [-17] * 3
    assert ms.jit(ms.grad(merged), capture_mode=capture)(X).tolist() == [-17] * 3


def batch(x):
    return ms.vmap(half)(x).sum()


def test_the_gradient_of_vmap_raises(mode):
    """MindSpore batches no bprop."""
    with pytest.raises(TypeError):
        ms.grad(batch)(ops.ones((2, 3)))


def function(x):
    return reverse(x, 0.5)


@pytest.mark.parametrize("compile_it", [ms.jit, ms.vmap])
def test_a_function_of_ours_raises_where_it_is_compiled(compile_it):
    with pytest.raises(NameError, match="registry"):
        compile_it(function)(X)


def test_a_compiled_graph_follows_a_variable():
    lam = LambdaVariable(0.5)
    cell = GradientReversal(lam)

    def cost(x):
        return cell(x).sum()

    compiled = ms.jit(cost)
    for lam.value in (0.5, 0.0, 3.0):
        for each in (cost, compiled):
            assert ms.grad(each)(X).tolist() == [-lam.value] * 3


def test_training_does_not_move_lambda():
    model = nn.SequentialCell(nn.Dense(3, 4), GradientReversal(0.5), nn.Dense(4, 1))
    assert "1.lam" in model.parameters_dict() and len(model.trainable_params()) == 4
    model[1].lam.requires_grad = True
    with pytest.raises(InvalidLambdaError, match="gradient"):
        model(X[None])


REJECTED = [
    (X, ms.Tensor(True), InvalidLambdaError, "Bool"),
    (X, ms.Parameter(ms.Tensor(0.5)), InvalidLambdaError, "gradient"),
    (X, object(), InvalidLambdaError, "a mindspore.Tensor"),
    (ms.Tensor(1j), 1.0, UnsupportedTypeError, "Reverse its real and its imaginary"),
    ([1.0], 1.0, UnsupportedTypeError, "Expected a mindspore.Tensor; got a list"),
]


@pytest.mark.parametrize("x, lam, error, words", REJECTED)
def test_what_is_rejected(x, lam, error, words):
    with pytest.raises(error, match=words):
        reverse_gradient(x, lam)


def test_the_cell():
    assert_only_a_lambda_is_accepted(GradientReversal, ms.Tensor)
    with pytest.raises(UnsupportedTypeError, match="Cast it"):
        GradientReversal(0.5)(X.astype(ms.int32))


# --- what MindSpore does --------------------------------------------------------------------------


def test_set_data_does_not_reach_a_compiled_graph():
    """Nor does load_param_into_net, which calls it: load before a graph is compiled."""
    weight = ms.Parameter(ms.Tensor(0.5))

    def call(x):
        return x * weight

    compiled = ms.jit(call)
    assert compiled(X)[0].item() == 0.5
    weight.set_data(ms.Tensor(3.0))
    assert (call(X)[0].item(), compiled(X)[0].item()) == (3.0, 0.5)
