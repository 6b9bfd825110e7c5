"""The functions and the module under the transforms of MLX, and what MLX itself does wrong."""

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
import pytest

import revgrad
from revgrad import reference
from revgrad.backend import residual_form
from revgrad_mlx import GradientReversal, reverse_gradient, scale_gradient

X = mx.array([0.5, -1.0, 2.0])


def plain(x):
    return mx.tanh(x).sum()


def reversed_(x, lam=0.5):
    return plain(revgrad.reverse(x, lam))


@pytest.mark.parametrize(
    "gradient",
    [
        mx.grad(reversed_),
        lambda x: mx.value_and_grad(reversed_)(x)[1],
        mx.compile(mx.grad(reversed_)),
        mx.grad(mx.compile(reversed_)),
        mx.grad(mx.checkpoint(reversed_)),
        lambda x: mx.vjp(reversed_, [x], [mx.array(1.0)])[1][0],
        lambda x: mx.stack([mx.jvp(reversed_, [x], [t])[1][0] for t in mx.eye(3)]),
        mx.vmap(mx.grad(lambda x: reversed_(x[None]))),
        mx.grad(lambda x: mx.vmap(lambda x: reversed_(x[None]))(x).sum()),
        mx.grad(lambda x: mx.vmap(mx.vmap(lambda x: reversed_(x[None])))(x[None]).sum()),
    ],
)
def test_transforms(gradient):
    np.testing.assert_allclose(gradient(X), -0.5 * mx.grad(plain)(X), rtol=1e-6)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(
    "lam", [mx.array([1.0, 5.0]), mx.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])]
)
def test_a_batch_of_lambdas(axis, lam):
    expected = -mx.broadcast_to(lam if lam.ndim > 1 else lam[:, None], (2, 3))
    x = mx.ones((2, 3)) if axis == 0 else mx.ones((3, 2))

    def cost(x):
        return mx.vmap(reverse_gradient, in_axes=(axis, 0))(x, lam).sum()

    np.testing.assert_array_equal(mx.grad(cost)(x), expected if axis == 0 else expected.T)
    shared = mx.grad(lambda x: mx.vmap(lambda lam: reverse_gradient(x, lam))(lam).sum())(mx.ones(3))
    np.testing.assert_array_equal(shared, expected.sum(0))


def test_complex_numbers():
    x = mx.array(np.array([1 + 2j, -3j], "complex64"))
    g = np.array([np.inf + 0j, 1 - 1j], "complex64")
    for shape in ((2,), (2, 1)):
        values, (came,) = mx.vjp(
            lambda x: reverse_gradient(x, 0.5), [x.reshape(shape)], [mx.array(g).reshape(shape)]
        )
        np.testing.assert_array_equal(np.array(came).ravel(), reference.pullback(g, 0.5))
    (came,) = mx.vjp(lambda x: reverse_gradient(x, 0.5), [x[0]], [mx.array(g)[1]])[1]
    assert came.item() == -0.5 + 0.5j and came.shape == ()


def test_a_variable():
    lam = revgrad.LambdaVariable(0.5)
    gradient = mx.grad(lambda x: revgrad.reverse(x, lam).sum())
    assert gradient(X).tolist() == [-0.5] * 3
    lam.value = 2.0
    assert gradient(X).tolist() == [-2.0] * 3
    words = "inside a function that MLX compiles, exports or vectorises"
    for traced in (mx.compile(gradient), mx.vmap(mx.grad(lambda x: revgrad.reverse(x, lam)))):
        with pytest.raises(revgrad.InvalidLambdaError, match=words):
            traced(X)


@pytest.mark.parametrize(
    "x, lam, error, words",
    [
        (X, mx.array(True), revgrad.InvalidLambdaError, "bool"),
        (X, mx.array(1j), revgrad.InvalidLambdaError, "complex64"),
        (X, object(), revgrad.InvalidLambdaError, "an mlx.core.array"),
        (X.astype(mx.float16), 1e5, revgrad.InvalidLambdaError, "too large"),
        ([1.0], 1.0, revgrad.UnsupportedTypeError, "Expected an mlx.core.array; got a list"),
    ],
)
def test_what_is_rejected(x, lam, error, words):
    with pytest.raises(error, match=words):
        reverse_gradient(x, lam)


