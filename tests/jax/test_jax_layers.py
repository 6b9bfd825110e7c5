"""The layers for Equinox, Flax Linen and Flax NNX: λ is state, changes, and is not trained."""

import copy
import io
import operator
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

eqx = pytest.importorskip("equinox")
pytest.importorskip("flax")
from flax import linen, nnx, serialization
from flax.errors import ScopeCollectionNotFound, SetAttributeFrozenModuleError

import revgrad
from revgrad.testing import CHECKS
from revgrad_jax.equinox import GradientReversal as EquinoxReversal
from revgrad_jax.linen import GradientReversal as LinenReversal
from revgrad_jax.nnx import GradientReversal as NnxReversal
from revgrad_jax.nnx import Lambda
from revgrad_jax.testing import JaxHarness

X, KEY = jnp.ones((4, 2)), jax.random.PRNGKey(0)
leaves = jax.tree_util.tree_leaves


def test_equinox():
    def make():
        first, last = jax.random.split(KEY, 2)
        ends = eqx.nn.Linear(2, 3, key=first), eqx.nn.Linear(3, 1, key=last)
        return eqx.nn.Sequential([ends[0], EquinoxReversal(0.5), ends[1]])

    model, state = eqx.nn.make_with_state(make)()
    traces = []

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(model, state, x):
        traces.append(x)
        return jnp.sum(jax.vmap(model, in_axes=(0, None), out_axes=(0, None))(x, state)[0] ** 2)

    at_half = gradient(model, state, X).layers
    at_two = gradient(model, model.layers[1].set_lam(state, 2.0), X).layers
    assert len(traces) == 1
    np.testing.assert_allclose(at_two[0].weight, 4 * at_half[0].weight, rtol=1e-5)
    np.testing.assert_allclose(at_two[2].weight, at_half[2].weight, rtol=1e-5)
    # λ is not a leaf that a gradient or a weight decay reaches.
    assert len(leaves(eqx.filter(model, eqx.is_inexact_array))) == 4


def test_linen():
    model = linen.Sequential([linen.Dense(3), LinenReversal(0.5), linen.Dense(1)])
    variables = model.init(KEY, X)
    assert set(variables) == {"params", "revgrad"}
    (lam,) = leaves(variables["revgrad"])
    assert lam == 0.5 and lam.dtype == "float32" and lam.shape == ()

    @jax.jit
    @jax.grad
    def gradient(params, state, x):
        return jnp.sum(model.apply({"params": params, "revgrad": state}, x) ** 2)

    at_half = gradient(variables["params"], variables["revgrad"], X)
    state = jax.tree_util.tree_map(lambda _: jnp.float32(2.0), variables["revgrad"])
    at_two = gradient(variables["params"], state, X)
    first, last = sorted(at_half)
    np.testing.assert_allclose(at_two[first]["kernel"], 4 * at_half[first]["kernel"], rtol=1e-5)
    np.testing.assert_allclose(at_two[last]["kernel"], at_half[last]["kernel"], rtol=1e-5)
    assert gradient._cache_size() == 1
    with pytest.raises(ScopeCollectionNotFound, match="revgrad"):
        model.apply({"params": variables["params"]}, X)


def test_nnx():
    rngs, reversal = nnx.Rngs(0), NnxReversal(0.5)
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
    ratios = [np.ravel(b / a)[0] for a, b in zip(leaves(at_half), leaves(at_two))]
    np.testing.assert_allclose(sorted(ratios), [1, 1, 4, 4], rtol=1e-5)
    # Saved with the model, and not a parameter.
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    assert leaves(rest) == [2.0] and len(leaves(nnx.state(model, Lambda))) == 1


# --- C22: what the libraries do with layers, and how users set λ ----------------------------------


class LayerHarness(JaxHarness):
    """Puts the layer of one library to the checks on layers.

    `made` returns the function of a new layer by the name of what was done to it; `set` returns
    functions that make the function of a layer whose λ was set to its second argument.
    """

    def layers(self, lam, shape, dtype):
        return {how: pulled_back(fn) for how, fn in self.made(float(lam)).items()}

    def assigned(self, first, second, shape, dtype):
        makers = self.set(first, second).items()
        return {how: lambda x, g, make=make: pulled_back(make())(x, g) for how, make in makers}


def pulled_back(fn):
    def run(x, g):
        y, pullback = jax.vjp(fn, jnp.asarray(x))
        return y, pullback(jnp.asarray(g))[0]

    return run


