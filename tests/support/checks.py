"""What the tests of the backends ask of reversals that are wrong on purpose."""

from revgrad.testing import run_check
from revgrad.testing._check import Mismatch


def assert_caught(check, harness):
    """Assert that a check fails by its clause, and not by an error of the framework."""
    result = run_check(check, harness)
    assert result.outcome == "failed"
    assert isinstance(result.error.__context__, Mismatch), result.reason
