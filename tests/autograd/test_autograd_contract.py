"""The contract on autograd: our reversal keeps every clause, and each check can fail."""

import numpy as np
import pytest
from autograd.extend import defjvp, defvjp, primitive
from autograd.tracer import getval
from support.checks import assert_caught, harness_of

from revgrad.backend import resolve
from revgrad.testing import CHECKS, conformance, run_check
from revgrad_autograd import reverse_gradient, scale_gradient
from revgrad_autograd.native import native
from revgrad_autograd.testing import AutogradHarness

FUNCTIONS = harness_of(AutogradHarness, reverse=reverse_gradient, scale_gradient=scale_gradient)
SKIPPED = (
    "assigned_lambda compiled_once copies_reverse layers_keep_lambda mode_independent "
    "survives_rewriting vectorised zero_overhead"
)


@conformance("autograd")
def test_reverse(check):
    check()


@conformance(FUNCTIONS)
def test_the_functions(check):
    check()


def test_nothing_else_is_skipped():
    skipped = {name for name in CHECKS if run_check(name, FUNCTIONS).outcome == "skipped"}
    assert skipped == set(SKIPPED.split())


# --- reversals that are wrong on purpose ----------------------------------------------------------


def right(lam, g):
    return -lam * g


def by_rule(pullback=right, pushforward=right, value=lambda x: x):
    """Return a function of x and λ by a primitive with other rules."""
    op = primitive(lambda x, lam: value(x))
    defvjp(op, lambda y, x, lam: lambda g: pullback(lam, g), argnums=[0])
    defjvp(op, lambda t, y, x, lam: pushforward(lam, t), argnums=[0])
    return lambda x, lam: op(x, resolve(x, lam, native))


def in_place(lam, g):
    if isinstance(g, np.ndarray):
        g *= -lam
        return g
    return -lam * g


WRONG = [
    ("no_copy", by_rule(value=np.array)),
    ("no_inplace_write", by_rule(in_place)),
    ("forward_mode", by_rule(pushforward=lambda lam, t: lam * t)),
    # The derivative of the gradient is lost: autograd sees a number.
    ("second_order", by_rule(lambda lam, g: -lam * getval(g))),
    ("no_gradient_for_lambda", lambda x, lam: x - x * (lam + 1)),
]


@pytest.mark.parametrize("check, wrong", WRONG)
def test_a_wrong_reversal_is_caught(check, wrong):
    assert_caught(check, harness_of(AutogradHarness, reverse=wrong))
