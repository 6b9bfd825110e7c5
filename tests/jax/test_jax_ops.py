"""`reverse` under every transformation of JAX, on pytrees, with every λ."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.examples import assert_public
from jax.tree_util import tree_map, tree_structure

import revgrad
import revgrad_jax
from revgrad import reference
from revgrad.schedules import Dann, InverseDecay, progress
from revgrad_jax import scale_gradient

X = jnp.asarray([0.5, -1.0, 2.0])


def half(x):
    return revgrad.reverse(x, 0.5)


def loss(x, lam):
    return jnp.sum(revgrad.reverse(jnp.tanh(x), lam) ** 2)


def by_scan(x, lam):
    return jax.lax.scan(lambda total, x: (total + loss(x, lam), None), 0.0, x)[0]


def by_while(x, lam):
    step = lambda state: (state[0] + 1, state[1] + loss(x[state[0]], lam))
    return jax.lax.while_loop(lambda state: state[0] < 3, step, (0, 0.0))[1]


def by_cond(x, lam):
    return jax.lax.cond(x.sum() > 0, loss, lambda x, lam: 0.0, x, lam)


PLAIN = jax.grad(lambda x: jnp.sum(jnp.tanh(x) ** 2))(X)


def test_public_names():
    assert_public(revgrad_jax)


@pytest.mark.parametrize(
    "gradient",
    [
        jax.grad(jax.remat(jax.jit(loss))),
        jax.jacrev(loss),
        jax.jacfwd(loss),
        jax.grad(by_scan),
        jax.jacfwd(by_while),
        jax.grad(by_cond),
        lambda x, lam: jax.linear_transpose(jax.linearize(lambda x: loss(x, lam), x)[1], x)(1.0)[0],
        lambda x, lam: jax.jit(lambda f, g: f(g)[0])(jax.vjp(lambda x: loss(x, lam), x)[1], 1.0),
        lambda x, lam: jax.jit(jax.grad(loss)).lower(x, lam).compile()(x, lam),
        lambda x, lam: jax.jit(jax.grad(loss), donate_argnums=0)(jnp.array(x), lam),
        lambda x, lam: jax.vmap(jax.grad(loss))(x, jnp.full(3, lam)),
    ],
)
def test_transformations(gradient):
    np.testing.assert_allclose(gradient(X, 0.3), -0.3 * PLAIN, rtol=1e-6)


@pytest.mark.parametrize("outer", [jax.jacrev, jax.jacfwd])
@pytest.mark.parametrize("inner", [jax.grad, jax.jacfwd])
def test_hessians(outer, inner):
    found = outer(inner(lambda x: jnp.sum(jnp.sin(revgrad.reverse(x, 0.3)))))(X)
    np.testing.assert_allclose(found, np.diag(-(0.3**2) * np.sin(X)), atol=1e-6)


@pytest.mark.skipif(jax.__version_info__ < (0, 6), reason="the how-to says what happens there")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("transform", [lambda f: f, jax.jit, jax.grad])
def test_taylor_mode_raises_rather_than_pushing_plus_t(transform):
    """jet ignores the rules of custom functions."""
    jet = pytest.importorskip("jax.experimental.jet").jet
    with pytest.raises((NotImplementedError, TypeError, ValueError)):
        jet(transform(lambda x: half(x) ** 3), (1.0,), ([1.0, 0.0],))
    plain = jet(transform(lambda x: x**3), (1.0,), ([1.0, 0.0],))
    assert np.isfinite(plain[0])  # the mode itself works


def test_a_schedule_of_a_traced_step():
    ramp = Dann(gamma=10)
    slope = lambda step: jax.grad(loss)(X, ramp(progress(step, 10)))
    found = jax.jit(lambda steps: jax.lax.map(slope, steps))(jnp.arange(12))
    expected = [-ramp(min(step / 10, 1)) * PLAIN for step in range(12)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("call", [revgrad.reverse, scale_gradient])
@pytest.mark.parametrize("transform", [jax.jit, jax.grad, jax.vmap])
def test_a_variable_is_rejected_inside_a_trace(transform, call):
    lam = revgrad.LambdaVariable(0.5)
    words = r"LambdaVariable\(0.5\) was .* Pass lam.value as an argument of the traced function"
    with pytest.raises(revgrad.InvalidLambdaError, match=words):
        transform(lambda x: call(x, lam).sum())(X)


def test_pytrees():
    tree = {"a": X, "b": (X * 2, [jnp.float16(1.0)])}
    reverse = lambda tree: revgrad.reverse(tree, 0.5, backend="jax")
    y, pullback = jax.vjp(jax.jit(reverse), tree)
    (gradients,) = pullback(y)
    assert tree_structure(y) == tree_structure(gradients) == tree_structure(tree)
    tree_map(np.testing.assert_array_equal, gradients, tree_map(lambda x: -0.5 * x, tree))
    assert gradients["b"][1][0].dtype == "float16"
    assert reverse(tree)["b"][0] is tree["b"][0]
    scaled = jax.grad(lambda xs: sum(x.sum() for x in scale_gradient(xs, 0.1)))([X, X])
    np.testing.assert_allclose(scaled, np.full((2, 3), 0.1), rtol=1e-6)


@pytest.mark.parametrize(
    "leaf, lam, words",
    [
        (jnp.asarray([1, 2]), 0.5, "of dtype int32, which carries no gradient. Cast it"),
        ("text", 0.5, "Expected a JAX array; got a str"),
        (X, np.ones(2), r"λ of shape \(2,\)"),
    ],
)
def test_the_leaf_of_an_error_is_named(leaf, lam, words):
    tree = {"a": jnp.ones((3, 2)), "b": (jnp.ones(2), leaf)}
    error = revgrad.InvalidLambdaError if leaf is X else revgrad.UnsupportedTypeError
    with pytest.raises(error, match=rf"At the leaf x\['b'\]\[1\]: .*{words}"):
        revgrad.reverse(tree, lam, backend="jax")


@pytest.mark.parametrize(
    "lam, dtype, words",
    [
        (jnp.float32(-1), "float32", r"got -1.0 \(float\). The gradient is multiplied by -λ"),
        (jnp.asarray(-1), "float32", r"got -1 \(int\)"),
        (jnp.bfloat16(-1), "float32", r"got -1.0 \(float\)"),
        (jnp.asarray(True), "float32", "got a value of dtype bool. Cast it to a float dtype"),
        (jnp.asarray(1j), "float32", "got a value of dtype complex64"),
        (jnp.float32(1e5), "float16", "100000.0 is too large a λ or factor for x of dtype float16"),
    ],
)
def test_a_concrete_array_is_validated(lam, dtype, words):
    """C8: it is in the memory of the host, in a trace too, where it is a constant."""
    reverse = lambda x: revgrad.reverse(x, lam)
    for call in (reverse, jax.jit(reverse), jax.grad(lambda x: reverse(x).sum())):
        with pytest.raises(revgrad.InvalidLambdaError, match=words):
            call(jnp.ones(3, dtype))


def test_a_traced_lam_is_not_validated():
    assert jax.jit(jax.grad(lambda x, lam: revgrad.reverse(x, lam)))(1.0, -2.0) == 2.0


@pytest.mark.parametrize("weak", [True, False])
def test_weak_types_are_kept(weak):
    x = jnp.asarray(2.0) if weak else jnp.asarray(2.0, "float32")
    traced, _ = jax.vjp(lambda x: revgrad.reverse(x, jnp.float32(0.5)), x)
    kept = [each.weak_type for each in (x, half(x), traced, jax.jit(half)(x))]
    assert kept == [weak] * 4
    assert jax.jit(jax.grad(half))(x) == -0.5


def test_complex_numbers():
    x, g = jnp.asarray([1 + 2j, -3j]), jnp.asarray([np.inf + 0j, 1 - 1j])
    y, pullback = jax.vjp(half, x)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(pullback(g)[0], reference.pullback(np.asarray(g), 0.5))


def test_what_is_not_traced_is_returned_itself():
    for lam in (0.5, jnp.float32(0.5), np.ones(3), revgrad.LambdaVariable(1.0)):
        assert revgrad.reverse(X, lam) is scale_gradient(X, lam) is X


@pytest.mark.skipif(jax.__version_info__ < (0, 6), reason="the how-to says what happens there")
def test_linear_transpose_raises():
    """The reversal is a linear function of x, and its transpose would be +1 for JAX."""
    with pytest.raises(NotImplementedError, match="not implemented"):
        jax.linear_transpose(half, X)(X)


def test_the_learning_rate_of_the_papers_in_optax():
    optax = pytest.importorskip("optax")
    rule = InverseDecay()
    optimizer = optax.sgd(lambda step: rule(progress(step, 100)))
    state = optimizer.init(X)
    for step in range(3):
        updates, state = jax.jit(optimizer.update)(X, state)
        np.testing.assert_allclose(updates, -rule(step / 100) * X, rtol=1e-6)
