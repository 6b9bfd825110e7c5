"""The contract on Theano: our reversal keeps every clause, and each check can fail.

The second half holds reversals that are wrong as only Theano's can be, each with a check that must
catch it.
"""

import numpy as np
import pytest
import theano
from support.checks import assert_caught, harness_of

import revgrad
from revgrad.testing import conformance, run_check
from revgrad_theano.native import Op, basic
from revgrad_theano.ops import ReverseGradient, ScaleGradient, _Identity
from revgrad_theano.testing import TheanoHarness


class UnoptimizedHarness(TheanoHarness):
    """Runs the Op itself, which no rewrite takes away."""

    mode = theano.Mode(linker="py", optimizer=None)
    examples = 5
    expected_failures = {"zero_overhead": "nothing is rewritten"}


@conformance("theano")
def test_reverse(check):
    check()


@conformance(
    harness_of(
        TheanoHarness, reverse=ReverseGradient(), scale_gradient=ScaleGradient(), examples=30
    )
)
def test_the_op(check):
    check()


@conformance(UnoptimizedHarness())
def test_without_rewrites(check):
    check()


# --- reversals that are wrong on purpose ----------------------------------------------------------


class Wrong(ReverseGradient):
    """The true Op with another rule for its gradient."""

    def rule(self, x, lam, g):
        return -lam * g

    def L_op(self, inputs, outputs, output_gradients):
        (g,) = output_gradients
        return [self.rule(*inputs, g), theano.gradient.DisconnectedType()()]

    def R_op(self, inputs, eval_points):
        return [self.rule(*inputs, eval_points[0])]


class ScaleInPlace(Op):
    """Multiplies in place and does not say so."""

    __props__ = ()

    def make_node(self, g, lam):
        return basic.Apply(self, [g, lam], [g.type()])

    def perform(self, node, inputs, output_storage):
        g, lam = inputs
        output_storage[0][0] = np.multiply(g, -lam, out=g)


class WritesInPlace(Wrong):
    def rule(self, x, lam, g):
        return ScaleInPlace()(g, lam)


class LearnableLam(Wrong):
    def connection_pattern(self, node):
        return [[True], [True]]

    def L_op(self, inputs, outputs, output_gradients):
        (x, lam), (g,) = inputs, output_gradients
        return [-lam * g, -(x * g).sum()]


class SecondOrderWrong(Wrong):
    """The gradient hides how it depends on x, as a rule written on values does."""

    def rule(self, x, lam, g):
        return -theano.gradient.disconnected_grad(lam * g)


class NoViewMap(Wrong):
    """Does not say that its output is a view, which Theano then lets others overwrite."""

    view_map = {}


class Copies(Wrong):
    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = inputs[0].copy()


class NotRemoved(_Identity):
    """The Op without the rewrite: it stays in the compiled function."""

    signed = False
    make_node, node = ReverseGradient.make_node, ReverseGradient.node
    pulled = ReverseGradient.pulled


class LostByPickle(Wrong):
    """An Op that keeps what it needs outside its state."""

    strength = -1

    def rule(self, x, lam, g):
        return self.strength * lam * g

    def __getstate__(self):
        return {}

    def __setstate__(self, state):
        self.strength = 1


def not_in_scan(x, lam):
    """Loses the reversal of a slice that scan hands in."""
    return x if (x.name or "").startswith("xs[") else revgrad.reverse(x, lam)


WRONG = [
    ("no_copy", Copies()),
    ("no_inplace_write", WritesInPlace()),
    ("in_place_writes", NoViewMap()),
    ("no_gradient_for_lambda", LearnableLam()),
    ("survives_rewriting", lambda x, lam: theano.gradient.grad_scale(x, -lam)),
    ("second_order", SecondOrderWrong()),
    ("vectorised", not_in_scan),
    ("zero_overhead", NotRemoved()),
    ("copies_reverse", LostByPickle()),
]
"""What goes wrong in Theano alone. The suite's own tests hold a wrong backend for every check."""


@pytest.mark.parametrize("check, wrong", WRONG)
def test_a_wrong_reversal_is_caught(check, wrong):
    assert_caught(check, harness_of(TheanoHarness, reverse=wrong))


def test_a_claim_that_is_too_narrow_is_caught():
    true = revgrad.unregister("theano")
    narrow = revgrad.BackendSpec("theano", ("theano.tensor:TensorConstant",), true.factory)
    revgrad.register(narrow)
    try:
        result = run_check("claims_resolve", TheanoHarness())
        assert "a value of theano.tensor" in result.reason
        assert "No backend claims the type theano.tensor" in result.reason
    finally:
        revgrad.unregister("theano")
        revgrad.register(true)
