"""`ReverseGradientLayer` on the real Lasagne."""

import copy
import pickle

import lasagne
import numpy as np
import pytest
import theano
import theano.tensor as T
from lasagne import layers
from lasagne.layers import DenseLayer, InputLayer, get_all_param_values, get_output

from support.examples import assert_public

import revgrad
from revgrad_lasagne import ReverseGradientLayer, ScaleGradientLayer
from revgrad_theano.native import native

X = np.random.RandomState(0).randn(5, 3).astype(theano.config.floatX)


@pytest.fixture(params=[revgrad.reverse, ReverseGradientLayer])
def make(request):
    return request.param


def domain_network(reversal):
    """Return input, features and domain output; `reversal` maps the feature layer to the next."""
    lasagne.random.set_rng(np.random.RandomState(1))
    inputs = InputLayer((None, 3))
    features = DenseLayer(inputs, 4, nonlinearity=lasagne.nonlinearities.tanh)
    return inputs, features, DenseLayer(reversal(features), 1)


def gradients(reversal):
    """Return the gradients of the domain loss: feature parameters, then domain parameters."""
    inputs, _, domain = domain_network(reversal)
    wanted = theano.grad(get_output(domain).sum(), layers.get_all_params(domain, trainable=True))
    return theano.function([inputs.input_var], wanted)(X)


@pytest.mark.parametrize("lam", [float, revgrad.LambdaVariable, theano.shared])
def test_the_features_are_reversed_and_the_head_is_not(make, lam):
    plain = gradients(lambda layer: layer)
    reversed_ = gradients(lambda layer: make(layer, lam(0.5)))
    assert len(plain) == len(reversed_) == 4
    for actual, expected, factor in zip(reversed_, plain, (-0.5, -0.5, 1, 1)):
        assert actual.dtype == theano.config.floatX
        np.testing.assert_allclose(actual, factor * expected, rtol=1e-5)
        assert np.abs(expected).max() > 0


@pytest.mark.parametrize("shape", [(None, 3), (2, 1, 8, 8), (None, None, 4), (7,)])
def test_shapes(make, shape):
    layer = make(InputLayer(shape), 0.3)
    assert layer.output_shape == layers.get_output_shape(layer) == shape


def test_an_incoming_shape_instead_of_a_layer_and_a_name():
    layer = ReverseGradientLayer((None, 3), 0.3, name="reversal")
    assert layer.name == "reversal" and layer.input_layer is None
    assert layer.output_shape == (None, 3)


def test_it_has_no_parameters_so_saved_networks_still_fit(make):
    _, _, plain = domain_network(lambda layer: layer)
    _, _, reversed_ = domain_network(lambda layer: make(layer, revgrad.LambdaVariable(0.3)))
    values = get_all_param_values(plain)
    assert len(layers.get_all_layers(reversed_)) == len(layers.get_all_layers(plain)) + 1
    assert [p.shape for p in get_all_param_values(reversed_)] == [p.shape for p in values]
    layers.set_all_param_values(reversed_, [value + 1 for value in values])
    np.testing.assert_array_equal(get_all_param_values(reversed_)[0], values[0] + 1)


def test_several_consumers_each_get_their_own_sum(make):
    inputs = InputLayer((None, 3))
    reversal = make(inputs, 0.5)
    network = layers.ConcatLayer([reversal, layers.DropoutLayer(reversal, p=0.0), inputs])
    gradient = theano.grad(get_output(network, deterministic=True).sum(), inputs.input_var)
    np.testing.assert_allclose(gradient.eval({inputs.input_var: X}), -0.5 - 0.5 + 1.0 + 0 * X)


def test_the_layer_goes_through_theano_by_name():
    layer = revgrad.reverse(InputLayer((None, 3)), 0.3, backend="lasagne")
    assert type(layer) is ReverseGradientLayer and layer.lam == 0.3


