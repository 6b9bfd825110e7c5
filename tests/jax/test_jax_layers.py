"""The layers for Equinox, Flax Linen and Flax NNX: λ is state, changes, and is not trained."""

import copy
import importlib
import io
import operator
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import revgrad
from revgrad.testing import CHECKS
from revgrad_jax.testing import JaxHarness

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
    # λ is not a leaf that a gradient or a weight decay reaches.
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
    # Saved with the model, and not a parameter.
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    assert jax.tree_util.tree_leaves(rest) == [2.0]
    assert len(jax.tree_util.tree_leaves(nnx.state(model, Lambda))) == 1


# --- C22: what the libraries do with layers, and how users set λ -----------------------------


class LayerHarness(JaxHarness):
    """Puts the layer of one library to the checks on layers."""

    def made(self, lam):
        """Return the function of a new layer by the name of what was done to it."""
        raise NotImplementedError

    def set(self, first, second):
        """Return functions that make the function of a layer whose λ was set to `second`."""
        raise NotImplementedError

    def layers(self, lam, shape, dtype):
        return {how: pulled_back(fn) for how, fn in self.made(float(lam)).items()}

    def assigned(self, first, second, shape, dtype):
        def run_of(make):
            return lambda x, g: pulled_back(make())(x, g)

        return {how: run_of(make) for how, make in self.set(first, second).items()}


def pulled_back(fn):
    def run(x, g):
        y, pullback = jax.vjp(fn, jnp.asarray(x))
        return y, pullback(jnp.asarray(g))[0]

    return run


class NnxHarness(LayerHarness):
    def made(self, lam):
        from flax import nnx
        from revgrad_jax.nnx import GradientReversal

        layer = GradientReversal(lam)
        updated = GradientReversal(lam + 1)
        nnx.update(updated, nnx.state(layer))
        abstract = nnx.eval_shape(lambda: GradientReversal(lam + 1))
        nnx.update(abstract, nnx.state(layer))
        evaluated = nnx.clone(layer)
        evaluated.eval()
        graph, state = nnx.split(layer)
        compiled = jax.jit(lambda state, x: nnx.merge(graph, state)(x))
        return {
            "made": layer,
            "clone": nnx.clone(layer),
            "deepcopy": copy.deepcopy(layer),
            "split and merged": nnx.merge(*nnx.split(layer)),
            "updated": updated,
            "abstract, then updated": abstract,
            "evaluated": evaluated,
            "jit of the state": lambda x: compiled(state, x),
            "within a model": nnx.Sequential(layer),
        }

    def set(self, first, second):
        from revgrad_jax.nnx import GradientReversal

        def by(change):
            def make():
                layer = GradientReversal(first)
                change(layer)
                return layer

            return make

        return {
            "attribute": by(lambda layer: setattr(layer, "lam", second)),
            "attribute, an array": by(lambda layer: setattr(layer, "lam", jnp.asarray(second))),
            "item": by(lambda layer: operator.setitem(layer.lam, ..., second)),
            "value": by(lambda layer: setattr(layer.lam, "value", second)),
            "set_value": by(lambda layer: layer.lam.set_value(second)),
            "state": by(lambda layer: nnx_update(layer, second)),
            "made": lambda: GradientReversal(second),
        }


def nnx_update(layer, lam):
    from flax import nnx

    state = nnx.to_pure_dict(nnx.state(layer))
    nnx.update(layer, {**state, "lam": jnp.float32(lam)})


class LinenHarness(LayerHarness):
    def made(self, lam):
        from flax import linen, serialization
        from revgrad_jax.linen import GradientReversal

        layer = GradientReversal(lam)
        variables = layer.init(jax.random.PRNGKey(0), X)
        other = GradientReversal(lam + 1).init(jax.random.PRNGKey(0), X)
        read = serialization.from_bytes(other, serialization.to_bytes(variables))
        model = linen.Sequential([layer, linen.remat(GradientReversal)(0.0)])
        shapes = jax.eval_shape(model.init, jax.random.PRNGKey(0), X)
        assert len(jax.tree_util.tree_leaves(shapes)) == 2

        def applied(layer, variables=variables):
            return lambda x: layer.apply(variables, x)

        return {
            "made": applied(layer),
            "clone": applied(layer.clone()),
            "copy": applied(layer.copy()),
            "deepcopy": applied(copy.deepcopy(layer)),
            "pickle": applied(pickle.loads(pickle.dumps(layer))),
            "save and load": applied(layer, read),
            "bound": layer.bind(variables),
            "jit": jax.jit(applied(layer)),
            "remat": applied(linen.remat(GradientReversal)(lam)),
            "init again": applied(layer, layer.lazy_init(jax.random.PRNGKey(0), X)),
        }

    def set(self, first, second):
        from revgrad_jax.linen import GradientReversal

        layer = GradientReversal(first)
        key = jax.random.PRNGKey(0)

        def variables(lam):
            return lambda: lambda x: layer.apply({"revgrad": {"lam": lam}}, x)

        def cloned():
            changed = layer.clone(lam=second)
            return lambda x: changed.apply(changed.init(key, x), x)

        return {
            "variables": variables(jnp.float32(second)),
            "variables, a number": variables(second),
            "clone": cloned,
        }


