"""check_flow on real Theano graphs: what goes wrong with reversals, and what only looks so."""

import numpy as np
import pytest
import theano
import theano.tensor as T
from theano.compile.mode import optdb

import revgrad
import revgrad_theano
from revgrad.testing.flow import check_flow
from revgrad_theano.testing import FunctionGraph, TheanoHarness

try:  # Theano-PyMC has another
    from theano.tensor.shared_randomstreams import RandomStreams
except ImportError:
    from theano.tensor.random.utils import RandomStream as RandomStreams

RANDOM = np.random.RandomState(5)
FEATURES = RANDOM.normal(size=(16, 6))
DOMAINS = np.repeat([0, 1], 8)
HEAD = [0.4 * RANDOM.normal(size=shape) for shape in [(6, 10), (10,), (10, 1), (1,)]]
TWO_COLUMNS = [*HEAD[:2], 0.4 * RANDOM.normal(size=(10, 2)), 0.1 * RANDOM.normal(size=(2,))]
LAM = 0.3


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


def check(loss, dtype, lam=LAM, parameters=(), harness="theano"):
    parameters = [each.astype(dtype) for each in parameters]
    return check_flow(loss, FEATURES.astype(dtype), lam, harness=harness, parameters=parameters)


def constants(f, head=HEAD):
    return [T.constant(each.astype(f.dtype)) for each in head]


def score(f, w1, b1, w2, b2, activation=T.tanh):
    return T.dot(activation(T.dot(f, w1) + b1), w2) + b2


def binary(scores):
    domains = T.constant(DOMAINS[:, None].astype(scores.dtype))
    return T.nnet.binary_crossentropy(T.nnet.sigmoid(scores), domains).mean()


def categorical(scores, domains=DOMAINS):
    return T.nnet.categorical_crossentropy(T.nnet.softmax(scores), domains).mean()


def relu(x):
    return T.nnet.relu(x)


# --- right ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lam", [1e-3, 0.3, 1, 100])
def test_two_layers_with_bias_and_a_sigmoid(dtype, lam):
    flow = check(lambda f, *p: binary(score(revgrad.reverse(f, lam), *p)), dtype, lam, HEAD)
    assert flow.ok, flow
    assert flow.ratio == pytest.approx(-lam, rel=1e-2)
    assert flow.parameter_ratios == pytest.approx([1.0] * 4, rel=2e-2)


@pytest.mark.parametrize("activation", [T.tanh, relu, T.nnet.sigmoid, T.nnet.softplus])
def test_activations_and_a_softmax_over_two_columns(dtype, activation):
    def loss(f, *p):
        return categorical(score(revgrad.reverse(f, LAM), *p, activation=activation))

    flow = check(loss, dtype, parameters=TWO_COLUMNS)
    assert flow.ok, flow


def test_the_op_and_a_lambda_variable(dtype):
    lam = revgrad.LambdaVariable(0.0)
    op = revgrad_theano.ReverseGradient()
    flow = check(lambda f, *p: binary(score(op(f, lam), *p)), dtype, lam, HEAD)
    assert flow.ok and flow.expected == -1 and lam.value == 0, flow


def test_features_on_the_kinks_of_a_relu(dtype):
    """Half of them are 0, as they come from a relu, and the head begins with another."""

    def loss(f, *p):
        return binary(score(relu(revgrad.reverse(f, LAM)), *p))

    features = np.maximum(FEATURES, 0).astype(dtype)
    head = [each.astype(dtype) for each in HEAD]
    assert check_flow(loss, features, LAM, harness="theano", parameters=head).ok


def test_a_loss_in_float64_of_features_in_float32():
    def loss(f):
        return binary(score(revgrad.reverse(f, LAM), *constants(f))) / np.float64(3)

    assert check(lambda f: loss(f).astype("float64"), "float32").ok


def test_another_mode():
    class Compiled(TheanoHarness):
        mode = theano.Mode(linker="py", optimizer=None)

    def loss(f):
        return binary(score(revgrad.reverse(f, LAM), *constants(f)))

    assert check(loss, "float64", harness=Compiled()).ok


# --- no gradient ----------------------------------------------------------------------------------


def test_a_softmax_over_one_column(dtype):
    zeros = np.zeros_like(DOMAINS)

    def loss(f, *p):
        return categorical(score(revgrad.reverse(f, LAM), *p), zeros)

    flow = check(loss, dtype, parameters=HEAD)
    assert flow.kind == "constant" and flow.ratio is None, flow
    assert "softmax over one column is always 1" in " ".join(flow.report.split())
    assert "Use a sigmoid" in flow.report


def test_a_gradient_that_is_cut(dtype):
    def loss(f, cut):
        return binary(score(cut(revgrad.reverse(f, LAM)), *constants(f)))

    assert check(lambda f: loss(f, theano.gradient.disconnected_grad), dtype).kind == "disconnected"
    flow = check(lambda f: loss(f, lambda f: revgrad.reverse(f, 0.0)), dtype)
    assert flow.kind == "cut" and flow.ratio == 0, flow


