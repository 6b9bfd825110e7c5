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


def by_rules(vjp, jvp=None, vmap=None):
    """Return a function of x and λ, or x and a factor, with other rules."""

    @mx.custom_function
    def op(x, lam):
        return x

    op.vjp(lambda primals, g, _: (vjp(primals[1], g), mx.zeros_like(primals[1])))
    if jvp:
        op.jvp(lambda primals, tangents: jvp(primals[1], tangents[0]))
    if vmap:
        op.vmap(lambda inputs, axes: (inputs[0], axes[0]))
    return lambda x, lam: op(x, resolve(x, lam, native, signed=True))


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
    # Without a rule MLX pushes +t, and differentiates a batch as the identity.
    ("forward_mode", "reverse", by_rules(right)),
    ("forward_mode", "reverse", by_rules(right, lambda lam, t: lam * t)),
    ("vectorised", "reverse", by_rules(right, right)),
    ("vectorised", "reverse", by_rules(right, right, vmap=True)),
    ("second_order", "reverse", by_rules(lambda lam, g: -lam * mx.stop_gradient(g), right)),
    ("no_gradient_for_lambda", "reverse", learnable),
    ("zero_overhead", "reverse", reverse_gradient),
    ("scaled_gradient", "scale_gradient", lambda x, c: reverse_gradient(x, abs(c))),
    ("scaled_transforms", "scale_gradient", by_rules(lambda c, g: c * g, lambda c, t: c * t)),
    ("layers_keep_lambda", "module", Trainable),
    ("assigned_lambda", "module", Unvalidated),
]


@pytest.mark.parametrize("check, part, wrong", WRONG)
def test_what_is_wrong_is_caught(check, part, wrong):
    assert_caught(check, harness_of(EagerMlxHarness, **{part: wrong}), AssertionError)
