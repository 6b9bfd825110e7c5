"""The contract on autograd: our reversal keeps every clause, and each check can fail."""

import autograd.numpy as anp
import numpy as np
import pytest
from autograd.extend import defjvp, defvjp, primitive
from autograd.tracer import getval

import revgrad
from revgrad.backend import resolve
from revgrad.testing import CHECKS, conformance, run_check
from revgrad.testing._check import Mismatch
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

    def __init__(self, reverse, scale=scale_gradient):
        self.reverse, self.scale_gradient = reverse, scale


@conformance(WrongHarness(reverse_gradient))
def test_the_functions(check):
    check()


def test_nothing_else_is_skipped():
    outcomes = {name: run_check(name, WrongHarness(revgrad.reverse)).outcome for name in CHECKS}
    skipped = {name for name, outcome in outcomes.items() if outcome == "skipped"}
    assert skipped == SKIPPED


# --- reversals that are wrong on purpose ----------------------------------------------------------


def by_rule(pullback, pushforward=lambda lam, t: -lam * t, value=lambda x: x, signed=False):
    """Return a function of x and λ, or x and a factor, by a primitive with other rules."""
    op = primitive(lambda x, lam: value(x))
    defvjp(op, lambda y, x, lam: lambda g: pullback(lam, g), argnums=[0])
    defjvp(op, lambda t, y, x, lam: pushforward(lam, t), argnums=[0])

    def reverse(x, lam):
        return op(x, resolve(x, lam, native, signed))

    return reverse


def right(lam, g):
    return -lam * g


def sign_lost(lam, g):
    return lam * g


def ones(lam, g):
    return -lam * anp.ones_like(g)


def dtype_raised(lam, g):
    return (-lam * g).astype("float64")


def not_for_half(lam, g):
    return -lam * (1.01 if g.dtype.itemsize == 2 else 1) * g


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


def folklore(x, lam):
    lam = resolve(x, lam, native)
    return (1 + lam) * getval(x) - lam * x


def frozen(x, lam, first={}):  # noqa: B006
    return reverse_gradient(x, first.setdefault(lam, getattr(lam, "value", lam)))


def any_lam(x, lam):
    try:
        return reverse_gradient(x, lam)
    except revgrad.InvalidLambdaError:
        return reverse_gradient(x, 1.0)


def any_x(x, lam):
    return x if getval(x).dtype.kind in "ib" else reverse_gradient(x, lam)


WRONG = [
    ("identity", folklore),
    ("no_copy", by_rule(right, value=copied)),
    ("no_inplace_write", by_rule(in_place)),
    ("any_cotangent", by_rule(sign_lost)),
    ("any_cotangent", by_rule(ones)),
    ("dtype_of_x", by_rule(dtype_raised)),
    ("half_precision", by_rule(not_for_half)),
    ("variable_shows", frozen),
    ("forward_mode", by_rule(right, sign_lost)),
    ("second_order", by_rule(constant_rule)),
    ("invalid_lambda_rejected", any_lam),
    ("lambda_array", any_lam),
    ("integers_rejected", any_x),
]


@pytest.mark.parametrize("check, wrong", WRONG)
def test_a_wrong_reversal_is_caught(check, wrong):
    result = run_check(check, WrongHarness(wrong))
    assert result.outcome == "failed"
    assert isinstance(result.error.__context__, Mismatch), result.reason


@pytest.mark.parametrize(
    "check, wrong",
    [
        ("scaled_gradient", reverse_gradient),
        ("scaled_transforms", by_rule(lambda c, g: c * g, lambda c, t: t, signed=True)),
    ],
)
def test_a_wrong_scaling_is_caught(check, wrong):
    result = run_check(check, WrongHarness(reverse_gradient, wrong))
    assert result.outcome == "failed"
    assert isinstance(result.error.__context__, Mismatch), result.reason


def test_a_lambda_that_learns_is_caught():
    def learnable(x, lam):
        return x - x * (lam + 1)

    result = run_check("no_gradient_for_lambda", WrongHarness(learnable))
    assert result.outcome == "failed" and "none, or zero" in result.reason
