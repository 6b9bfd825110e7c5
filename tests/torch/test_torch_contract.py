"""The contract on PyTorch: our reversal keeps every clause, and each check can fail."""

import pytest
import torch

import revgrad
from revgrad.testing import conformance, run_check
from revgrad_torch import GradientReversal, reverse_gradient
from revgrad_torch.native import native
from revgrad_torch.testing import EagerTorchHarness, TorchHarness


@conformance("torch")
def test_reverse(check):
    check()


# Every night: every check has passed above, and the wrong reversals below meet this harness.
@pytest.mark.slow
@conformance(EagerTorchHarness())
def test_reverse_in_eager_mode(check):
    check()


class OtherHarness(EagerTorchHarness):
    """Puts another function of x and λ, or another module, to the checks."""

    examples = 0
    expected_failures = {}

    def __init__(self, reverse=reverse_gradient, module=GradientReversal):
        self.reverse, self.module = reverse, module


class OtherCompiledHarness(OtherHarness):
    """The same, compiled."""

    program = TorchHarness.program


@pytest.mark.parametrize(
    "check",
    "identity any_cotangent zero_lambda double_reversal stay_apart invalid_lambda_rejected".split(),
)
def test_the_module_keeps_the_clauses_on_values(check):
    harness = OtherHarness(lambda x, lam: GradientReversal(lam)(x))
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


class PlainModule(torch.nn.Module):
    """A module with λ in a buffer, as it is written down first."""

    def __init__(self, lam):
        super().__init__()
        self.register_buffer("lam", torch.tensor(float(lam)))

    def forward(self, x):
        return reverse_gradient(x, self.lam)


WRONG = [
    ("in_place_writes", OtherHarness(by_function(torch.mul))),
    ("known_lambda_rejected", OtherHarness(trusting)),
    ("several_outputs", OtherHarness(by_function(torch.mul))),
    ("several_outputs", OtherHarness(by_function(torch.mul, torch.clone))),  # with inductor
    ("identity", OtherHarness(folklore)),
    ("no_copy", OtherHarness(by_function(torch.mul, torch.clone))),
    ("forward_mode", OtherHarness(Hidden.apply)),
    ("second_order", OtherHarness(by_function(lambda g, factor: (g * factor).detach()))),
    ("vectorised", OtherHarness(Hidden.apply)),
    ("copies_reverse", OtherHarness(Hidden.apply)),
    ("survives_rewriting", OtherHarness(Hidden.apply)),
    ("variable_at_forward", OtherHarness(reads_late)),
    ("zero_overhead", OtherHarness(folklore)),
    ("layers_keep_lambda", OtherHarness(module=PlainModule)),
    ("assigned_lambda", OtherHarness(module=PlainModule)),
    # A λ that is read while it is traced.
    ("compiled_once", OtherCompiledHarness(by_number)),
]


@pytest.mark.parametrize("check, harness", WRONG)
def test_a_wrong_reversal_is_caught(check, harness):
    assert run_check(check, harness).outcome == "failed"
