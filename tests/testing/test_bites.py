"""The checks bite: each wrong backend fails the checks that it must, and no others."""

import contextlib
import os

import pytest
import tape
import wrong

import revgrad
from revgrad.testing import CHECKS, load_harness, run_check


@contextlib.contextmanager
def registered(spec):
    """Have a backend for as long as it is tried."""
    revgrad.register(spec)
    try:
        yield
    finally:
        revgrad.unregister(spec.name)


def outcomes(harness):
    return {name: run_check(name, harness).outcome for name in CHECKS}


def test_the_tape_passes_every_check():
    with registered(tape.SPEC):
        assert set(outcomes(load_harness("tape")).values()) == {"passed"}


@pytest.mark.parametrize("name", wrong.WRONG)
def test_a_wrong_backend_fails_its_checks_and_no_others(name):
    spec, harness, expected = wrong.WRONG[name]
    with registered(spec):
        found = {check for check, outcome in outcomes(harness()).items() if outcome == "failed"}
    assert found == expected
