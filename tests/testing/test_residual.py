"""The residual form, for a framework that has only a stop_gradient: what it keeps and what not."""

import tape
from test_bites import registered

import revgrad
from revgrad.backend import residual_form
from revgrad.testing import CHECKS, run_check


class ResidualBackend(tape.TapeBackend):
    # It copies, and its forward pass computes.
    capabilities = tape.TapeBackend.capabilities - {"views", "operations"}

    def multiply_gradient(self, x, factor):
        return residual_form(x, factor, tape.stop_gradient, tape)


class ResidualHarness(tape.TapeHarness):
    unsupported = {"views": "it copies", "operations": "its forward pass computes"}
    expected_failures = dict.fromkeys(
        ("any_cotangent", "half_precision"),
        "an element of x that is not finite passes no gradient on",
    )


SPEC = revgrad.BackendSpec("tape", ("tape:Tensor",), "test_residual:ResidualBackend")


def test_it_conforms_but_for_elements_that_are_not_finite():
    with registered(SPEC):
        outcomes = {name: run_check(name, ResidualHarness()).outcome for name in CHECKS}
    assert set(outcomes.values()) == {"passed", "expected", "skipped"}
    assert {name for name, outcome in outcomes.items() if outcome == "expected"} == set(
        ResidualHarness.expected_failures
    )
    skipped = {name for name, outcome in outcomes.items() if outcome == "skipped"}
    assert skipped == {"no_copy", "zero_overhead"}


def test_for_finite_numbers_it_keeps_the_second_clause_too():
    with registered(SPEC):
        run = tape.TapeHarness().program(lambda x: revgrad.reverse(x, 0.3), (3,), "float64")
    x, g = tape.np.array([1.0, -0.0, 5e-324]), tape.np.array([tape.np.inf, 2.0, -1.0])
    y, gradient = run(x, g)
    assert y.tobytes() == x.tobytes()
    tape.np.testing.assert_array_equal(gradient, -0.3 * g)
