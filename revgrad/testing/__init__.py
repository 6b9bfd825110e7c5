"""The conformance suite: the contract as checks for any backend.

A backend author writes a `Harness` and runs ``revgrad check NAME``, or one test with
`conformance`. `check_flow` is for people who train: it checks that a reversed gradient arrives.
"""

from revgrad.exceptions import ConformanceError
from revgrad.testing import checks
from revgrad.testing._check import CHECKS, Result, load_harness, run_check
from revgrad.testing._runner import conformance, run_checks
from revgrad.testing.flow import Flow, check_flow
from revgrad.testing.harness import CAPABILITIES, Harness

__all__ = [
    "CAPABILITIES",
    "CHECKS",
    "ConformanceError",
    "Flow",
    "Harness",
    "Result",
    "check_flow",
    "checks",
    "conformance",
    "load_harness",
    "run_check",
    "run_checks",
]

# The modules are ordered by subject, and a table of the results by clause.
for _name in sorted(CHECKS, key=lambda name: int(CHECKS[name].clause[1:])):
    CHECKS[_name] = CHECKS.pop(_name)
