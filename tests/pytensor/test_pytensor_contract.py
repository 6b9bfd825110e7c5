"""The contract on PyTensor: our reversal keeps every clause, and each check can fail."""

import pytensor.tensor as pt
import pytest
from pytensor import gradient
from pytensor.compile.mode import Mode, get_default_mode
from support.checks import assert_caught, harness_of

from revgrad.testing import conformance
from revgrad_pytensor.testing import PytensorHarness


@conformance("pytensor")
def test_reverse(check):
    check()


# The Op itself, which no rewrite takes away.
EXPECTED = {"zero_overhead": "nothing is rewritten", "no_copy": "the Op copies"}
# The Op compiles its inner graph for the default linker: from PyTensor 3 on for numba.
if "numba" in type(get_default_mode().linker).__name__.lower():
    EXPECTED["half_precision"] = "numba has no float16"
WITHOUT_REWRITES = dict(mode=Mode("py", None), examples=5, expected_failures=EXPECTED)


@conformance(harness_of(PytensorHarness, **WITHOUT_REWRITES))
def test_without_rewrites(check):
    check()


# --- reversals that are wrong on purpose ----------------------------------------------------------


class FirstOrder(gradient.GradScale):
    """The gradient is right, and hides how it depends on x."""

    def pullback(self, inputs, *others):
        return [gradient.disconnected_grad(self.multiplier * others[-1][0])]

    grad = pullback  # before PyTensor 3


def folklore(x, lam):
    lam = pt.cast(lam, x.dtype)
    return (1 + lam) * gradient.disconnected_grad(x) - lam * x


WRONG = [
    ("identity", folklore),
    ("second_order", lambda x, lam: FirstOrder(-lam)(x)),
    ("survives_rewriting", lambda x, lam: gradient.grad_scale(x, -lam)),
    ("zero_overhead", folklore),
]


@pytest.mark.parametrize("check, wrong", WRONG)
def test_a_wrong_reversal_is_caught(check, wrong):
    assert_caught(check, harness_of(PytensorHarness, reverse=wrong))
