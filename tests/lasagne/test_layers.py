"""`ReverseGradientLayer` on the real Lasagne."""

import copy
import pickle
import re

import lasagne
import numpy as np
import pytest
import theano
import theano.tensor as T
from lasagne import layers
from lasagne.layers import DenseLayer, InputLayer, get_all_param_values, get_output

from support.examples import assert_public

import revgrad
import revgrad_lasagne
from revgrad_lasagne import ReverseGradientLayer, ScaleGradientLayer
from revgrad_theano.native import native

X = np.random.RandomState(0).randn(5, 3).astype(theano.config.floatX)


def domain_network(reversal):
    """Return input and domain output; `reversal` maps the feature layer to the next."""
    lasagne.random.set_rng(np.random.RandomState(1))
    inputs = InputLayer((None, 3))
    features = DenseLayer(inputs, 4, nonlinearity=lasagne.nonlinearities.tanh)
    return inputs, DenseLayer(reversal(features), 1)


@pytest.mark.parametrize("lam", [float, revgrad.LambdaVariable, theano.shared])
def test_the_features_are_reversed_and_the_head_is_not(lam):
    def gradients(reversal):
        inputs, domain = domain_network(reversal)
        wanted = layers.get_all_params(domain, trainable=True)
        return theano.function([inputs.input_var], theano.grad(get_output(domain).sum(), wanted))(X)

    plain = gradients(lambda layer: layer)
    reversed_ = gradients(lambda layer: revgrad.reverse(layer, lam(0.5)))
    assert len(plain) == len(reversed_) == 4
    for actual, expected, factor in zip(reversed_, plain, (-0.5, -0.5, 1, 1)):
        np.testing.assert_allclose(actual, factor * expected, rtol=1e-5)
        assert np.abs(expected).max() > 0


@pytest.mark.parametrize("shape", [(None, 3), (2, 1, 8, 8), (None, None, 4), (7,)])
def test_shapes(shape):
    layer = ReverseGradientLayer(InputLayer(shape), 0.3)
    assert layer.output_shape == layers.get_output_shape(layer) == shape


def test_an_incoming_shape_instead_of_a_layer_and_a_name():
    layer = ReverseGradientLayer((None, 3), 0.3, name="reversal")
    assert layer.name == "reversal" and layer.input_layer is None
    assert layer.output_shape == (None, 3)


def test_it_has_no_parameters_so_saved_networks_still_fit():
    lam = revgrad.LambdaVariable(0.3)
    _, plain = domain_network(lambda layer: layer)
    _, reversed_ = domain_network(lambda layer: ReverseGradientLayer(layer, lam))
    assert len(layers.get_all_layers(reversed_)) == len(layers.get_all_layers(plain)) + 1
    values = [value + 1 for value in get_all_param_values(plain)]
    layers.set_all_param_values(reversed_, values)
    for actual, value in zip(get_all_param_values(reversed_), values):
        np.testing.assert_array_equal(actual, value)


@pytest.mark.parametrize("call", [revgrad.reverse, revgrad.scale_gradient])
def test_what_is_not_a_layer_is_rejected(call):
    with pytest.raises(revgrad.UnsupportedTypeError, match="expects a layer; got a ndarray"):
        call(np.ones(2), 1.0, backend="lasagne")


# --- λ and the factor -----------------------------------------------------------------------------


ONES = np.ones((2, 3), theano.config.floatX)


def gradient_of(layer):
    """Compile the gradient of the sum of the output."""
    x = T.matrix("x")
    return theano.function([x], theano.grad(get_output(layer, x).sum(), x))


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each, 2))])
def test_a_layer_copied_with_its_compiled_function_drives_the_copy(twin):
    layer = ReverseGradientLayer(InputLayer((None, 3)), revgrad.LambdaVariable(0.5))
    function = gradient_of(layer)
    other, copied = twin((layer, function))
    other.lam.value = 3.0
    assert (copied(ONES) == -3.0).all() and (function(ONES) == -0.5).all()


def test_lam_may_be_set():
    layer = revgrad.reverse(InputLayer((None, 3)), 0.5, backend="lasagne")
    assert type(layer) is ReverseGradientLayer and layer.lam == 0.5
    before = gradient_of(layer)
    layer.lam = np.array([[0.5], [1.0]])
    np.testing.assert_array_equal(gradient_of(layer)(ONES), [[-0.5] * 3, [-1.0] * 3])
    layer.lam = revgrad.LambdaVariable(0.25)
    assert (gradient_of(layer)(ONES) == -0.25).all()
    assert (before(ONES) == -0.5).all()  # a function that was compiled before keeps its own


@pytest.mark.parametrize(
    "second, words",
    [
        (-1, "pass 1, not -1"),
        (np.ones((2, 1, 3)), "λ of shape (2, 1, 3) does not broadcast to x of shape (None, 3)"),
        (np.ones(4), "λ of shape (4,) does not broadcast to x of shape (None, 3)"),
        (T.tensor3("lam"), "λ of shape (None, None, None) does not broadcast"),
    ],
)
def test_what_is_not_a_lambda_is_rejected_when_it_is_set(second, words):
    layer = ReverseGradientLayer(InputLayer((None, 3)), 0.5)
    with pytest.raises(revgrad.InvalidLambdaError, match=re.escape(words)):
        layer.lam = second
    assert layer.lam == 0.5


def test_a_factor_of_any_sign_may_be_set():
    layer = revgrad.scale_gradient(InputLayer((None, 3)), 0.5)
    assert type(layer) is ScaleGradientLayer
    layer.factor = -3
    assert (gradient_of(layer)(ONES) == -3).all()
    with pytest.raises(revgrad.InvalidLambdaError, match="The factor must be a real, finite num"):
        layer.factor = np.inf


def test_the_names_of_the_package_and_their_examples():
    assert_public(revgrad_lasagne)


# --- inside a recurrent layer ---------------------------------------------------------------------


def recurrent(lam, listed=False, **kwargs):
    """Return a function of λ: the gradient of a weight below a reversal in the hidden network."""
    lasagne.random.set_rng(np.random.RandomState(1))
    inputs, hidden = InputLayer((2, 3, 4)), InputLayer((None, 5))
    reversal = ReverseGradientLayer(hidden, lam)
    if listed:
        reversal.add_param(lam.cell(native), (), trainable=False, regularizable=False)
    hidden_to_hidden = DenseLayer(reversal, 5)
    first = DenseLayer(InputLayer((None, 4)), 5)
    layer = layers.CustomRecurrentLayer(inputs, first, hidden_to_hidden, **kwargs)
    gradient = theano.grad(get_output(layer)[:, -1].sum(), hidden_to_hidden.W)
    run = theano.function([inputs.input_var], gradient)
    return lambda: run(np.ones((2, 3, 4), theano.config.floatX))


def test_a_variable_inside_a_recurrent_layer_has_to_be_listed():
    """Lasagne hands the parameters of the hidden network to a strict scan, and nothing else."""
    with pytest.raises(theano.gof.MissingInputError, match="ScanOp is missing an input: lam"):
        recurrent(revgrad.LambdaVariable(0.5))


@pytest.mark.parametrize("how", [{"listed": True}, {"unroll_scan": True}])
def test_a_variable_inside_a_recurrent_layer(how):
    lam = revgrad.LambdaVariable(0.5)
    run = recurrent(lam, **how)
    lam.value = 2.0
    np.testing.assert_allclose(run(), recurrent(2.0)(), rtol=1e-5)