def test_a_factor_that_selects():
    factor = mx.where(mx.array([True, False, True]), -0.5, 1.0)
    for scale in (revgrad.scale_gradient, scale_gradient):
        assert mx.grad(lambda x: scale(x, factor).sum())(X).tolist() == [-0.5, 1.0, -0.5]


# --- the module -----------------------------------------------------------------------------------


def model_with(lam):
    mx.random.seed(0)
    return nn.Sequential(nn.Linear(3, 4), GradientReversal(lam), nn.Linear(4, 1))


def test_a_compiled_step_follows_a_variable_and_decays_no_lambda():
    lam = revgrad.LambdaVariable(0.5)
    model = model_with(lam)
    model.unfreeze()
    optimizer = optim.AdamW(0.1, weight_decay=0.5)
    optimizer.init(model.trainable_parameters())
    state, traces = [model.state, optimizer.state], []
    before = model.layers[0].bias

    def step(x):
        traces.append(x)
        cost = nn.value_and_grad(model, lambda x: model(x).sum())
        _, gradients = cost(x)
        optimizer.update(model, gradients)
        return gradients["layers"][0]["bias"], model.layers[2].weight

    compiled = mx.compile(step, inputs=state, outputs=state)
    weight = model.layers[2].weight
    for value in (0.5, 0.0, 3.0):
        lam.value = value
        gradient, after = compiled(X[None])
        np.testing.assert_allclose(gradient, -value * weight[0], rtol=1e-5)
        weight = after
    assert len(traces) == 1 and lam.value == model.layers[1].lam.item() == 3.0
    assert (model.layers[0].bias != before).all()


def test_the_module():
    module = GradientReversal(0.5)
    assert repr(module) == "GradientReversal(lam=0.5)"
    assert module.parameters().keys() == {"lam"} and not module.trainable_parameters()
    for wrong in (-1, mx.array(-1.0), mx.array([1.0]), "0.3", None, 1e39):
        with pytest.raises(revgrad.InvalidLambdaError):
            module.lam = wrong
        with pytest.raises(revgrad.InvalidLambdaError):
            GradientReversal(wrong)
    for load in (module.update, lambda tree: module.load_weights(list(tree.items()))):
        with pytest.raises(revgrad.InvalidLambdaError):
            load({"lam": mx.array(-1.0)})
    assert module.lam.item() == 0.5


# --- what MLX does --------------------------------------------------------------------------------


def test_export(tmp_path):
    """A custom function is refused; stop_gradient is lost, and with it every reversal of plain code."""
    file = str(tmp_path / "reversal.mlxfn")
    with pytest.raises(ValueError, match="Unable to serialize primitive CustomTransforms"):
        mx.export_function(file, lambda x: reverse_gradient(x, 3.0), X)

    def imported(function):
        mx.export_function(file, function, X)
        return mx.import_function(file)

    def residual(x):
        return residual_form(x, mx.array(-3.0), mx.stop_gradient, mx)

    assert mx.grad(lambda x: residual(x).sum())(X).tolist() == [-3.0] * 3
    wrong = {"residual": residual, "plain": lambda x: 2 * mx.stop_gradient(x) - x}
    for function in (*wrong.values(), mx.stop_gradient):
        loaded = imported(function)
        assert mx.grad(lambda x, loaded=loaded: loaded(x)[0].sum())(X).tolist() == [1.0] * 3
    loaded = imported(mx.grad(lambda x: reverse_gradient(x, 3.0).sum()))
    assert loaded(X)[0].tolist() == [-3.0] * 3


def test_a_program_for_any_shape_is_refused():
    with pytest.raises(ValueError, match="CustomTransforms cannot infer output shapes"):
        mx.compile(lambda x: reverse_gradient(x, 3.0), shapeless=True)(X)


def test_double_precision():
    x = mx.array(1.0, mx.float64)
    assert abs(mx.cos(x).item() - np.cos(1.0)) > 1e-9  # single precision in MLX 0.32
