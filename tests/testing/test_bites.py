"""The checks bite: each wrong backend fails the checks that it must, and no others."""

import contextlib

import numpy as np
import pytest
import tape
import wrong
from plugins_on_disk import hook, install

import revgrad
from revgrad.testing import CHECKS, load_harness, run_check
from revgrad.testing._check import Mismatch

DRAWN = {"identity", "any_cotangent", "half_precision", "any_shape"}
"""The checks that hypothesis draws for."""


@contextlib.contextmanager
def registered(spec, harness=tape.TapeHarness):
    """Have a backend for as long as it is tried, and its harness."""
    revgrad.register(spec)
    try:
        yield harness()
    finally:
        revgrad.unregister(spec.name)


def wrong_one(name):
    return registered(wrong.WRONG[name].spec, wrong.WRONG[name].harness)


def failures(harness, checks):
    results = [run_check(name, harness) for name in checks]
    failed = {result.check: result.error for result in results if result.outcome == "failed"}
    for error in failed.values():
        # It is the clause that catches it, not an accident of the framework's.
        assert isinstance(error.__context__, Mismatch), error
    return set(failed)


@pytest.mark.parametrize("name", wrong.WRONG)
def test_a_wrong_backend_fails_its_checks_and_no_others(name):
    # Discovery starts a process, and depends on the spec alone: it has tests of its own below.
    checks = [each for each in CHECKS if each != "light_discovery"]
    with wrong_one(name) as harness:
        harness.examples = 0  # the fixed examples must do without hypothesis
        assert failures(harness, checks) == wrong.WRONG[name].fails


@pytest.mark.parametrize("name", [name for name, each in wrong.WRONG.items() if each.fails & DRAWN])
def test_hypothesis_finds_it_too(name, monkeypatch):
    monkeypatch.setattr("revgrad.testing._property.fixed_cases", lambda *_: ())
    monkeypatch.setattr("revgrad.testing.checks.values.SHAPES", ())
    with wrong_one(name) as harness:
        assert failures(harness, DRAWN) == wrong.WRONG[name].fails & DRAWN


@pytest.mark.parametrize(
    "first_line", ["import tape", "import pytest", "import time; time.sleep(1.1)", ""]
)
def test_a_plugin_that_is_not_light(first_line, tmp_path, monkeypatch):
    plugin = hook(f"return [revgrad.{tape.SPEC!r}]")
    install(tmp_path, "tape-plugin", f"{first_line}\n{plugin}")
    with registered(tape.SPEC):  # discovery is over: it does not find the plugin as well
        monkeypatch.syspath_prepend(tmp_path)
        failed = failures(load_harness("tape"), ["light_discovery"])
    assert failed == ({"light_discovery"} if first_line else set())


def test_each_check_is_failed_by_a_backend_that_fails_nothing_else():
    alone = set().union(*(each.fails for each in wrong.WRONG.values() if len(each.fails) == 1))
    assert {*alone, "light_discovery"} == set(CHECKS)


def test_the_residual_form_is_right_where_x_is_finite():
    x, g = np.array([1.0, -0.0, 5e-324]), np.array([np.inf, 2.0, -1.0])
    with wrong_one("residual") as harness:
        run = harness.program(lambda x: revgrad.reverse(x, 0.3), (3,), "float64")
    np.testing.assert_array_equal(run(x, g), [x, -0.3 * g])
