"""The contract on TensorFlow: our reversal keeps every clause, and each check can fail."""

import pytest
import tensorflow as tf
from support.checks import assert_caught, harness_of

import revgrad
from revgrad.testing import conformance
from revgrad_tensorflow import reverse_gradient
from revgrad_tensorflow.testing import TensorflowHarness

UNCOMPILED = {"compiled_once": "nothing is compiled"}


@conformance("tensorflow")
def test_reverse(check):
    check()


@conformance(harness_of(TensorflowHarness, mode="xla", examples=5))
def test_with_xla(check):
    check()


@conformance(harness_of(TensorflowHarness, mode="eager", expected_failures=UNCOMPILED))
def test_without_tracing(check):
    check()


# --- reversals that are wrong on purpose ----------------------------------------------------------


def by_rule(pullback):
    """Return a bare custom gradient with another pullback."""
    op = tf.custom_gradient(lambda x, lam: (tf.identity(x), lambda g: pullback(x, lam, g)))
    return lambda x, lam: op(x, tf.convert_to_tensor(lam, x.dtype))


def folklore(x, lam):
    return (1 + lam) * tf.stop_gradient(x) - lam * x


def late(x, lam):
    """Read a `LambdaVariable` at the backward pass."""
    return tf.custom_gradient(lambda x: (tf.identity(x), lambda g: -lam.value * g))(x)


# TensorFlow loses it silently: where it is no longer caught, `reverse_gradient` may be one.
bare = by_rule(lambda x, lam, g: (-lam * g, None))
WRONG = [
    ("identity", folklore),
    ("no_copy", lambda x, lam: tf.raw_ops.DeepCopy(x=reverse_gradient(x, lam))),
    ("no_gradient_for_lambda", by_rule(lambda x, lam, g: (-lam * g, -tf.reduce_sum(x * g)))),
    ("forward_mode", bare),
    ("second_order", by_rule(lambda x, lam, g: (tf.stop_gradient(-lam * g), None))),
    ("variable_at_forward", late),
    ("vectorised", bare),
    ("zero_overhead", folklore),
]


@pytest.mark.parametrize("check, wrong", WRONG)
def test_a_wrong_reversal_is_caught(check, wrong):
    assert_caught(check, harness_of(TensorflowHarness, reverse=wrong))


def test_the_claims_hold_no_private_name():
    claims = revgrad.backends["tensorflow"].claims
    assert all(claim.startswith("tensorflow:") for claim in claims)
