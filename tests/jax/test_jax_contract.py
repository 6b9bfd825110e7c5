"""The contract on JAX: our reversal keeps every clause, and each check can fail."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import revgrad
from revgrad.testing import CHECKS, conformance, run_check
from revgrad.testing._check import Mismatch
from revgrad_jax import reverse_gradient
from revgrad_jax.ops import _as_lambda
from revgrad_jax.testing import JaxHarness


@conformance("jax")
def test_reverse(check):
    check()


class WrongHarness(JaxHarness):
    """Puts another function of x and λ to the checks."""

    examples = 0

    def __init__(self, reverse):
        super().__init__()
        self.reverse = reverse


@conformance(WrongHarness(reverse_gradient))
def test_the_function(check):
    check()


# --- reversals that are wrong on purpose ----------------------------------------------------------


def by_rule(rule):
    """Return a reversal with another rule for the tangent."""

    @jax.custom_jvp
    def op(x, lam):
        return x

    op.defjvp(lambda primals, tangents: rule(op, *primals, *tangents))

    def reverse(x, lam):
        reverse_gradient(x, lam)  # judges
        if isinstance(lam, revgrad.LambdaVariable):
            lam = lam.value
        return op(x, _as_lambda(revgrad.backend.normalize_lambda(lam), x))

    return reverse


def sign_lost(op, x, lam, t, lam_t):
    return op(x, lam), lam * t


def dtype_of_lam(op, x, lam, t, lam_t):
    return op(x, lam), (-lam.astype("float16") * t).astype(t.dtype)


def not_for_half(op, x, lam, t, lam_t):
    factor = -lam if t.dtype.itemsize > 2 else (-lam * 1.01).astype(t.dtype)
    return op(x, lam), factor * t


def x_in_the_rule(op, x, lam, t, lam_t):
    """The rule that is pasted: it returns x itself, and the second derivative is -λ·f''."""
    return x, -lam * t


def learnable(op, x, lam, t, lam_t):
    return op(x, lam), -lam * t - (0 * x + lam_t) * x


def backwards_only(x, lam, pullback=lambda lam, g: -lam * g):
    @jax.custom_vjp
    def op(x):
        return x

    op.defvjp(lambda x: (x, None), lambda _, g: (pullback(_as_lambda(lam, x), g),))
    reverse_gradient(x, lam)
    return op(x)


def not_for_inf(x, lam):
    return backwards_only(x, lam, lambda lam, g: jnp.where(jnp.isfinite(g), -lam * g, 0))


def folklore(x, lam):
    reverse_gradient(x, lam)
    lam = _as_lambda(revgrad.backend.normalize_lambda(lam), x)
    return (1 + lam) * jax.lax.stop_gradient(x) - lam * x


def copies(x, lam):
    return jnp.array(reverse_gradient(x, lam), copy=True)


def frozen(x, lam):
    return reverse_gradient(x, getattr(lam, "value", lam))


def any_lam(x, lam):
    good = isinstance(lam, (float, jax.Array)) and not isinstance(lam, np.generic)
    return reverse_gradient(x, lam if good and np.all(np.asarray(lam) >= 0) else 1.0)


WRONG = [
    ("identity", folklore),
    ("no_copy", copies),
    ("any_cotangent", by_rule(sign_lost)),
    ("any_cotangent", not_for_inf),
    ("dtype_of_x", by_rule(dtype_of_lam)),
    ("half_precision", by_rule(not_for_half)),
    ("no_gradient_for_lambda", by_rule(learnable)),
    ("variable_shows", frozen),
    ("second_order", by_rule(x_in_the_rule)),
    ("zero_overhead", folklore),
    ("judged", any_lam),
]


@pytest.mark.parametrize("check, wrong", WRONG)
def test_a_wrong_reversal_is_caught(check, wrong):
    assert check in CHECKS
    result = run_check(check, WrongHarness(wrong))
    assert result.outcome == "failed"
    assert isinstance(result.error.__context__, Mismatch), result.reason


def test_forward_mode_of_a_rule_for_reverse_mode_alone_is_an_error():
    result = run_check("forward_mode", WrongHarness(backwards_only))
    assert result.outcome == "failed" and "custom_vjp" in result.reason
