"""The contract on Theano: our reversal keeps every clause, and each check can fail.

The second half holds reversals that are wrong as only Theano's can be, each with a check that must
catch it.
"""

import numpy as np
import pytest
import theano
from support.checks import assert_caught, harness_of

import revgrad
from revgrad.testing import conformance
from revgrad_theano.native import Op, basic
from revgrad_theano.ops import ReverseGradient, ScaleGradient
from revgrad_theano.testing import TheanoHarness


@conformance("theano")
def test_reverse(check):
    check()


class UnoptimizedHarness(TheanoHarness):
    """Runs the Ops themselves, which no rewrite takes away."""

    mode = theano.Mode(linker="py", optimizer=None)
    examples = 5
    reverse, scale_gradient = ReverseGradient(), ScaleGradient()
    expected_failures = {"zero_overhead": "nothing is rewritten"}


@conformance(UnoptimizedHarness())
def test_without_rewrites(check):
    check()


# --- reversals that are wrong on purpose ----------------------------------------------------------


class ScaleInPlace(Op):
    """Multiplies in place and does not say so."""

    __props__ = ()

    def make_node(self, g, lam):
        return basic.Apply(self, [g, lam], [g.type()])

    def perform(self, node, inputs, output_storage):
        g, lam = inputs
        output_storage[0][0] = np.multiply(g, -lam, out=g)


class WritesInPlace(ReverseGradient):
    def pulled(self, inputs, g):
        return ScaleInPlace()(g, inputs[1])


class LearnableLam(ReverseGradient):
    def connection_pattern(self, node):
        return [[True], [True]]

    def grad(self, inputs, output_gradients):
        (x, lam), (g,) = inputs, output_gradients
        return [-lam * g, -(x * g).sum()]


class SecondOrderWrong(ReverseGradient):
    """The gradient hides how it depends on x, as a rule written on values does."""

    def pulled(self, inputs, g):
        return theano.gradient.disconnected_grad(super().pulled(inputs, g))


class NoViewMap(ReverseGradient):
    """Does not say that its output is a view, which Theano then lets others overwrite."""

    view_map = {}


class Copies(ReverseGradient):
    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = inputs[0].copy()


class LostByPickle(ReverseGradient):
    """An Op that keeps what it needs outside its state."""

    sign = 1

    def pulled(self, inputs, g):
        return self.sign * super().pulled(inputs, g)

    def __getstate__(self):
        return {}

    def __setstate__(self, state):
        self.sign = -1


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
    ("copies_reverse", LostByPickle()),
]
"""What goes wrong in Theano alone. The suite's own tests hold a wrong backend for every check."""


@pytest.mark.parametrize("check, wrong", WRONG)
def test_a_wrong_reversal_is_caught(check, wrong):
    assert_caught(check, harness_of(TheanoHarness, reverse=wrong))
