"""The contract on PyTensor: our reversal keeps every clause, and each check can fail."""

import pytensor
import pytest
from pytensor.compile.mode import Mode, get_default_mode
from support.checks import assert_caught, harness_of

from revgrad.backend import resolve
from revgrad.testing import conformance
from revgrad_pytensor import ReverseGradient, reverse_gradient, scale_gradient
from revgrad_pytensor.native import native
from revgrad_pytensor.testing import PytensorHarness


@conformance("pytensor")
def test_reverse(check):
    check()


class UnoptimizedHarness(PytensorHarness):
    """Runs the Op itself, which no rewrite takes away."""

    mode = Mode(linker="py", optimizer=None)
    examples = 5
    reverse = staticmethod(reverse_gradient)
    scale_gradient = staticmethod(scale_gradient)
    expected_failures = {"zero_overhead": "nothing is rewritten", "no_copy": "the Op copies"}


# The Op compiles its inner graph for the default linker: from PyTensor 3 on for numba.
if "numba" in type(get_default_mode().linker).__name__.lower():
    UnoptimizedHarness.expected_failures["half_precision"] = "numba has no float16"


@conformance(UnoptimizedHarness())
def test_without_rewrites(check):
    check()


# --- reversals that are wrong on purpose ----------------------------------------------------------


class SecondOrderWrong(ReverseGradient):
    """The true Op; its gradient hides how it depends on x."""

    def pullback(self, inputs, outputs, output_gradients):
        hidden = pytensor.gradient.disconnected_grad(inputs[1] * output_gradients[0])
        return [-hidden, pytensor.gradient.DisconnectedType()()]

    if not hasattr(ReverseGradient.__mro__[2], "pullback"):
        L_op = pullback

    @classmethod
    def reverse(cls, x, lam):
        x, lam = reverse_gradient(x, lam).owner.inputs
        return cls(x.type, lam.type)(x, lam)


def folklore(x, lam):
    lam = resolve(x, lam, native)
    return (1 + lam) * pytensor.gradient.disconnected_grad(x) - lam * x


WRONG = [
    ("identity", folklore),
    ("second_order", SecondOrderWrong.reverse),
    ("survives_rewriting", lambda x, lam: pytensor.gradient.grad_scale(x, -lam)),
    ("zero_overhead", folklore),
]


@pytest.mark.parametrize("check, wrong", WRONG)
def test_a_wrong_reversal_is_caught(check, wrong):
    assert_caught(check, harness_of(PytensorHarness, reverse=wrong))
