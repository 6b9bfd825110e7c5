"""What the tests of the backends ask of reversals that are wrong on purpose."""

from revgrad.testing import run_check
from revgrad.testing._check import Mismatch


def harness_of(kind, **attributes):
    """Return a harness of a class that puts other functions or layers to the checks.

    It draws no examples, and expects no failures.
    """
    harness = kind()
    vars(harness).update({"examples": 0, "expected_failures": {}, **attributes})
    return harness


def assert_caught(check, harness):
    """Assert that a check fails by its clause, and not by an error of the framework."""
    result = run_check(check, harness)
    assert result.outcome == "failed"
    assert isinstance(result.error.__context__, Mismatch), result.reason
