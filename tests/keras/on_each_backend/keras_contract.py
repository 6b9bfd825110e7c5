"""The contract on Keras: our reversal keeps every clause, and each check can fail."""

import keras
import pytest
from support.checks import assert_caught, harness_of

import revgrad
from revgrad.testing import conformance
from revgrad_keras import GradientReversal, GradientScale
from revgrad_keras.testing import KerasHarness


@conformance("keras")
def test_reverse(check):
    check()


class LayerHarness(KerasHarness):
    """Puts a layer to the checks, without the dispatch."""

    examples = 0
    expected_failures = dict.fromkeys(
        ["lambda_array", "scaled_by_array"], "a layer takes a number, or a tensor beside its input"
    )

    def reverse(self, x, lam):
        if isinstance(lam, keras.KerasTensor):
            return self.layer()(x, lam=lam)
        if not isinstance(x, keras.KerasTensor):  # inside a layer that is called: too late for one
            return revgrad.reverse(x, lam)
        return self.layer(lam)(x)

    def scale_gradient(self, x, factor):
        if isinstance(factor, keras.KerasTensor):
            return GradientScale()(x, factor=factor)
        return GradientScale(factor)(x)


@conformance(LayerHarness())
def test_the_layer(check):
    check()


# --- layers that are wrong on purpose -------------------------------------------------------------


class BakedIn(GradientReversal):
    def __init__(self, lam=1.0, **kwargs):
        super().__init__(getattr(lam, "value", lam), **kwargs)


@keras.saving.register_keras_serializable(package="tests")
class Forgets(GradientReversal):
    def get_config(self):
        return {**super().get_config(), "lam": 1.0}


class Ignores(GradientReversal):
    """λ stays what it was when the layer was made."""

    def __setattr__(self, name, value):
        if not (name == "lam" and hasattr(self, name)):
            super().__setattr__(name, value)


WRONG = [
    ("variable_shows", BakedIn),
    ("assigned_lambda", Ignores),
    ("layers_keep_lambda", Forgets),
    ("copies_reverse", Forgets),
]


@pytest.mark.parametrize("check, wrong", WRONG)
def test_a_wrong_layer_is_caught(check, wrong):
    assert_caught(check, harness_of(LayerHarness, layer=wrong))


def test_the_claims_hold_no_private_name():
    assert all(claim.startswith("keras:") for claim in revgrad.backends["keras"].claims)
