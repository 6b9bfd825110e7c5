"""The contract on MLX: our reversal keeps every clause, and each check can fail."""

import mlx.core as mx
import pytest
from support.checks import assert_caught

from revgrad.backend import resolve
from revgrad.testing import conformance, run_check
from revgrad_mlx import GradientReversal, reverse_gradient, scale_gradient
from revgrad_mlx.native import native
from revgrad_mlx.testing import EagerMlxHarness, MlxHarness


@conformance("mlx")
def test_compiled(check):
    check()


@conformance(EagerMlxHarness())
def test_eager(check):
    check()


class Float32Harness(MlxHarness):
    dtypes, expected_failures = ("float32",), {}


def test_a_schedule_in_single_precision():
    result = run_check("schedule_in_graph", Float32Harness())
    assert result.outcome == "passed", result.reason


class WrongHarness(EagerMlxHarness):
    """Puts other functions to the checks."""

    examples, expected_failures = 0, {}

    def __init__(self, reverse=reverse_gradient, scale=scale_gradient, module=GradientReversal):
        super().__init__()
        self.reverse, self.scale_gradient, self.module = reverse, scale, module


# --- reversals that are wrong on purpose ----------------------------------------------------------


def by_rules(vjp, jvp=None, vmap=None, signed=False):
    """Return a function of x and λ, or x and a factor, with other rules."""

    @mx.custom_function
    def op(x, lam):
        return x

    op.vjp(lambda primals, g, _: (vjp(primals[1], g), mx.zeros_like(primals[1])))
    if jvp:
        op.jvp(lambda primals, tangents: jvp(primals[1], tangents[0]))
    if vmap:
        op.vmap(lambda inputs, axes: (inputs[0], axes[0]))
    return lambda x, lam: op(x, resolve(x, lam, native, signed))


def right(lam, g):
    return -lam * g


def learnable(x, lam):
    return reverse_gradient(x, lam) + 0 * lam * x + lam - mx.stop_gradient(mx.array(lam))


class Trainable(GradientReversal):
    _no_grad = None


class Unvalidated(GradientReversal):
    def __setitem__(self, name, value):
        dict.__setitem__(self, name, mx.abs(mx.array(value)))


WRONG = [
    ("forward_mode", by_rules(right)),  # without a rule MLX pushes +t
    ("forward_mode", by_rules(right, lambda lam, t: lam * t)),
    ("vectorised", by_rules(right, right)),
    ("vectorised", by_rules(right, right, vmap=True)),  # differentiates the batch as the identity
    ("second_order", by_rules(lambda lam, g: -lam * mx.stop_gradient(g), right)),
    ("no_gradient_for_lambda", learnable),
    ("zero_overhead", reverse_gradient),
]


@pytest.mark.parametrize("check, wrong", WRONG)
def test_a_wrong_reversal_is_caught(check, wrong):
    assert_caught(check, WrongHarness(wrong))


@pytest.mark.parametrize(
    "check, module", [("layers_keep_lambda", Trainable), ("assigned_lambda", Unvalidated)]
)
def test_a_wrong_module_is_caught(check, module):
    assert run_check(check, WrongHarness(module=module)).outcome == "failed"


def test_a_wrong_scaling_is_caught():
    wrong = by_rules(lambda c, g: c * g, lambda c, t: t, signed=True)
    assert run_check("scaled_transforms", WrongHarness(scale=wrong)).outcome == "failed"
    assert run_check("scaled_gradient", WrongHarness(scale=reverse_gradient)).outcome == "failed"