@pytest.mark.parametrize("call", [revgrad.reverse, revgrad.scale_gradient])
def test_what_is_not_a_layer_is_rejected(call):
    with pytest.raises(revgrad.UnsupportedTypeError, match="expects a layer; got a ndarray"):
        call(np.ones(2), 1.0, backend="lasagne")


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each, 2))])
def test_a_network_copied_with_its_compiled_function_drives_the_copy(twin):
    lam = revgrad.LambdaVariable(0.5)
    inputs, features, domain = domain_network(lambda layer: ReverseGradientLayer(layer, lam))
    gradient = theano.grad(get_output(domain).sum(), features.W)
    run = theano.function([inputs.input_var], gradient)
    before = run(X)
    other, run_other = twin((domain, run))
    other.input_layer.lam.value = 1.0
    np.testing.assert_allclose(run_other(X), 2 * before, rtol=1e-5)
    np.testing.assert_array_equal(run(X), before)


# --- setting λ ------------------------------------------------------------------------------------


ONES = np.ones((2, 3), theano.config.floatX)


def gradient_of(layer):
    """Compile the gradient of the sum of the output."""
    x = T.matrix("x")
    return theano.function([x], theano.grad(get_output(layer, x).sum(), x))


def slope(layer):
    """Return that gradient at x of ones."""
    return gradient_of(layer)(ONES)


@pytest.mark.parametrize(
    "second, expected",
    [
        (0.25, -0.25),
        (np.float32(0.25), -0.25),
        (np.array([[0.5], [1.0]]), [[-0.5], [-1.0]]),
        (revgrad.LambdaVariable(0.25), -0.25),
        (T.constant(0.25), -0.25),
    ],
)
def test_lam_may_be_set(second, expected):
    layer = ReverseGradientLayer(InputLayer((None, 3)), 0.5)
    before = gradient_of(layer)
    layer.lam = second
    np.testing.assert_allclose(slope(layer), np.broadcast_to(expected, (2, 3)))
    # A function that was compiled before keeps its own.
    assert (before(ONES) == -0.5).all()


@pytest.mark.parametrize(
    "second, words",
    [
        (-1, "pass 1, not -1"),
        (None, "Pass 0.0 to switch the reversal off"),
        (T.constant(-1.0), "pass 1.0, not -1.0"),
        (np.ones((2, 1, 3)), "does not broadcast to x of shape (None, 3)"),
        (np.ones(4), "λ of shape (4,) does not broadcast to x of shape (None, 3)"),
        (T.matrix, "looks like a schedule"),
        (T.tensor3("lam"), "λ of shape (None, None, None) does not broadcast"),
    ],
)
def test_what_is_not_a_lambda_is_rejected_when_it_is_set(second, words):
    layer = ReverseGradientLayer(InputLayer((None, 3)), 0.5)
    with pytest.raises(revgrad.InvalidLambdaError) as caught:
        layer.lam = second
    assert words in str(caught.value)
    assert layer.lam == 0.5 and (slope(layer) == -0.5).all()


# --- the factor -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "factor", [-2.0, 0.0, 0.1, np.array([[1.0], [-0.5]]), revgrad.LambdaVariable(0.25)]
)
@pytest.mark.parametrize("make", [revgrad.scale_gradient, ScaleGradientLayer])
def test_the_factor_scales(make, factor):
    layer = make(InputLayer((None, 3)), factor)
    assert type(layer) is ScaleGradientLayer
    number = getattr(factor, "value", factor)
    np.testing.assert_allclose(slope(layer), np.broadcast_to(number, (2, 3)), rtol=1e-6)
    layer.factor = -3
    assert (slope(layer) == -3).all()
    with pytest.raises(revgrad.InvalidLambdaError, match="The factor must be a real, finite num"):
        layer.factor = np.inf


def test_the_names_of_the_package_and_their_examples():
    import revgrad_lasagne

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
    run = theano.function([inputs.input_var], gradient, mode=theano.Mode("py", "fast_run"))
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
