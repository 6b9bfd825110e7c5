"""The checks bite: each wrong backend fails the checks that it must, and no others."""

import contextlib
import sys

import pytest
import tape
import wrong
from plugins_on_disk import hook, install

import revgrad
from revgrad.testing import CHECKS, load_harness, run_check
from revgrad.testing._check import Mismatch

DRAWN = ("identity", "any_cotangent", "half_precision", "any_shape")
"""The checks that hypothesis draws for."""


@contextlib.contextmanager
def registered(spec):
    """Have a backend for as long as it is tried."""
    revgrad.register(spec)
    try:
        yield
    finally:
        revgrad.unregister(spec.name)


def failures(harness, checks=CHECKS):
    results = [run_check(name, harness) for name in checks]
    failed = {result.check: result.error for result in results if result.outcome == "failed"}
    for error in failed.values():
        # It is the clause that catches it, not an accident of the framework's.
        assert isinstance(error.__context__, Mismatch), error
    return set(failed)


@pytest.mark.parametrize("name", wrong.WRONG)
def test_a_wrong_backend_fails_its_checks_and_no_others(name):
    spec, harness, expected = wrong.WRONG[name]
    harness = harness()
    harness.examples = 0  # the fixed examples must do without hypothesis
    # Discovery starts a process, and depends on the spec alone: it has tests of its own below.
    with registered(spec):
        assert failures(harness, [each for each in CHECKS if each != "light_discovery"]) == expected


@pytest.mark.parametrize(
    "name", [name for name, (_, _, expected) in wrong.WRONG.items() if expected & set(DRAWN)]
)
def test_hypothesis_finds_it_too(name, monkeypatch):
    spec, harness, expected = wrong.WRONG[name]
    monkeypatch.setattr("revgrad.testing._property.fixed_cases", lambda *_: ())
    monkeypatch.setattr("revgrad.testing.checks.values.SHAPES", ())
    with registered(spec):
        assert failures(harness(), DRAWN) == expected & set(DRAWN)


@pytest.mark.parametrize(
    "first_line", ["import tape", "import pytest", "import time; time.sleep(1.1)", ""]
)
def test_a_plugin_that_is_not_light(first_line, tmp_path, monkeypatch):
    plugin = hook(f"return [revgrad.{tape.SPEC!r}]")
    install(tmp_path, "tape-plugin", f"{first_line}\n{plugin}")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with registered(tape.SPEC):
        failed = failures(load_harness("tape"), ["light_discovery"])
    assert failed == ({"light_discovery"} if first_line else set())


def test_each_check_is_failed_by_a_backend_that_fails_nothing_else():
    alone = [next(iter(checks)) for _, _, checks in wrong.WRONG.values() if len(checks) == 1]
    assert {*alone, "light_discovery"} == set(CHECKS)