def test_argmax_of_the_scores(dtype):
    def loss(f):
        decided = T.argmax(score(revgrad.reverse(f, LAM), *constants(f, TWO_COLUMNS)), axis=1)
        return T.cast(abs(decided - DOMAINS), f.dtype).mean()

    flow = check(loss, dtype)
    assert flow.kind in ("flat", "disconnected") and "argmax" in flow.report, flow


# --- a gradient that is wrong ---------------------------------------------------------------------


def test_a_reversal_after_the_head(dtype):
    def loss(f, *p):
        return binary(revgrad.reverse(score(f, *p), LAM))

    flow = check(loss, dtype, parameters=HEAD)
    assert flow.kind == "after" and flow.ratio == pytest.approx(-LAM, rel=1e-2), flow
    assert flow.parameter_ratios == pytest.approx([-LAM] * 4, rel=2e-2)

    flow = check(lambda f: loss(f, *constants(f)), dtype)
    assert flow.ok and "position of the reversal was not checked" in " ".join(flow.report.split())


def rewritten(f, loss, *names):
    """Return a loss whose graph went through Theano's rewrites before anyone differentiates it."""
    graph = FunctionGraph([f], [loss], clone=True)
    optdb.query(*names).optimize(graph)
    clone = getattr(theano, "clone", None) or theano.clone_replace
    return clone(graph.outputs[0], {graph.inputs[0]: f})


def test_a_graph_that_was_optimised_before_the_gradient_was_taken(dtype):
    def loss(f, *names):
        return rewritten(f, binary(score(revgrad.reverse(f, LAM), *constants(f))), *names)

    # Those who differentiate it leave out what has no gradient: fused, destructive and BLAS Ops.
    names = ["+fast_run", "-fusion", "-inplace", "-BlasOpt", "-c_blas", "-blas_opt_inplace"]
    flow = check(lambda f: loss(f, *names), dtype)
    assert flow.kind == "unreversed" and flow.ratio == pytest.approx(1, rel=1e-2), flow
    assert "not an exported or optimised one" in " ".join(flow.report.split())
    assert check(lambda f: loss(f, "+canonicalize"), dtype).ok


def test_grad_scale_that_was_canonicalised(dtype):
    def loss(f):
        return binary(score(theano.gradient.grad_scale(f, -LAM), *constants(f)))

    assert check(loss, "float64").ok
    assert check(lambda f: rewritten(f, loss(f), "+canonicalize"), dtype).kind == "unreversed"


def test_grad_scale_with_a_minus_too_many(dtype):
    def loss(f):
        return binary(score(theano.gradient.grad_scale(f, LAM), *constants(f)))

    assert check(loss, dtype).kind == "sign"


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_frozen_variable(dtype, value):
    lam = revgrad.LambdaVariable(value)

    def loss(f):
        return binary(score(revgrad.reverse(f, lam.value), *constants(f)))

    flow = check(loss, dtype, lam)
    assert flow.kind == "frozen" and lam.value == value, flow


def test_a_frozen_schedule(dtype):
    lam = revgrad.schedules.Dann()(0.1)

    def loss(f):
        return binary(score(revgrad.reverse(f, lam), *constants(f)))

    flow = check(loss, dtype, revgrad.schedules.Dann()(0.5))
    assert flow.kind == "scale" and flow.ratio == pytest.approx(-lam, rel=1e-2), flow


def test_two_reversals(dtype):
    def loss(f):
        return binary(score(revgrad.reverse(revgrad.reverse(f, LAM), LAM), *constants(f)))

    assert check(loss, dtype).kind == "twice"


@pytest.mark.parametrize(
    "some",
    [
        lambda f: T.concatenate([revgrad.reverse(f[:, :3], LAM), f[:, 3:]], axis=1),
        lambda f: T.concatenate([revgrad.reverse(f[:8], LAM), f[8:]], axis=0),
        lambda f: T.concatenate([revgrad.reverse(f[:, :3], LAM), revgrad.reverse(f[:, 3:], 1)], 1),
    ],
)
def test_a_part_that_is_reversed(dtype, some):
    flow = check(lambda f: binary(score(some(f), *constants(f))), dtype)
    assert flow.kind == "mixed", flow


# --- undecided, and refused -----------------------------------------------------------------------


def test_dropout(dtype):
    stream = RandomStreams(1)

    def loss(f):
        drawn = stream.uniform(size=FEATURES.shape)
        mask = T.cast(T.gt(drawn, 0.5), f.dtype)
        return binary(score(mask * revgrad.reverse(f, LAM), *constants(f)))

    flow = check(loss, dtype)
    assert flow.kind == "undecided" and "deterministic=True in Lasagne" in flow.report


def test_what_is_no_loss():
    with pytest.raises(ValueError, match="must return a scalar; it returned a value of 2 dim"):
        check(lambda f: revgrad.reverse(f, LAM), "float64")
    with pytest.raises(ValueError, match="one of int64. A count"):
        check(lambda f: T.eq(revgrad.reverse(f, LAM), 0).sum(), "float64")
    with pytest.raises(TypeError, match="features must be a NumPy array; got <TensorType"):
        check_flow(lambda f: f.sum(), T.dmatrix(), LAM, harness="theano")
