"""`reverse` under every transformation of JAX, on pytrees, with every λ."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import revgrad
from revgrad import reference
from revgrad.schedules import Dann, progress
from revgrad_jax import scale_gradient

X = jnp.asarray([0.5, -1.0, 2.0])


def half(x):
    return revgrad.reverse(x, 0.5)


def loss(x, lam):
    return jnp.sum(revgrad.reverse(jnp.tanh(x), lam) ** 2)


PLAIN = jax.grad(lambda x: jnp.sum(jnp.tanh(x) ** 2))(X)


@pytest.mark.parametrize(
    "gradient",
    [
        jax.grad(loss),
        jax.jit(jax.grad(loss)),
        jax.grad(jax.jit(loss)),
        jax.grad(jax.checkpoint(loss)),
        jax.grad(jax.remat(jax.jit(loss))),
        jax.jacrev(loss),
        jax.jacfwd(loss),
        lambda x, lam: jax.vjp(loss, x, lam)[1](1.0)[0],
        lambda x, lam: jax.linear_transpose(jax.linearize(lambda x: loss(x, lam), x)[1], x)(1.0)[0],
        lambda x, lam: jax.jit(lambda f, g: f(g)[0])(jax.vjp(lambda x: loss(x, lam), x)[1], 1.0),
        lambda x, lam: jax.jit(jax.grad(loss)).lower(x, lam).compile()(x, lam),
        lambda x, lam: jax.jit(jax.grad(loss), donate_argnums=0)(jnp.array(x), lam),
        lambda x, lam: jax.vmap(jax.grad(loss), (0, None))(x[:, None], lam)[:, 0],
        lambda x, lam: jax.vmap(jax.grad(loss), (0, 0))(x[:, None], jnp.full(3, lam))[:, 0],
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
    push = transform(lambda x: half(x) ** 3)
    with pytest.raises((NotImplementedError, TypeError, ValueError)):
        jet(push, (1.0,), ([1.0, 0.0],))
    plain = transform(lambda x: x**3)
    assert np.isfinite(jet(plain, (1.0,), ([1.0, 0.0],))[0])  # the mode itself works


def test_scan():
    def by_scan(xs):
        return jax.lax.scan(lambda state, x: (jnp.tanh(state + half(x)), None), 0.0, xs)[0]

    def by_loop(xs):
        return functools.reduce(lambda state, x: jnp.tanh(state + x), xs, 0.0)

    np.testing.assert_allclose(jax.grad(by_scan)(X), -0.5 * jax.grad(by_loop)(X), rtol=1e-6)


def test_while_loop_and_cond():
    def by_while(x):
        step = lambda state: (state[0] + 1, 2.0 * half(state[1]))
        return jax.lax.while_loop(lambda state: state[0] < 3, step, (0, x))[1]

    def by_cond(x):
        return jax.lax.cond(x.sum() > 0, half, lambda x: x, x).sum()

    np.testing.assert_allclose(jax.jvp(by_while, (X,), (X,))[1], -X, rtol=1e-6)
    np.testing.assert_allclose(jax.grad(by_cond)(X), [-0.5] * 3)


def test_a_schedule_from_the_step_counter_inside_scan():
    ramp, total = Dann(gamma=10), 10

    @jax.jit
    def train(x):
        def step(count, _):
            return count + 1, jax.grad(loss)(x, ramp(progress(count, total)))

        return jax.lax.scan(step, jnp.asarray(0), length=total)[1]

    expected = [-ramp(step / total) * PLAIN for step in range(total)]
    np.testing.assert_allclose(train(X), expected, rtol=1e-5, atol=1e-7)


def test_a_variable_is_rejected_inside_a_trace():
    lam = revgrad.LambdaVariable(0.5)
    for transform in (jax.jit, jax.grad, jax.vmap):
        words = r"LambdaVariable\(0.5\) was .* Pass lam.value as an argument of the traced function"
        with pytest.raises(revgrad.InvalidLambdaError, match=words):
            transform(lambda x: revgrad.reverse(x, lam).sum())(X)


def test_pytrees():
    tree = {"a": X, "b": (X * 2, [jnp.float16(1.0)])}

    def f(tree):
        reversed_ = revgrad.reverse(tree, 0.5, backend="jax")
        assert jax.tree_util.tree_structure(reversed_) == jax.tree_util.tree_structure(tree)
        return sum(leaf.sum().astype("float32") for leaf in jax.tree_util.tree_leaves(reversed_))

    gradients = jax.jit(jax.grad(f))(tree)
    np.testing.assert_array_equal(gradients["a"], [-0.5] * 3)
    assert gradients["b"][1][0].dtype == "float16" and gradients["b"][1][0] == -0.5
    assert revgrad.reverse(tree, 0.5, backend="jax")["b"][0] is tree["b"][0]


@pytest.mark.parametrize(
    "leaf, lam, words",
    [
        (jnp.asarray([1, 2]), 0.5, "of dtype int32, which carries no gradient. Cast it"),
        (jnp.asarray([True]), 0.5, "of dtype bool, which carries no"),
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
    x = jnp.ones(3, dtype)

    def reverse(x):
        return revgrad.reverse(x, lam)

    for call in (reverse, jax.jit(reverse), jax.grad(lambda x: reverse(x).sum())):
        with pytest.raises(revgrad.InvalidLambdaError, match=words):
            call(x)


def test_a_traced_lam_is_not_validated():
    assert jax.jit(jax.grad(lambda x, lam: revgrad.reverse(x, lam)))(1.0, -2.0) == 2.0


@pytest.mark.parametrize("weak", [True, False])
def test_weak_types_are_kept(weak):
    x = jnp.asarray(2.0) if weak else jnp.asarray(2.0, "float32")
    assert x.weak_type is weak
    assert half(x).weak_type is weak
    assert jax.vjp(lambda x: revgrad.reverse(x, jnp.float32(0.5)), x)[0].weak_type is weak
    assert jax.jit(half)(x).weak_type is weak
    assert jax.jit(jax.grad(half))(x) == -0.5
    product = jnp.bfloat16(1) * jax.jit(half)(x)
    assert product.dtype == ("bfloat16" if weak else "float32")


def test_complex_numbers():
    x, g = jnp.asarray([1 + 2j, -3j]), jnp.asarray([np.inf + 0j, 1 - 1j])
    y, pullback = jax.vjp(half, x)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(pullback(g)[0], reference.pullback(np.asarray(g), 0.5))


def test_what_is_not_traced_is_returned_itself():
    for lam in (0.5, jnp.float32(0.5), np.ones(3), revgrad.LambdaVariable(1.0)):
        assert revgrad.reverse(X, lam) is X


@pytest.mark.skipif(jax.__version_info__ < (0, 6), reason="the how-to says what happens there")
def test_linear_transpose_raises():
    """The reversal is a linear function of x, and its transpose would be +1 for JAX."""
    with pytest.raises(NotImplementedError, match="not implemented"):
        jax.linear_transpose(half, X)(X)


def test_a_reversal_of_a_donated_array_raises():
    """It is the very array, so JAX knows that its buffer is gone."""
    x = jnp.array(X)
    y = half(x)
    jax.jit(jnp.tanh, donate_argnums=0)(x)
    with pytest.raises(RuntimeError, match="deleted"):
        y + 1


def test_the_factor_of_a_tree():
    tree = jax.grad(lambda tree: sum(leaf.sum() for leaf in scale_gradient(tree, 0.1)))([X, X])
    np.testing.assert_allclose(tree, np.full((2, 3), 0.1), rtol=1e-6)
    assert scale_gradient(X, -2) is X


def test_an_error_of_a_factor_speaks_of_a_factor():
    with pytest.raises(revgrad.InvalidLambdaError, match="The factor must be a real, finite num"):
        scale_gradient([X], jnp.float32(jnp.nan))
    with pytest.raises(revgrad.InvalidLambdaError, match="which would freeze its value"):
        jax.grad(lambda x: scale_gradient(x, revgrad.LambdaVariable(1.0)))(1.0)


def test_the_learning_rate_of_the_papers_in_optax():
    optax = pytest.importorskip("optax")
    rule = revgrad.schedules.InverseDecay(initial=0.01, alpha=10, beta=0.75)
    optimizer = optax.sgd(lambda step: rule(progress(step, 100)))
    state = optimizer.init(X)
    for step in range(3):
        updates, state = jax.jit(optimizer.update)(X, state)
        np.testing.assert_allclose(updates, -rule(step / 100) * X, rtol=1e-6)
