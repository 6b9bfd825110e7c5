"""The contract on JAX: our reversal keeps every clause, and each check can fail."""

import jax
import jax.numpy as jnp
import pytest
from support.checks import assert_caught, harness_of

from revgrad.backend import resolve
from revgrad.testing import conformance, run_check
from revgrad_jax import reverse_gradient, scale_gradient
from revgrad_jax.native import native
from revgrad_jax.testing import JaxHarness


@conformance("jax")
def test_reverse(check):
    check()


@conformance(harness_of(JaxHarness, reverse=reverse_gradient, scale_gradient=scale_gradient))
def test_the_functions(check):
    check()


# --- reversals that are wrong on purpose ----------------------------------------------------------


def by_rule(rule):
    """Return a function of x and λ with another rule for the tangent."""

    @jax.custom_jvp
    def op(x, lam):
        return x

    op.defjvp(lambda primals, tangents: rule(op, *primals, *tangents))
    return lambda x, lam: op(x, resolve(x, lam, native))


def x_in_the_rule(op, x, lam, t, lam_t):
    """The rule that is pasted: it returns x itself, and the second derivative is -λ·f''."""
    return x, -lam * t


def learnable(op, x, lam, t, lam_t):
    return op(x, lam), -lam * t - (0 * x + lam_t) * x


def backwards_only(x, lam):
    @jax.custom_vjp
    def op(x):
        return x

    resolved = resolve(x, lam, native)
    op.defvjp(lambda x: (x, None), lambda _, g: (-resolved * g,))
    return op(x)


def folklore(x, lam):
    lam = resolve(x, lam, native)
    one = jnp.ones((), x.dtype)  # 1 + lam is float64 with an old NumPy
    return (one + lam) * jax.lax.stop_gradient(x) - lam * x


WRONG = [
    ("identity", folklore),
    ("no_copy", lambda x, lam: jnp.array(reverse_gradient(x, lam), copy=True)),
    ("no_gradient_for_lambda", by_rule(learnable)),
    ("second_order", by_rule(x_in_the_rule)),
    ("zero_overhead", folklore),
]


@pytest.mark.parametrize("check, wrong", WRONG)
def test_a_wrong_reversal_is_caught(check, wrong):
    assert_caught(check, harness_of(JaxHarness, reverse=wrong))


def test_forward_mode_of_a_rule_for_reverse_mode_alone_is_an_error():
    result = run_check("forward_mode", harness_of(JaxHarness, reverse=backwards_only))
    assert result.outcome == "failed" and "custom_vjp" in result.reason
