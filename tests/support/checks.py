"""What the tests of the backends ask of reversals that are wrong on purpose."""

import pytest

from revgrad import InvalidLambdaError
from revgrad.testing import run_check
from revgrad.testing._check import Mismatch


def harness_of(kind, **attributes):
    """Return a harness of a class that puts other functions or layers to the checks.

    It draws no examples, and expects no failures.
    """
    harness = kind()
    vars(harness).update({"examples": 0, "expected_failures": {}, **attributes})
    return harness


def assert_caught(check, harness, kind=Mismatch):
    """Assert that a check fails by its clause, and not by an error of the framework.

    A harness that asserts something itself raises another `kind` of error.
    """
    result = run_check(check, harness)
    assert result.outcome == "failed"
    assert isinstance(result.error.__context__, kind), result.reason


def assert_only_a_lambda_is_accepted(layer_type, tensor):
    """Assert that a layer refuses anything else, when it is made and when λ is assigned."""
    assert repr(layer_type()) == "GradientReversal(lam=1)"
    layer = layer_type(0.5)
    for wrong in (-1, tensor(-1.0), tensor([1.0]), "0.3", None, 1e39):
        for give in (layer_type, lambda lam: setattr(layer, "lam", lam)):
            with pytest.raises(InvalidLambdaError):
                give(wrong)
    assert repr(layer) == "GradientReversal(lam=0.5)"
