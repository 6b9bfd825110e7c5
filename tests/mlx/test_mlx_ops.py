"""The functions and the module under the transforms of MLX, and what MLX itself does wrong."""

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
import pytest
from support.checks import assert_only_a_lambda_is_accepted
from support.examples import assert_public

import revgrad_mlx
from revgrad import InvalidLambdaError, LambdaVariable, UnsupportedTypeError, reference, reverse
from revgrad.backend import residual_form
from revgrad_mlx import GradientReversal, reverse_gradient

X = mx.array([0.5, -1.0, 2.0])


def slope(function, x=X):
    return mx.grad(lambda x: function(x).sum())(x).tolist()


def test_public_names():
    assert_public(revgrad_mlx)


def test_the_gradient_for_lambda_is_a_zero_of_its_shape():
    for lam in (mx.array(0.5), mx.array([0.5])):
        found = mx.grad(lambda lam: reverse_gradient(X, lam).sum())(lam)
        assert found.shape == lam.shape and found.sum().item() == 0


def test_vmap_of_vmap():
    twice = mx.vmap(mx.vmap(lambda x: reverse_gradient(x, 0.5)))
    assert slope(twice, mx.ones((2, 3))) == [[-0.5] * 3] * 2


@pytest.mark.parametrize("lam", [[1.0, 5.0], [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]])
def test_a_batch_of_lambdas(lam):
    rows = -np.reshape(lam, (2, -1)) * np.ones((2, 3))
    for axis, expected in ((0, rows), (1, rows.T), (None, rows.sum(0))):
        batch = mx.vmap(reverse_gradient, in_axes=(axis, 0))
        found = slope(lambda x: batch(x, mx.array(lam)), mx.ones(expected.shape))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("shape", [(), (2,), (2, 1)])
def test_complex_numbers(shape):
    g = np.resize(np.array([1 - 1j, np.inf + 0j], "complex64"), shape)
    _, (came,) = mx.vjp(
        lambda x: reverse_gradient(x, 0.5), [mx.zeros(shape, mx.complex64)], [mx.array(g)]
    )
    np.testing.assert_array_equal(came, reference.pullback(g, 0.5), strict=True)


@pytest.mark.parametrize("trace", [mx.compile, mx.vmap])
def test_a_variable_is_refused_where_it_would_be_frozen(trace):
    words = "inside a function that MLX compiles, exports or vectorises"
    with pytest.raises(InvalidLambdaError, match=words):
        trace(mx.grad(lambda x: reverse(x, LambdaVariable(0.5)).sum()))(X)


REJECTED = [
    (X, mx.array(True), InvalidLambdaError, "bool"),
    (X, mx.array(1j), InvalidLambdaError, "complex64"),
    (X, object(), InvalidLambdaError, "an mlx.core.array"),
    (X.astype(mx.float16), 1e5, InvalidLambdaError, "too large"),
    ([1.0], 1.0, UnsupportedTypeError, "Expected an mlx.core.array; got a list"),
]


@pytest.mark.parametrize("x, lam, error, words", REJECTED)
def test_what_is_rejected(x, lam, error, words):
    with pytest.raises(error, match=words):
        reverse_gradient(x, lam)


# --- the module -----------------------------------------------------------------------------------


def test_a_compiled_step_follows_a_variable_and_decays_no_lambda():
    lam, traces = LambdaVariable(0.5), []
    model = nn.Sequential(nn.Linear(3, 4), GradientReversal(lam), nn.Linear(4, 1))
    model.unfreeze()
    optimizer = optim.AdamW(0.1, weight_decay=0.5)
    optimizer.init(model.trainable_parameters())
    state = [model.state, optimizer.state]

    def step(x):
        traces.append(x)
        _, gradients = nn.value_and_grad(model, lambda x: model(x).sum())(x)
        optimizer.update(model, gradients)
        return gradients["layers"][0]["bias"]

    compiled = mx.compile(step, inputs=state, outputs=state)
    before = np.array(model.layers[0].bias)
    for lam.value in (0.5, 0.0, 3.0):
        weight = np.array(model.layers[2].weight[0])
        np.testing.assert_allclose(compiled(X[None]), -lam.value * weight, rtol=1e-5)
    assert len(traces) == 1 and lam.value == model.layers[1].lam.item() == 3.0
    assert (np.array(model.layers[0].bias) != before).all()


def test_the_module():
    assert_only_a_lambda_is_accepted(GradientReversal, mx.array)


# --- what MLX does --------------------------------------------------------------------------------


def test_export(tmp_path):
    """A custom function is refused; stop_gradient is lost, and with it every reversal of plain code."""

    def imported(function):
        file = str(tmp_path / "reversal.mlxfn")
        mx.export_function(file, function, X)
        return lambda x: mx.import_function(file)(x)[0]

    def reversal(x):
        return reverse_gradient(x, 3.0)

    def residual(x):
        return residual_form(x, mx.array(-3.0), mx.stop_gradient, mx)

    with pytest.raises(ValueError, match="Unable to serialize primitive CustomTransforms"):
        imported(reversal)
    assert slope(residual) == [-3.0] * 3
    for function in (residual, lambda x: 2 * mx.stop_gradient(x) - x, mx.stop_gradient):
        assert slope(imported(function)) == [1.0] * 3
    assert imported(mx.grad(lambda x: reversal(x).sum()))(X).tolist() == [-3.0] * 3


def test_a_program_for_any_shape_is_refused():
    with pytest.raises(ValueError, match="CustomTransforms cannot infer output shapes"):
        mx.compile(lambda x: reverse_gradient(x, 3.0), shapeless=True)(X)
