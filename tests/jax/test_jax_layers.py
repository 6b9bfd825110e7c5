"""The layers for Equinox, Flax Linen and Flax NNX: λ is state, changes, and is not trained."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import revgrad

X = jnp.ones((4, 2))


def test_equinox():
    eqx = pytest.importorskip("equinox")
    from revgrad_jax.equinox import GradientReversal

    keys = jax.random.split(jax.random.PRNGKey(0), 2)

    def make():
        return eqx.nn.Sequential(
            [
                eqx.nn.Linear(2, 3, key=keys[0]),
                GradientReversal(0.5),
                eqx.nn.Linear(3, 1, key=keys[1]),
            ]
        )

    model, state = eqx.nn.make_with_state(make)()
    traces = []

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(model, state, x):
        traces.append(x)
        return jnp.sum(jax.vmap(model, in_axes=(0, None), out_axes=(0, None))(x, state)[0] ** 2)

    at_half = gradient(model, state, X)
    reversal = model.layers[1]
    at_two = gradient(model, reversal.set_lam(state, 2.0), X)
    assert len(traces) == 1
    np.testing.assert_allclose(at_two.layers[0].weight, 4 * at_half.layers[0].weight, rtol=1e-5)
    np.testing.assert_allclose(at_two.layers[2].weight, at_half.layers[2].weight, rtol=1e-5)
    # λ is no leaf that a gradient or a weight decay reaches.
    leaves = jax.tree_util.tree_leaves(eqx.filter(model, eqx.is_inexact_array))
    assert len(leaves) == 4


def test_linen():
    nn = pytest.importorskip("flax.linen")
    from revgrad_jax.linen import GradientReversal

    model = nn.Sequential([nn.Dense(3), GradientReversal(0.5), nn.Dense(1)])
    variables = model.init(jax.random.PRNGKey(0), X)
    assert set(variables) == {"params", "revgrad"}
    (lam,) = jax.tree_util.tree_leaves(variables["revgrad"])
    assert lam == 0.5 and lam.dtype == "float32" and lam.shape == ()

    @jax.jit
    def gradient(params, state, x):
        return jax.grad(lambda p: jnp.sum(model.apply({"params": p, "revgrad": state}, x) ** 2))(
            params
        )

    at_half = gradient(variables["params"], variables["revgrad"], X)
    state = jax.tree_util.tree_map(lambda _: jnp.float32(2.0), variables["revgrad"])
    at_two = gradient(variables["params"], state, X)
    first, last = sorted(at_half)
    np.testing.assert_allclose(at_two[first]["kernel"], 4 * at_half[first]["kernel"], rtol=1e-5)
    np.testing.assert_allclose(at_two[last]["kernel"], at_half[last]["kernel"], rtol=1e-5)
    assert gradient._cache_size() == 1


def test_nnx():
    nnx = pytest.importorskip("flax.nnx")
    from revgrad_jax.nnx import GradientReversal, Lambda

    rngs = nnx.Rngs(0)
    reversal = GradientReversal(0.5)
    model = nnx.Sequential(nnx.Linear(2, 3, rngs=rngs), reversal, nnx.Linear(3, 1, rngs=rngs))
    traces = []

    @nnx.jit
    def gradient(model, x):
        traces.append(x)
        return nnx.grad(lambda model: jnp.sum(model(x) ** 2))(model)

    at_half = gradient(model, X)
    reversal.lam[...] = 2.0
    at_two = gradient(model, X)
    assert len(traces) == 1
    kernels = [jax.tree_util.tree_leaves(each) for each in (at_half, at_two)]
    ratios = [np.ravel(b / a)[0] for a, b in zip(*kernels)]
    np.testing.assert_allclose(sorted(ratios), [1, 1, 4, 4], rtol=1e-5)
    # Saved with the model, and no parameter.
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    assert jax.tree_util.tree_leaves(rest) == [2.0]
    assert len(jax.tree_util.tree_leaves(nnx.state(model, Lambda))) == 1


@pytest.mark.parametrize("library", ["equinox", "nnx", "linen"])
def test_a_bad_lam_is_refused(library):
    pytest.importorskip({"equinox": "equinox"}.get(library, "flax"))
    layers = pytest.importorskip(f"revgrad_jax.{library}")
    with pytest.raises(revgrad.InvalidLambdaError, match="The gradient is multiplied by -λ already"):
        layer = layers.GradientReversal(-1.0)
        layer.init(jax.random.PRNGKey(0), X)
