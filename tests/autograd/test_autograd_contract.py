"""The contract on autograd: our reversal keeps every clause, and each check can fail."""

import numpy as np
import pytest
from autograd.extend import defjvp, defvjp, primitive
from autograd.tracer import getval
from support.checks import assert_caught

import revgrad
from revgrad.backend import resolve
from revgrad.testing import CHECKS, conformance, run_check
from revgrad_autograd import reverse_gradient, scale_gradient
from revgrad_autograd.native import native
from revgrad_autograd.testing import AutogradHarness

SKIPPED = {
    "assigned_lambda",
    "compiled_once",
    "copies_reverse",
    "layers_keep_lambda",
    "mode_independent",
    "survives_rewriting",
    "vectorised",
    "zero_overhead",
}


@conformance("autograd")
def test_reverse(check):
    check()


class WrongHarness(AutogradHarness):
    """Puts other functions to the checks."""

    examples = 0

    scale_gradient = staticmethod(scale_gradient)

    def __init__(self, reverse):
        self.reverse = reverse


@conformance(WrongHarness(reverse_gradient))
def test_the_functions(check):
    check()


def test_nothing_else_is_skipped():
    outcomes = {name: run_check(name, WrongHarness(revgrad.reverse)).outcome for name in CHECKS}
    skipped = {name for name, outcome in outcomes.items() if outcome == "skipped"}
    assert skipped == SKIPPED


# --- reversals that are wrong on purpose ----------------------------------------------------------


def by_rule(pullback, pushforward=lambda lam, t: -lam * t, value=lambda x: x):
    """Return a function of x and λ by a primitive with other rules."""
    op = primitive(lambda x, lam: value(x))
    defvjp(op, lambda y, x, lam: lambda g: pullback(lam, g), argnums=[0])
    defjvp(op, lambda t, y, x, lam: pushforward(lam, t), argnums=[0])

    def reverse(x, lam):
        return op(x, resolve(x, lam, native))

    return reverse


def right(lam, g):
    return -lam * g


def constant_rule(lam, g):
    """The derivative of the gradient is lost: autograd sees a number."""
    return -lam * getval(g)


def in_place(lam, g):
    if isinstance(g, np.ndarray):
        g *= -lam
        return g
    return -lam * g


def copied(x):
    return np.array(x)


WRONG = [
    ("no_copy", by_rule(right, value=copied)),
    ("no_inplace_write", by_rule(in_place)),
    ("forward_mode", by_rule(right, lambda lam, t: lam * t)),
    ("second_order", by_rule(constant_rule)),
]


@pytest.mark.parametrize("check, wrong", WRONG)
def test_a_wrong_reversal_is_caught(check, wrong):
    assert_caught(check, WrongHarness(wrong))


def test_a_lambda_that_learns_is_caught():
    def learnable(x, lam):
        return x - x * (lam + 1)

    result = run_check("no_gradient_for_lambda", WrongHarness(learnable))
    assert result.outcome == "failed" and "none, or zero" in result.reason