class EquinoxHarness(LayerHarness):
    def made(self, lam):
        import equinox as eqx
        from revgrad_jax.equinox import GradientReversal

        make = eqx.nn.make_with_state(GradientReversal)
        layer, state = make(lam)
        other = make(lam + 1)[1]
        file = io.BytesIO()
        eqx.tree_serialise_leaves(file, state)
        file.seek(0)
        read = eqx.tree_deserialise_leaves(file, other)
        dynamic, static = eqx.partition(layer, eqx.is_array)

        def applied(layer, state=state):
            return lambda x: layer(x, state)[0]

        return {
            "made": applied(layer),
            "deepcopy": applied(*copy.deepcopy((layer, state))),
            "save and load": applied(layer, read),
            "partition and combine": applied(eqx.combine(dynamic, static)),
            "inference mode": applied(eqx.nn.inference_mode(layer)),
            "jit": lambda x: eqx.filter_jit(lambda layer, x, state: layer(x, state)[0])(
                layer, x, state
            ),
            "substate": lambda x: eqx.nn.Sequential([layer])(x, state)[0],
        }

    def set(self, first, second):
        import equinox as eqx
        from revgrad_jax.equinox import GradientReversal

        def set_lam():
            layer, state = eqx.nn.make_with_state(GradientReversal)(first)
            state = layer.set_lam(state, second)
            return lambda x: layer(x, state)[0]

        def set_state():
            layer, state = eqx.nn.make_with_state(GradientReversal)(first)
            state = state.set(layer.lam, jnp.float32(second))
            return lambda x: layer(x, state)[0]

        return {"set_lam": set_lam, "the state": set_state}


HARNESSES = {"nnx": NnxHarness, "linen": LinenHarness, "equinox": EquinoxHarness}


@pytest.fixture(params=HARNESSES)
def library(request):
    pytest.importorskip({"equinox": "equinox"}.get(request.param, "flax"))
    return request.param


@pytest.mark.parametrize("check", ["layers_keep_lambda", "assigned_lambda"])
def test_the_checks_on_layers(library, check):
    CHECKS[check](HARNESSES[library]())


def test_a_bad_lam_is_rejected(library):
    layers = importlib.import_module(f"revgrad_jax.{library}")
    for lam, words in (
        (-1.0, "The gradient is multiplied by -λ already"),
        (1e39, "is too large a λ or factor for x of dtype float32"),
        (
            revgrad.LambdaVariable(0.5),
            r"LambdaVariable\(0.5\) was given as λ of a layer.* lam.value",
        ),
    ):
        with pytest.raises(revgrad.InvalidLambdaError, match=words):
            layers.GradientReversal(lam)


def test_a_layer_that_nnx_sets_within_a_compiled_function():
    nnx = pytest.importorskip("flax.nnx")
    from revgrad_jax.nnx import GradientReversal, Lambda

    layer = GradientReversal(0.5)

    @nnx.jit
    def set_lam(layer, lam):
        layer.lam = lam * 2

    set_lam(layer, 0.4)
    assert isinstance(layer.lam, Lambda) and layer.lam[...].dtype == "float32"
    np.testing.assert_array_equal(jax.grad(layer)(1.0), np.float32(-0.8))


def test_a_parameter_is_rejected_as_lam_of_nnx():
    nnx = pytest.importorskip("flax.nnx")
    from revgrad_jax.nnx import GradientReversal

    layer = GradientReversal(0.5)
    with pytest.raises(revgrad.InvalidLambdaError, match="asks for a gradient, and it has none"):
        layer.lam = nnx.Param(jnp.float32(0.3))
    assert layer.lam[...] == 0.5


def test_the_attribute_of_a_frozen_layer():
    linen, equinox = pytest.importorskip("flax.linen"), pytest.importorskip("equinox")
    from flax.errors import SetAttributeFrozenModuleError
    from revgrad_jax.equinox import GradientReversal as EquinoxReversal
    from revgrad_jax.linen import GradientReversal as LinenReversal

    with pytest.raises(SetAttributeFrozenModuleError):
        LinenReversal(0.5).lam = 0.3
    with pytest.raises(AttributeError):
        equinox.nn.make_with_state(EquinoxReversal)(0.5)[0].lam = 0.3
    assert issubclass(LinenReversal, linen.Module)


def test_linen_without_its_variables_is_an_error():
    linen = pytest.importorskip("flax.linen")
    from flax.errors import ScopeCollectionNotFound
    from revgrad_jax.linen import GradientReversal

    model = linen.Sequential([linen.Dense(3), GradientReversal(0.5)])
    variables = model.init(jax.random.PRNGKey(0), X)
    with pytest.raises(ScopeCollectionNotFound, match="revgrad"):
        model.apply({"params": variables["params"]}, X)
