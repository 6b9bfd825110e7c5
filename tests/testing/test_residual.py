"""The residual form, for a framework that has only a stop_gradient: what it keeps and what not."""

import tape
from test_bites import registered

import revgrad
from revgrad.backend import residual_form
from revgrad.testing import CHECKS, run_check


class ResidualHarness(tape.TapeHarness):
    unsupported = {"views": "it copies", "operations": "its forward pass computes"}
    expected_failures = dict.fromkeys(
        ("any_cotangent", "half_precision"),
        "an element of x that is not finite passes no gradient on",
    )


class ResidualBackend(tape.TapeBackend):
    capabilities = tape.TapeBackend.capabilities - set(ResidualHarness.unsupported)

    def multiply_gradient(self, x, factor):
        return residual_form(x, factor, tape.stop_gradient, tape)


SPEC = revgrad.BackendSpec("tape", ("tape:Tensor",), "test_residual:ResidualBackend")


def test_it_conforms_but_for_elements_that_are_not_finite():
    with registered(SPEC):
        outcomes = {name: run_check(name, ResidualHarness()).outcome for name in CHECKS}
    assert outcomes == {
        **dict.fromkeys(CHECKS, "passed"),
        **dict.fromkeys(ResidualHarness.expected_failures, "expected"),
        **dict.fromkeys(["no_copy", "zero_overhead"], "skipped"),
    }


def test_for_finite_numbers_it_keeps_the_second_clause_too():
    with registered(SPEC):
        run = tape.TapeHarness().program(lambda x: revgrad.reverse(x, 0.3), (3,), "float64")
    x, g = tape.np.array([1.0, -0.0, 5e-324]), tape.np.array([tape.np.inf, 2.0, -1.0])
    y, gradient = run(x, g)
    assert y.tobytes() == x.tobytes()
    tape.np.testing.assert_array_equal(gradient, -0.3 * g)
