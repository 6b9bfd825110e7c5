"""check_flow on real Theano graphs: what goes wrong with reversals, and what only looks so."""

import numpy as np
import pytest
import theano
import theano.tensor as T
from theano.compile.mode import optdb

import revgrad
from revgrad.testing.flow import check_flow
from revgrad_theano.testing import FunctionGraph

RANDOM = np.random.RandomState(5)
FEATURES = RANDOM.normal(size=(16, 6))
DOMAINS = np.repeat([0, 1], 8)
HEAD = [0.4 * RANDOM.normal(size=shape) for shape in [(6, 10), (10,), (10, 1), (1,)]]
LAM = 0.3


def check(loss, dtype="float32", parameters=()):
    parameters = [each.astype(dtype) for each in parameters]
    return check_flow(loss, FEATURES.astype(dtype), LAM, harness="theano", parameters=parameters)


def constants(f):
    return [T.constant(each.astype(f.dtype)) for each in HEAD]


def score(f, w1, b1, w2, b2):
    return T.dot(T.tanh(T.dot(f, w1) + b1), w2) + b2


def binary(scores):
    domains = T.constant(DOMAINS[:, None].astype(scores.dtype))
    return T.nnet.binary_crossentropy(T.nnet.sigmoid(scores), domains).mean()


# --- right ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_two_layers_with_bias_and_a_sigmoid(dtype):
    flow = check(lambda f, *p: binary(score(revgrad.reverse(f, LAM), *p)), dtype, parameters=HEAD)
    assert flow.ok, flow
    assert flow.ratio == pytest.approx(-LAM, rel=1e-2)
    assert flow.parameter_ratios == pytest.approx([1.0] * 4, rel=2e-2)


def test_a_loss_in_float64_of_features_in_float32():
    def loss(f):
        return binary(score(revgrad.reverse(f, LAM), *constants(f))) / np.float64(3)

    assert check(lambda f: loss(f).astype("float64"), "float32").ok


# --- no gradient ----------------------------------------------------------------------------------


def test_a_gradient_that_is_cut():
    def loss(f, cut):
        return binary(score(cut(revgrad.reverse(f, LAM)), *constants(f)))

    assert check(lambda f: loss(f, theano.gradient.disconnected_grad)).kind == "disconnected"
    flow = check(lambda f: loss(f, lambda f: revgrad.reverse(f, 0.0)))
    assert flow.kind == "cut" and flow.ratio == 0, flow


# --- a gradient that is wrong ---------------------------------------------------------------------


def test_a_reversal_after_the_head():
    def loss(f, *p):
        return binary(revgrad.reverse(score(f, *p), LAM))

    flow = check(loss, parameters=HEAD)
    assert flow.kind == "after" and flow.ratio == pytest.approx(-LAM, rel=1e-2), flow
    assert flow.parameter_ratios == pytest.approx([-LAM] * 4, rel=2e-2)

    flow = check(lambda f: loss(f, *constants(f)))
    assert flow.ok and "position of the reversal was not checked" in " ".join(flow.report.split())


def rewritten(f, loss, *names):
    """Return a loss whose graph went through Theano's rewrites before anyone differentiates it."""
    graph = FunctionGraph([f], [loss], clone=True)
    optdb.query(*names).optimize(graph)
    clone = getattr(theano, "clone", None) or theano.clone_replace
    return clone(graph.outputs[0], {graph.inputs[0]: f})


def test_a_graph_that_was_optimised_before_the_gradient_was_taken():
    def loss(f, *names):
        return rewritten(f, binary(score(revgrad.reverse(f, LAM), *constants(f))), *names)

    # Those who differentiate it leave out what has no gradient: fused, destructive and BLAS Ops.
    names = ["+fast_run", "-fusion", "-inplace", "-BlasOpt", "-c_blas", "-blas_opt_inplace"]
    flow = check(lambda f: loss(f, *names))
    assert flow.kind == "unreversed" and flow.ratio == pytest.approx(1, rel=1e-2), flow
    assert "not an exported or optimised one" in " ".join(flow.report.split())
    assert check(lambda f: loss(f, "+canonicalize")).ok


def test_grad_scale_that_was_canonicalised():
    def loss(f):
        return binary(score(theano.gradient.grad_scale(f, -LAM), *constants(f)))

    assert check(loss, "float64").ok
    assert check(lambda f: rewritten(f, loss(f), "+canonicalize")).kind == "unreversed"
