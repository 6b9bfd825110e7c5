"""The contract on TensorFlow: our reversal keeps every clause, and each check can fail."""

import numpy as np
import pytest
import tensorflow as tf
from support.checks import assert_caught

import revgrad
from revgrad.backend import resolve
from revgrad.testing import conformance
from revgrad_tensorflow import reverse_gradient
from revgrad_tensorflow.native import native
from revgrad_tensorflow.testing import TensorflowHarness


@conformance("tensorflow")
def test_reverse(check):
    check()


class XlaHarness(TensorflowHarness):
    """Compiles with XLA."""

    mode = "xla"
    examples = 5


@conformance(XlaHarness())
def test_with_xla(check):
    check()


class OtherHarness(TensorflowHarness):
    """Puts another function of x and λ to the checks."""

    examples = 0

    def __init__(self, reverse=reverse_gradient):
        super().__init__()
        self.reverse = reverse


class EagerHarness(OtherHarness):
    """Traces nothing."""

    mode = "eager"
    expected_failures = {"compiled_once": "nothing is compiled"}


@conformance(EagerHarness())
def test_the_function_without_tracing(check):
    check()


# --- reversals that are wrong on purpose ----------------------------------------------------------


def by_rule(pullback):
    """Return a bare custom gradient with another pullback."""

    @tf.custom_gradient
    def op(x, lam):
        return tf.identity(x), lambda g: pullback(x, lam, g)

    def reverse(x, lam):
        return op(x, resolve(x, lam, native))

    return reverse


bare = by_rule(lambda x, lam, g: (-lam * g, None))
learnable = by_rule(lambda x, lam, g: (-lam * g, -tf.reduce_sum(x * g)))
first_order = by_rule(lambda x, lam, g: (tf.stop_gradient(-lam * g), None))


def folklore(x, lam):
    lam = resolve(x, lam, native)
    return (1 + lam) * tf.stop_gradient(x) - lam * x


def copies(x, lam):
    return tf.raw_ops.DeepCopy(x=reverse_gradient(x, lam))


WRONG = [
    ("identity", folklore),
    ("no_copy", copies),
    ("no_gradient_for_lambda", learnable),
    ("forward_mode", bare),
    ("second_order", first_order),
    ("vectorised", bare),
    ("zero_overhead", folklore),
]


@pytest.mark.parametrize("check, wrong", WRONG)
def test_a_wrong_reversal_is_caught(check, wrong):
    assert_caught(check, OtherHarness(wrong))


def test_a_lam_that_is_read_at_the_backward_pass_is_caught():
    def late(x, lam):
        if isinstance(lam, float):
            return reverse_gradient(x, lam)
        op = tf.custom_gradient(lambda x: (tf.identity(x), lambda g: -lam.value * g))
        return op(x)

    assert_caught("variable_at_forward", EagerHarness(late))


def test_a_bare_custom_gradient_is_silently_lost():
    """Why `reverse_gradient` is more than one: when this fails, it may become simpler."""
    x = tf.Variable([1.0, 2.0])
    with tf.autodiff.ForwardAccumulator(x, tf.ones(2)) as accumulator, tf.GradientTape() as tape:
        y = bare(x, 0.5)
        batched = tf.vectorized_map(lambda x: bare(x, 0.5), tf.identity(x))
    np.testing.assert_array_equal(accumulator.jvp(y), [1, 1])
    np.testing.assert_array_equal(tape.gradient(batched, x), [1, 1])


def test_the_claims_hold_no_private_name():
    claims = revgrad.backends["tensorflow"].claims
    assert all(claim.startswith("tensorflow:") for claim in claims)
