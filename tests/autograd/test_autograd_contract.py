"""The contract on autograd: our reversal keeps every clause, and each check can fail."""

import numpy as np
import pytest
from autograd.extend import defjvp, defvjp, primitive
from autograd.tracer import getval
from support.checks import assert_caught, harness_of

from revgrad.testing import conformance, run_checks
from revgrad_autograd import reverse_gradient, scale_gradient
from revgrad_autograd.testing import AutogradHarness


@conformance("autograd")
def test_reverse(check):
    check()


def test_the_functions_and_what_is_skipped():
    harness = harness_of(AutogradHarness, reverse=reverse_gradient, scale_gradient=scale_gradient)
    skipped = sorted(each.check for each in run_checks(harness) if each.outcome == "skipped")
    assert skipped == [
        *("assigned_lambda", "compiled_once", "copies_reverse", "layers_keep_lambda"),
        *("mode_independent", "survives_rewriting", "vectorised", "zero_overhead"),
    ]


# --- reversals that are wrong on purpose ----------------------------------------------------------


def right(lam, g):
    return -lam * g


def by_rule(pullback=right, pushforward=right, value=lambda x: x):
    """Return a function of x and λ by a primitive with other rules."""
    op = primitive(lambda x, lam: value(x))
    defvjp(op, lambda y, x, lam: lambda g: pullback(lam, g), argnums=[0])
    defjvp(op, lambda t, y, x, lam: pushforward(lam, t), argnums=[0])
    return op


WRONG = [
    ("no_copy", by_rule(value=np.array)),
    ("no_inplace_write", by_rule(lambda lam, g: np.multiply(-lam, g, out=g))),
    ("forward_mode", by_rule(pushforward=lambda lam, t: lam * t)),
    # The derivative of the gradient is lost: autograd sees a number.
    ("second_order", by_rule(lambda lam, g: -lam * getval(g))),
    ("no_gradient_for_lambda", lambda x, lam: x - x * (lam + 1)),
]


@pytest.mark.parametrize("check, wrong", WRONG)
def test_a_wrong_reversal_is_caught(check, wrong):
    assert_caught(check, harness_of(AutogradHarness, reverse=wrong))
