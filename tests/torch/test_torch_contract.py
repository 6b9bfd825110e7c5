"""The contract on PyTorch: our reversal keeps every clause, and each check can fail."""

import pytest
import torch

import revgrad
from revgrad.testing import CHECKS, conformance, run_check
from revgrad_torch import GradientReversal, reverse_gradient
from revgrad_torch.native import native
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
    "double_reversal",
    "stay_apart",
    "invalid_lambda_rejected",
]


@pytest.mark.parametrize("check", CLAUSES_ON_VALUES)
def test_the_module_keeps_the_clauses_on_values(check):
    harness = OtherHarness(by_module)
    harness.dtypes = ("float32",)  # that of its buffer
    assert run_check(check, harness).outcome == "passed"


# --- reversals that are wrong on purpose ----------------------------------------------------------


def by_function(backward, forward=torch.Tensor.detach):
    """Return a reversal made of an autograd Function, which validates as ours does."""

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, factor):
            ctx.factor = factor
            return forward(x)

        @staticmethod
        def backward(ctx, g):
            return backward(g, ctx.factor), None

    def reverse(x, lam):
        reverse_gradient(x, lam)
        return Wrong.apply(x, -revgrad.backend.resolve(x, lam, native))

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


def by_number(x, lam):
    return reverse_gradient(x, lam.item() if isinstance(lam, torch.Tensor) else lam)


def trusting(x, lam):
    if isinstance(lam, torch.Tensor):
        return Hidden.apply(x, lam)
    return reverse_gradient(x, lam)


WRONG = [
    ("in_place_writes", by_function(right)),
    ("known_lambda_rejected", trusting),
    ("several_outputs", by_function(right)),
    ("several_outputs", by_function(right, torch.clone)),  # with inductor
    ("identity", folklore),
    ("no_copy", by_function(right, torch.clone)),
    ("forward_mode", Hidden.apply),
    ("second_order", by_function(lambda g, factor: (g * factor).detach())),
    ("vectorised", Hidden.apply),
    ("copies_reverse", Hidden.apply),
    ("survives_rewriting", Hidden.apply),
    ("variable_at_forward", reads_late),
    ("zero_overhead", folklore),
]


@pytest.mark.parametrize("check, wrong", WRONG)
def test_a_wrong_reversal_is_caught(check, wrong):
    assert check in CHECKS
    assert run_check(check, OtherHarness(wrong)).outcome == "failed"


class PlainModule(torch.nn.Module):
    """A module with λ in a buffer, as it is written down first."""

    def __init__(self, lam):
        super().__init__()
        self.register_buffer("lam", torch.tensor(float(lam)))

    def forward(self, x):
        return reverse_gradient(x, self.lam)


@pytest.mark.parametrize("check", ["layers_keep_lambda", "assigned_lambda"])
def test_a_wrong_module_is_caught(check):
    harness = OtherHarness(reverse_gradient)
    harness.module = PlainModule
    assert run_check(check, harness).outcome == "failed"


def test_a_lambda_that_is_read_while_it_is_traced_is_caught():
    assert run_check("compiled_once", OtherCompiledHarness(by_number)).outcome == "failed"
