"""The layers for Equinox, Flax Linen and Flax NNX: λ is state, changes, and is not trained."""

import copy
import io
import operator
import pickle
from functools import partial

import jax
import jax.numpy as jnp
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

X, KEY, ONE = jnp.ones((4, 2)), jax.random.PRNGKey(0), jnp.ones(())
leaves = jax.tree_util.tree_leaves


def test_lam_is_1_unless_it_is_given():
    equinox_layer, state = eqx.nn.make_with_state(EquinoxReversal)()
    linen_layer = LinenReversal()
    assert jax.grad(lambda x: equinox_layer(x, state)[0])(ONE) == -1
    assert jax.grad(lambda x: linen_layer.apply(linen_layer.init(KEY, X), x))(ONE) == -1
    assert jax.grad(NnxReversal())(ONE) == -1


def test_equinox_compiles_once():
    layer, state = eqx.nn.make_with_state(EquinoxReversal)(0.5)
    slope = jax.jit(jax.grad(lambda x, state: layer(x, state)[0]))
    assert slope(ONE, state) == -0.5
    assert slope(ONE, layer.set_lam(state, 2.0)) == -2
    assert slope._cache_size() == 1
    # λ is not a leaf that a gradient or a weight decay reaches.
    assert not leaves(eqx.filter(layer, eqx.is_inexact_array))


def test_linen_compiles_once():
    layer = LinenReversal(0.5)
    variables = layer.init(KEY, X)
    slope = jax.jit(jax.grad(lambda x, variables: layer.apply(variables, x)))
    assert slope(ONE, variables) == -0.5
    assert slope(ONE, {"revgrad": {"lam": jnp.float32(2)}}) == -2
    assert slope._cache_size() == 1
    with pytest.raises(ScopeCollectionNotFound, match="revgrad"):
        layer.apply({"params": {}}, X)
    model = linen.Sequential([layer, linen.remat(LinenReversal)(3.0)])
    assert jax.grad(lambda x: model.apply(jax.jit(model.init)(KEY, X), x))(ONE) == 1.5


def test_nnx_compiles_once():
    layer, traces = NnxReversal(0.5), []

    @nnx.jit
    def slope(layer, x):
        traces.append(x)
        found = jax.grad(layer)(x)
        layer.lam = jnp.float16(2) * layer.lam[...].astype("float16")
        return found

    assert (slope(layer, ONE), slope(layer, ONE)) == (-0.5, -1)
    layer.lam[...] = 0.25
    assert slope(layer, ONE) == -0.25 and len(traces) == 1
    assert isinstance(layer.lam, Lambda) and layer.lam[...].dtype == "float32"
    # Saved with the model, and not a parameter.
    _, params, rest = nnx.split(layer, nnx.Param, ...)
    assert not leaves(params) and leaves(rest) == leaves(nnx.state(layer, Lambda)) == [0.5]


# --- C22: what the libraries do with layers, and how users set λ ----------------------------------


class LayerHarness(JaxHarness):
    """Puts the layer of one library to the checks on layers.

    `made` returns the function of a new layer by the name of what was done to it; `changes` those
    that set the λ of a layer, and `changed` the function of a layer after one of them.
    """

    def layers(self, lam, shape, dtype):
        return {how: partial(pulled_back, fn) for how, fn in self.made(float(lam)).items()}

    def assigned(self, first, second, shape, dtype):
        def run(change, x, g):
            return pulled_back(self.changed(first, change), x, g)

        return {how: partial(run, change) for how, change in self.changes(second).items()}


def pulled_back(fn, x, g):
    y, pullback = jax.vjp(fn, x)
    return y, pullback(g)[0]


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
            "updated": updated,
            "abstract, then updated": abstract,
            "evaluated": evaluated,
            "split and merged in jit": partial(compiled, state),
            "within a model": nnx.Sequential(layer),
        }

    def changes(self, lam):
        return {
            "attribute": lambda layer: setattr(layer, "lam", lam),
            "attribute, an array": lambda layer: setattr(layer, "lam", jnp.asarray(lam)),
            "item": lambda layer: operator.setitem(layer.lam, ..., lam),
            "value": lambda layer: setattr(layer.lam, "value", lam),
            "set_value": lambda layer: layer.lam.set_value(lam),
            "state": lambda layer: nnx.update(layer, {"lam": jnp.float32(lam)}),
        }

    def changed(self, first, change):
        layer = NnxReversal(first)
        change(layer)
        return layer


class LinenHarness(LayerHarness):
    def made(self, lam):
        layer = LinenReversal(lam)
        variables, other = layer.init(KEY, X), LinenReversal(lam + 1).init(KEY, X)
        read = serialization.from_bytes(other, serialization.to_bytes(variables))
        apply = lambda layer, variables=variables: partial(layer.apply, variables)
        return {
            "made": apply(layer),
            "clone": apply(layer.clone()),
            "copy": apply(layer.copy()),
            "deepcopy": apply(copy.deepcopy(layer)),
            "pickle": apply(pickle.loads(pickle.dumps(layer))),
            "save and load": apply(layer, read),
            "bound": layer.bind(variables),
            "jit": jax.jit(apply(layer)),
            "remat": apply(linen.remat(LinenReversal)(lam)),
            "init again": apply(layer, layer.lazy_init(KEY, X)),
        }

    def changes(self, lam):
        return {
            "variables": lambda layer: {"revgrad": {"lam": jnp.float32(lam)}},
            "variables, a number": lambda layer: {"revgrad": {"lam": lam}},
            "clone": lambda layer: layer.clone(lam=lam).init(KEY, X),
        }

    def changed(self, first, change):
        layer = LinenReversal(first)
        return partial(layer.apply, change(layer))


class EquinoxHarness(LayerHarness):
    make = staticmethod(eqx.nn.make_with_state(EquinoxReversal))

    def made(self, lam):
        layer, state = self.make(lam)
        file = io.BytesIO()
        eqx.tree_serialise_leaves(file, state)
        file.seek(0)
        read = eqx.tree_deserialise_leaves(file, self.make(lam + 1)[1])
        apply = lambda layer, state=state: lambda x: layer(x, state)[0]
        return {
            "made": apply(layer),
            "deepcopy": apply(*copy.deepcopy((layer, state))),
            "save and load": apply(layer, read),
            "partition and combine": apply(eqx.combine(*eqx.partition(layer, eqx.is_array))),
            "inference mode": apply(eqx.nn.inference_mode(layer)),
            "jit": apply(eqx.filter_jit(layer)),
            "substate": apply(eqx.nn.Sequential([layer])),
        }

    def changes(self, lam):
        return {
            "set_lam": lambda layer, state: layer.set_lam(state, lam),
            "the state": lambda layer, state: state.set(layer.lam, jnp.float32(lam)),
        }

    def changed(self, first, change):
        layer, state = self.make(first)
        changed = change(layer, state)
        return lambda x: layer(x, changed)[0]


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
