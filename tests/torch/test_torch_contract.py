"""The contract on PyTorch: our reversal keeps every clause, and each check can fail."""

import pytest
import torch

import revgrad
from revgrad.testing import CHECKS, conformance, run_check
from revgrad_torch import GradientReversal, reverse_gradient
from revgrad_torch.ops import _factor
from revgrad_torch.testing import EagerTorchHarness, TorchHarness


@conformance("torch")
def test_reverse(check):
    check()


@conformance(EagerTorchHarness())
def test_reverse_in_eager_mode(check):
    check()


class OtherHarness(EagerTorchHarness):
    """Puts another function of x and λ to the checks."""

    examples = 0
    expected_failures = {}

    def __init__(self, reverse):
        self.reverse = reverse


class OtherCompiledHarness(OtherHarness):
    """The same, compiled."""

    program = TorchHarness.program


def by_module(x, lam):
    return GradientReversal(lam)(x)


CLAUSES_ON_VALUES = [
    "identity",
    "any_cotangent",
    "zero_lambda",
    "twice",
    "stay_apart",
    "invalid_lambda_rejected",
]


@pytest.mark.parametrize("check", CLAUSES_ON_VALUES)
def test_the_module_keeps_the_clauses_on_values(check):
    harness = OtherHarness(by_module)
    harness.dtypes = ("float32",)  # that of its buffer
    assert run_check(check, harness).outcome == "passed"


# --- reversals that are wrong on purpose ----------------------------------------------------------


def by_function(backward, forward=torch.Tensor.detach, pushed=None):
    """Return a reversal made of an autograd Function, which validates as ours does."""

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, factor):
            ctx.factor = factor
            return forward(x)

        @staticmethod
        def backward(ctx, g):
            return backward(g, ctx.factor), None

    if pushed:
        Wrong.jvp = staticmethod(lambda ctx, t, _: pushed(t, ctx.factor))

    def reverse(x, lam):
        reverse_gradient(x, lam)
        lam = lam.value if isinstance(lam, revgrad.LambdaVariable) else lam
        return Wrong.apply(x, _factor(revgrad.backend.normalize_lambda(lam), x))

    return reverse


def right(g, factor):
    return g * factor


class Hidden(torch.autograd.Function):
    """The snippet that is pasted: right, until the program is exported or transformed."""

    @staticmethod
    def forward(ctx, x, lam):
        ctx.lam = lam
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return g.neg() * ctx.lam, None


def folklore(x, lam):
    reverse_gradient(x, lam)
    return (1 + lam) * x.detach() - lam * x


def reads_late(x, lam):
    if isinstance(lam, revgrad.LambdaVariable):
        y = reverse_gradient(x, 1.0)
        y.register_hook(lambda g: g * lam.value)
        return y
    return reverse_gradient(x, lam)


def frozen(x, lam):
    return reverse_gradient(x, 0.5 if isinstance(lam, revgrad.LambdaVariable) else lam)


def by_number(x, lam):
    return reverse_gradient(x, lam.item() if isinstance(lam, torch.Tensor) else lam)


WRONG = [
    ("identity", folklore),
    ("no_copy", by_function(right, torch.clone)),
    ("any_cotangent", by_function(lambda g, factor: g * -factor)),
    ("any_cotangent", by_function(lambda g, factor: torch.nan_to_num(g) * factor)),
    ("dtype_of_x", by_function(lambda g, factor: (g.half() * factor).to(g.dtype))),
    ("half_precision", by_function(lambda g, factor: g * -0.3)),
    ("zero_lambda", by_function(lambda g, factor: g * factor if factor else None)),
    ("twice", by_function(lambda g, factor: -abs(g) * abs(factor))),
    ("forward_mode", by_function(right, pushed=lambda t, factor: t * -factor)),
    ("forward_mode", Hidden.apply),
    ("second_order", by_function(lambda g, factor: (g * factor).detach())),
    ("vectorised", Hidden.apply),
    ("copies_reverse", Hidden.apply),
    ("survives_rewriting", Hidden.apply),
    ("variable_at_forward", reads_late),
    ("variable_shows", frozen),
    ("zero_overhead", folklore),
]


@pytest.mark.parametrize("check, wrong", WRONG)
def test_a_wrong_reversal_is_caught(check, wrong):
    assert check in CHECKS
    assert run_check(check, OtherHarness(wrong)).outcome == "failed"


def test_a_lambda_that_is_read_while_it_is_traced_is_caught():
    assert run_check("compiled_once", OtherCompiledHarness(by_number)).outcome == "failed"
