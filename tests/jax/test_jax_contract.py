"""The contract on JAX: our reversal keeps every clause, and each check can fail."""

import jax
import jax.numpy as jnp
import pytest

import revgrad
from revgrad.backend import resolve
from revgrad.testing import CHECKS, conformance, run_check
from revgrad.testing._check import Mismatch
from revgrad_jax import reverse_gradient, scale_gradient
from revgrad_jax.native import native
from revgrad_jax.testing import JaxHarness


@conformance("jax")
def test_reverse(check):
    check()


class WrongHarness(JaxHarness):
    """Puts other functions to the checks."""

    examples = 0

    def __init__(self, reverse, scale=scale_gradient):
        super().__init__()
        self.reverse, self.scale_gradient = reverse, scale


@conformance(WrongHarness(reverse_gradient))
def test_the_functions(check):
    check()


# --- reversals that are wrong on purpose ----------------------------------------------------------


def by_rule(rule, signed=False):
    """Return a function of x and λ, or x and a factor, with another rule for the tangent."""

    @jax.custom_jvp
    def op(x, lam):
        return x

    op.defjvp(lambda primals, tangents: rule(op, *primals, *tangents))

    def reverse(x, lam):
        return op(x, resolve(x, lam, native, signed))

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

    resolved = resolve(x, lam, native)
    op.defvjp(lambda x: (x, None), lambda _, g: (pullback(resolved, g),))
    return op(x)


def not_for_inf(x, lam):
    return backwards_only(x, lam, lambda lam, g: jnp.where(jnp.isfinite(g), -lam * g, 0))


def folklore(x, lam):
    lam = resolve(x, lam, native)
    one = jnp.ones((), x.dtype)  # 1 + lam is float64 with an old NumPy
    return (one + lam) * jax.lax.stop_gradient(x) - lam * x


def copies(x, lam):
    return jnp.array(reverse_gradient(x, lam), copy=True)


def frozen(x, lam):
    return reverse_gradient(x, getattr(lam, "value", lam))


def any_lam(x, lam):
    try:
        return reverse_gradient(x, lam)
    except revgrad.InvalidLambdaError:
        return x


def any_array(x, lam):
    if isinstance(lam, jax.Array) and not isinstance(lam, jax.core.Tracer):
        lam = jnp.abs(jnp.nan_to_num(lam, posinf=0))
    return reverse_gradient(x, lam)


def any_number(x, factor):
    return scale_gradient(x, 1.0 if isinstance(factor, str) else factor)


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
    ("invalid_lambda_rejected", any_lam),
    ("known_lambda_rejected", any_array),
]


@pytest.mark.parametrize("check, wrong", WRONG)
def test_a_wrong_reversal_is_caught(check, wrong):
    assert check in CHECKS
    result = run_check(check, WrongHarness(wrong))
    assert result.outcome == "failed"
    assert isinstance(result.error.__context__, Mismatch), result.reason


@pytest.mark.parametrize(
    "check, wrong",
    [
        ("scaled_gradient", reverse_gradient),
        ("invalid_factor_rejected", any_number),
        ("scaled_transforms", by_rule(lambda op, x, c, t, _: (x, c * t), signed=True)),
    ],
)
def test_a_wrong_scaling_is_caught(check, wrong):
    result = run_check(check, WrongHarness(reverse_gradient, wrong))
    assert result.outcome == "failed"
    assert isinstance(result.error.__context__, Mismatch), result.reason


def test_forward_mode_of_a_rule_for_reverse_mode_alone_is_an_error():
    result = run_check("forward_mode", WrongHarness(backwards_only))
    assert result.outcome == "failed" and "custom_vjp" in result.reason
