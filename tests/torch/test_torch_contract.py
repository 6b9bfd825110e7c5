"""The contract on PyTorch: our reversal keeps every clause, and each check can fail."""

import pytest
import torch
from support.checks import assert_caught, harness_of

from revgrad.testing import conformance, run_check
from revgrad_torch import GradientReversal, reverse_gradient
from revgrad_torch.testing import EagerTorchHarness, TorchHarness


@conformance("torch")
def test_reverse(check):
    check()


# Every night: every check has passed above, and the wrong reversals below meet this harness.
@pytest.mark.slow
@conformance(EagerTorchHarness())
def test_reverse_in_eager_mode(check):
    check()


@pytest.mark.parametrize(
    "check",
    "identity any_cotangent zero_lambda double_reversal stay_apart invalid_lambda_rejected".split(),
)
def test_the_module_keeps_the_clauses_on_values(check):
    harness = harness_of(EagerTorchHarness, reverse=lambda x, lam: GradientReversal(lam)(x))
    harness.dtypes = ("float32",)  # that of its buffer
    assert run_check(check, harness).outcome == "passed"


# --- reversals that are wrong on purpose ----------------------------------------------------------


def pasted(forward=lambda x: x.view_as(x), backward=torch.mul):
    """Return the snippet that is pasted: right, until the program is exported or transformed."""

    class Pasted(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, lam):
            ctx.factor = -lam
            return forward(x)

        @staticmethod
        def backward(ctx, g):
            return backward(g, ctx.factor), None

    return Pasted.apply


def folklore(x, lam):
    reverse_gradient(x, lam)
    return (1 + lam) * x.detach() - lam * x


def reads_late(x, lam):
    y = reverse_gradient(x, 1.0)
    y.register_hook(lambda g: g * float(lam))
    return y


class PlainModule(torch.nn.Module):
    """A module with λ in a buffer, as it is written down first."""

    def __init__(self, lam):
        super().__init__()
        self.register_buffer("lam", torch.tensor(float(lam)))

    def forward(self, x):
        return reverse_gradient(x, self.lam)


WRONG = [
    ("in_place_writes", {"reverse": pasted(torch.Tensor.detach)}),
    ("known_lambda_rejected", {"reverse": pasted()}),
    ("several_outputs", {"reverse": pasted(torch.Tensor.detach)}),
    ("several_outputs", {"reverse": pasted(torch.clone)}),  # with inductor
    ("identity", {"reverse": folklore}),
    ("no_copy", {"reverse": pasted(torch.clone)}),
    ("forward_mode", {"reverse": pasted()}),
    ("second_order", {"reverse": pasted(backward=lambda g, factor: (g * factor).detach())}),
    ("vectorised", {"reverse": pasted()}),
    ("copies_reverse", {"reverse": pasted()}),
    ("survives_rewriting", {"reverse": pasted()}),
    ("variable_at_forward", {"reverse": reads_late}),
    ("zero_overhead", {"reverse": folklore}),
    ("layers_keep_lambda", {"module": PlainModule}),
    ("assigned_lambda", {"module": PlainModule}),
]


@pytest.mark.parametrize("check, wrong", WRONG)
def test_a_wrong_reversal_is_caught(check, wrong):
    assert run_check(check, harness_of(EagerTorchHarness, **wrong)).outcome == "failed"


def test_a_lambda_that_is_read_while_it_is_traced_is_caught():
    by_number = lambda x, lam: reverse_gradient(x, float(lam))
    assert_caught("compiled_once", harness_of(TorchHarness, reverse=by_number))
