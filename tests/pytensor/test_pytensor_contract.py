"""The contract on PyTensor: our reversal keeps every clause, and each check can fail."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import Mode, get_default_mode

import revgrad
from revgrad.backend import resolve
from revgrad.testing import conformance, run_check
from revgrad.testing._check import Mismatch
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


class WrongHarness(PytensorHarness):
    examples = 0

    def __init__(self, reverse, scale=scale_gradient):
        self.reverse, self.scale_gradient = reverse, scale


class Wrong(ReverseGradient):
    """The true Op with the factor of its gradient replaced."""

    def pullback(self, inputs, outputs, output_gradients):
        return [self.factor(*inputs, output_gradients[0]), pytensor.gradient.DisconnectedType()()]

    if not hasattr(ReverseGradient.__mro__[2], "pullback"):
        L_op = pullback

    @classmethod
    def reverse(cls, x, lam):
        return cls.in_place_of(reverse_gradient(x, lam))

    @classmethod
    def scale_gradient(cls, x, factor):
        return cls.in_place_of(scale_gradient(x, factor))

    @classmethod
    def in_place_of(cls, y):
        x, lam = y.owner.inputs
        return cls(x.type, lam.type)(x, lam)


class SignLost(Wrong):
    def factor(self, x, lam, g):
        return lam * g


class CotangentIgnored(Wrong):
    def factor(self, x, lam, g):
        return -lam * pt.ones_like(g)


class DtypeRaised(Wrong):
    def factor(self, x, lam, g):
        return -pt.cast(lam, "float64") * g


class SecondOrderWrong(Wrong):
    def factor(self, x, lam, g):
        return -pytensor.gradient.disconnected_grad(lam * g)


def grad_scale(x, lam):
    return pytensor.gradient.grad_scale(x, -lam)


def folklore(x, lam):
    lam = resolve(x, lam, native)
    return (1 + lam) * pytensor.gradient.disconnected_grad(x) - lam * x


def any_constant(x, lam):
    if isinstance(lam, pt.TensorConstant):
        lam = pt.exp(pt.log(lam))
    return reverse_gradient(x, lam)


def frozen(x, lam):
    return revgrad.reverse(x, getattr(lam, "value", lam))


WRONG = [
    ("identity", folklore),
    ("any_cotangent", SignLost.reverse),
    ("any_cotangent", CotangentIgnored.reverse),
    ("second_order", SecondOrderWrong.reverse),
    ("survives_rewriting", grad_scale),
    ("variable_shows", frozen),
    ("zero_overhead", folklore),
    ("known_lambda_rejected", any_constant),
]
if not hasattr(ReverseGradient.__mro__[2], "pullback"):  # PyTensor 3 casts it back by itself
    WRONG.append(("dtype_of_x", DtypeRaised.reverse))


@pytest.mark.parametrize("check, wrong", WRONG)
def test_a_wrong_reversal_is_caught(check, wrong):
    result = run_check(check, WrongHarness(wrong))
    assert result.outcome == "failed"
    assert isinstance(result.error.__context__, Mismatch), result.reason


@pytest.mark.parametrize(
    "check, wrong",
    [
        ("scaled_gradient", reverse_gradient),
        ("scaled_transforms", SecondOrderWrong.scale_gradient),
    ],
)
def test_a_wrong_scaling_is_caught(check, wrong):
    result = run_check(check, WrongHarness(reverse_gradient, wrong))
    assert result.outcome == "failed"
    assert isinstance(result.error.__context__, Mismatch), result.reason


def test_a_dtype_that_is_raised_is_never_silent():
    x = pt.fvector()
    gradient = pytensor.grad(SignLost.reverse(x, 0.1).sum(), x)
    assert gradient.dtype == "float32" and np.dtype(gradient.dtype) == np.float32