class NnxHarness(LayerHarness):
    def made(self, lam):
        layer, updated = NnxReversal(lam), NnxReversal(lam + 1)
        nnx.update(updated, nnx.state(layer))
        abstract = nnx.eval_shape(lambda: NnxReversal(lam + 1))
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
        def by(change):
            def make():
                layer = NnxReversal(first)
                change(layer)
                return layer

            return make

        def update(layer):
            state = nnx.to_pure_dict(nnx.state(layer))
            nnx.update(layer, {**state, "lam": jnp.float32(second)})

        return {
            "attribute": by(lambda layer: setattr(layer, "lam", second)),
            "attribute, an array": by(lambda layer: setattr(layer, "lam", jnp.asarray(second))),
            "item": by(lambda layer: operator.setitem(layer.lam, ..., second)),
            "value": by(lambda layer: setattr(layer.lam, "value", second)),
            "set_value": by(lambda layer: layer.lam.set_value(second)),
            "state": by(update),
            "made": lambda: NnxReversal(second),
        }


class LinenHarness(LayerHarness):
    def made(self, lam):
        layer = LinenReversal(lam)
        variables, other = layer.init(KEY, X), LinenReversal(lam + 1).init(KEY, X)
        read = serialization.from_bytes(other, serialization.to_bytes(variables))
        model = linen.Sequential([layer, linen.remat(LinenReversal)(0.0)])
        assert len(leaves(jax.eval_shape(model.init, KEY, X))) == 2

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
            "remat": applied(linen.remat(LinenReversal)(lam)),
            "init again": applied(layer, layer.lazy_init(KEY, X)),
        }

    def set(self, first, second):
        layer = LinenReversal(first)

        def variables(lam):
            return lambda: lambda x: layer.apply({"revgrad": {"lam": lam}}, x)

        def cloned():
            changed = layer.clone(lam=second)
            return lambda x: changed.apply(changed.init(KEY, x), x)

        return {
            "variables": variables(jnp.float32(second)),
            "variables, a number": variables(second),
            "clone": cloned,
        }


class EquinoxHarness(LayerHarness):
    def made(self, lam):
        make = eqx.nn.make_with_state(EquinoxReversal)
        layer, state = make(lam)
        file = io.BytesIO()
        eqx.tree_serialise_leaves(file, state)
        file.seek(0)
        read = eqx.tree_deserialise_leaves(file, make(lam + 1)[1])

        def applied(layer, state=state):
            return lambda x: layer(x, state)[0]

        return {
            "made": applied(layer),
            "deepcopy": applied(*copy.deepcopy((layer, state))),
            "save and load": applied(layer, read),
            "partition and combine": applied(eqx.combine(*eqx.partition(layer, eqx.is_array))),
            "inference mode": applied(eqx.nn.inference_mode(layer)),
            "jit": applied(eqx.filter_jit(layer)),
            "substate": applied(eqx.nn.Sequential([layer])),
        }

    def set(self, first, second):
        def by(change):
            def make():
                layer, state = eqx.nn.make_with_state(EquinoxReversal)(first)
                changed = change(layer, state)
                return lambda x: layer(x, changed)[0]

            return make

        return {
            "set_lam": by(lambda layer, state: layer.set_lam(state, second)),
            "the state": by(lambda layer, state: state.set(layer.lam, jnp.float32(second))),
        }


@pytest.mark.parametrize("library", [NnxHarness, LinenHarness, EquinoxHarness])
@pytest.mark.parametrize("check", ["layers_keep_lambda", "assigned_lambda"])
def test_the_checks_on_layers(library, check):
    CHECKS[check](library())


@pytest.mark.parametrize("layer", [NnxReversal, LinenReversal, EquinoxReversal])
@pytest.mark.parametrize(
    "lam, words",
    [
        (-1.0, "The gradient is multiplied by -λ already"),
        (1e39, "is too large a λ or factor for x of dtype float32"),
        (revgrad.LambdaVariable(0.5), r"LambdaVariable\(0.5\) was given as λ of a layer.* lam.val"),
    ],
)
def test_a_bad_lam_is_rejected(layer, lam, words):
    with pytest.raises(revgrad.InvalidLambdaError, match=words):
        layer(lam)


def test_a_layer_that_nnx_sets_within_a_compiled_function():
    layer = NnxReversal(0.5)

    @nnx.jit
    def set_lam(layer, lam):
        layer.lam = lam * 2

    set_lam(layer, 0.4)
    assert isinstance(layer.lam, Lambda) and layer.lam[...].dtype == "float32"
    np.testing.assert_array_equal(jax.grad(layer)(1.0), np.float32(-0.8))


def test_a_parameter_is_rejected_as_lam_of_nnx():
    layer = NnxReversal(0.5)
    with pytest.raises(revgrad.InvalidLambdaError, match="asks for a gradient, and it has none"):
        layer.lam = nnx.Param(jnp.float32(0.3))
    assert layer.lam[...] == 0.5


def test_the_attribute_of_a_frozen_layer():
    with pytest.raises(SetAttributeFrozenModuleError):
        LinenReversal(0.5).lam = 0.3
    with pytest.raises(AttributeError):
        eqx.nn.make_with_state(EquinoxReversal)(0.5)[0].lam = 0.3
