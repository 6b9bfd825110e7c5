"""The contract on JAX: our reversal keeps every clause, and each check can fail."""

import jax
import jax.numpy as jnp
import pytest
from support.checks import assert_caught, harness_of

from revgrad.testing import conformance
from revgrad_jax import reverse_gradient
from revgrad_jax.testing import JaxHarness


@conformance("jax")
def test_reverse(check):
    check()


# --- reversals that are wrong on purpose ----------------------------------------------------------


def by_rule(rule):
    """Return a function of x and λ with another rule for their tangents t and s."""
    op = jax.custom_jvp(lambda x, lam: x)
    op.defjvp(lambda primals, tangents: rule(op, *primals, *tangents))
    return op


def folklore(x, lam):
    return (1 + lam) * jax.lax.stop_gradient(x) - lam * x


WRONG = [
    ("identity", folklore),
    ("no_copy", lambda x, lam: jnp.array(reverse_gradient(x, lam), copy=True)),
    ("no_gradient_for_lambda", by_rule(lambda op, x, lam, t, s: (op(x, lam), -lam * t - s * x))),
    ("forward_mode", by_rule(lambda op, x, lam, t, s: (op(x, lam), lam * t))),
    # The rule that is pasted: it returns x itself, and the second derivative is -λ·f''.
    ("second_order", by_rule(lambda op, x, lam, t, s: (x, -lam * t))),
    ("zero_overhead", folklore),
]


@pytest.mark.parametrize("check, wrong", WRONG)
def test_a_wrong_reversal_is_caught(check, wrong):
    assert_caught(check, harness_of(JaxHarness, reverse=wrong))
