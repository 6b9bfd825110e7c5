"""check_flow on real Theano graphs: what goes wrong with reversals, and what only looks so."""

import functools

import numpy as np
import pytest
import theano
import theano.tensor as T
from theano.compile.mode import optdb

import revgrad
from revgrad.testing.flow import check_flow
from revgrad_theano.testing import FunctionGraph, _clone

RANDOM = np.random.RandomState(5)
FEATURES = RANDOM.normal(size=(16, 6))
DOMAINS = np.repeat([0, 1], 8)
HEAD = [0.4 * RANDOM.normal(size=shape) for shape in [(6, 10), (10,), (10, 1), (1,)]]
LAM = 0.3


def check(loss, dtype="float32", parameters=()):
    parameters = [each.astype(dtype) for each in parameters]
    return check_flow(loss, FEATURES.astype(dtype), LAM, harness="theano", parameters=parameters)


def reverse(x):
    return revgrad.reverse(x, LAM)


def loss(f, *head, after=lambda scores: scores):
    """Return the loss of a head of two layers, whose weights are constants unless given."""
    w1, b1, w2, b2 = head or [T.constant(each.astype(f.dtype)) for each in HEAD]
    scores = after(T.dot(T.tanh(T.dot(f, w1) + b1), w2) + b2)
    domains = T.constant(DOMAINS[:, None].astype(f.dtype))
    return T.nnet.binary_crossentropy(T.nnet.sigmoid(scores), domains).mean()


# --- right ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_two_layers_with_bias_and_a_sigmoid(dtype):
    flow = check(lambda f, *head: loss(reverse(f), *head), dtype, HEAD)
    assert flow.ok, flow
    assert flow.ratio == pytest.approx(-LAM, rel=1e-2)
    assert flow.parameter_ratios == pytest.approx([1.0] * 4, rel=2e-2)


def test_a_loss_in_float64_of_features_in_float32():
    assert check(lambda f: (loss(reverse(f)) / np.float64(3)).astype("float64")).ok


# --- no gradient ----------------------------------------------------------------------------------


def test_a_gradient_that_is_cut():
    disconnected = theano.gradient.disconnected_grad
    assert check(lambda f: loss(disconnected(reverse(f)))).kind == "disconnected"
    flow = check(lambda f: loss(revgrad.reverse(f, 0.0)))
    assert flow.kind == "cut" and flow.ratio == 0, flow


# --- a gradient that is wrong ---------------------------------------------------------------------


def test_a_reversal_after_the_head():
    late = functools.partial(loss, after=reverse)
    flow = check(late, parameters=HEAD)
    assert flow.kind == "after" and flow.ratio == pytest.approx(-LAM, rel=1e-2), flow
    assert flow.parameter_ratios == pytest.approx([-LAM] * 4, rel=2e-2)

    flow = check(lambda f: late(f))
    assert flow.ok and "position of the reversal was not checked" in " ".join(flow.report.split())


def rewritten(f, cost, *names):
    """Return a cost whose graph went through Theano's rewrites before anyone differentiates it."""
    graph = FunctionGraph([f], [cost], clone=True)
    optdb.query(*names).optimize(graph)
    return _clone(graph.outputs[0], {graph.inputs[0]: f})


def test_a_graph_that_was_optimised_before_the_gradient_was_taken():
    # Those who differentiate it leave out what has no gradient: fused, destructive and BLAS Ops.
    names = ["+fast_run", "-fusion", "-inplace", "-BlasOpt", "-c_blas", "-blas_opt_inplace"]
    flow = check(lambda f: rewritten(f, loss(reverse(f)), *names))
    assert flow.kind == "unreversed" and flow.ratio == pytest.approx(1, rel=1e-2), flow
    assert "not an exported or optimised one" in " ".join(flow.report.split())
    assert check(lambda f: rewritten(f, loss(reverse(f)), "+canonicalize")).ok


def test_grad_scale_that_was_canonicalised():
    scaled = lambda f: loss(theano.gradient.grad_scale(f, -LAM))
    assert check(scaled, "float64").ok
    assert check(lambda f: rewritten(f, scaled(f), "+canonicalize")).kind == "unreversed"
