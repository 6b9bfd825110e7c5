"""The contract on MLX: our reversal keeps every clause, and each check can fail."""

import mlx.core as mx
import pytest
from support.checks import assert_caught, harness_of

from revgrad.backend import resolve
from revgrad.testing import conformance, run_check
from revgrad_mlx import GradientReversal, reverse_gradient
from revgrad_mlx.native import native
from revgrad_mlx.testing import EagerMlxHarness, MlxHarness


@conformance("mlx")
def test_compiled(check):
    check()


@conformance(EagerMlxHarness())
def test_eager(check):
    check()


def test_a_schedule_in_single_precision():
    result = run_check("schedule_in_graph", harness_of(MlxHarness, dtypes=("float32",)))
    assert result.outcome == "passed", result.reason


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
    assert_caught(check, harness_of(EagerMlxHarness, reverse=wrong))


wrong_scale = by_rules(lambda c, g: c * g, lambda c, t: t, signed=True)


@pytest.mark.parametrize(
    "check, wrong",
    [
        ("layers_keep_lambda", {"module": Trainable}),
        ("assigned_lambda", {"module": Unvalidated}),
        ("scaled_transforms", {"scale_gradient": wrong_scale}),
        ("scaled_gradient", {"scale_gradient": reverse_gradient}),
    ],
)
def test_a_wrong_module_or_scaling_is_caught(check, wrong):
    assert run_check(check, harness_of(EagerMlxHarness, **wrong)).outcome == "failed"
