"""The checks on `revgrad.scale_gradient`: C23."""

from typing import Any

import numpy as np

from revgrad import reference
from revgrad._registry import registry
from revgrad._variable import LambdaVariable
from revgrad.exceptions import InvalidLambdaError
from revgrad.testing._cases import close, describe_array, expect, expect_both, run_of, some
from revgrad.testing._check import check
from revgrad.testing.checks.usage import expect_gradients, expect_joint
from revgrad.testing.checks.values import BAD_FACTORS, as_given, rejected
from revgrad.testing.harness import Harness, Run

FACTORS = (2.0, 0.3, -0.3, -1, 0, 1, np.float32(-0.1), np.int64(-2), np.array(1.5))


def scaled(harness: Harness, factor: Any, shape: Any, dtype: str) -> Run:
    """Return the program of ``scale_gradient(x, factor)``."""
    return run_of(harness.program(lambda x: harness.scale_gradient(x, factor), shape, dtype))


def expect_scaled(harness: Harness, given: str, came: Any, g: Any, factor: Any) -> None:
    """Demand ``factor * g``; a zero may have either sign, as the factor 0 has."""
    with np.errstate(invalid="ignore"):
        expected = np.asarray(reference.scaled_pullback(g, factor))
        zero = g.dtype.type(0)
        if came is not None:
            # Some compilers take 0 * inf for 0: Theano's and PyTensor's do.
            simplified = np.isnan(expected) & (np.asarray(factor) == 0) & (came == 0)
            came = np.where(simplified, expected, came + zero)
        expect(harness, given, came, expected + zero)


@check("C23")
def scaled_gradient(harness: Harness) -> None:
    """scale_gradient(x, c): the identity forward; any g comes back as c·g in the dtype of x."""
    for dtype in harness.dtypes:
        x = np.array([1.0, -0.0, 2.5, -3.0], dtype)
        g = np.array([1.0, -2.0, np.inf, 13.0], dtype)
        for factor in FACTORS:
            y, gradient = scaled(harness, factor, x.shape, dtype)(x, g)
            given = f"x = {describe_array(x)}, g = {describe_array(g)} ({dtype}), c = {factor!r}"
            expect(harness, given, y, x)
            expect_scaled(harness, given, gradient, g, factor)


@check("C23", needs="lambda_array")
def scaled_by_array(harness: Harness) -> None:
    """The factor may be an array of any signs that broadcasts to x without enlarging it."""
    dtype = harness.dtypes[0]
    g = some((2, 3), dtype)
    for factor in (np.array([[-1.0], [5.0]]), np.array([1.0, 0.0, -2.0])):
        gradient = scaled(harness, factor, (2, 3), dtype)(g, g)[1]
        given = f"g = {describe_array(g)}, c = {describe_array(factor)}"
        expect_scaled(harness, given, gradient, g, factor)
    enlarging = np.ones((2, 1, 3))
    given = "x of shape (2, 3), c of shape (2, 1, 3)"
    rejected(given, lambda: scaled(harness, enlarging, (2, 3), dtype)(g, g))


@check("C23", needs="graph_lambda")
def scaled_by_graph_value(harness: Harness) -> None:
    """The factor may be a value of the framework, of any sign, which receives no gradient."""
    dtype = harness.dtypes[0]
    g = some((2,), dtype)
    run = harness.graph_lambda(harness.scale_gradient, (2,), dtype, (), harness.dtypes[-1])
    for number in (2.0, -0.5, 0.0):
        factor = np.array(number, harness.dtypes[-1])
        given = f"g = {describe_array(g)}, c = {number} as an argument"
        expect_scaled(harness, given, as_given(run, g, factor), g, number)


@check("C23")
def invalid_factor_rejected(harness: Harness) -> None:
    """A factor that is not a real, finite number, or too large for the dtype of x, is rejected."""
    one = np.ones((), "float32")
    for factor in BAD_FACTORS:
        rejected(f"c = {factor!r}", lambda: scaled(harness, factor, (), "float32")(one, one))


@check("C23")
def scaled_transforms(harness: Harness) -> None:
    """What the backend declares for the reversal holds for every factor, of either sign."""
    capabilities = registry.get_backend(harness.backend).capabilities
    dtype = harness.dtypes[-1]
    x = some((3,), dtype)
    for factor in (2.0, -0.5):
        fn = lambda x: harness.scale_gradient(x, factor)
        given = f"x = {describe_array(x)}, c = {factor}"
        if "forward_mode" in capabilities:
            came = run_of(harness.forward_mode(fn, (3,), dtype))(x, 2 * x)
            expect_both(harness, f"forward mode: {given}, t = 2x", came, x, 2 * x, factor)
        if "second_order" in capabilities:
            # By hand, for sum(fn(x²)³): 24c²x⁴ from the cube and 6cx⁴ from the square.
            product = run_of(harness.second_order(fn, (3,), dtype))(x, x)[1]
            curvature = (24 * factor**2 + 6 * factor) * x**5
            close(f"second order: {given}, v = x", product, curvature, dtype)
        for what in sorted({"copies", "rewritten"}.intersection(capabilities)):
            expect_gradients(harness, what, fn, factor=factor)
        if "vectorised" in capabilities:
            xs = some((4, 3), dtype)
            came = run_of(harness.vectorised(fn, (3,), dtype))(xs, xs)
            given = f"vectorised: xs = g = {describe_array(xs)}, c = {factor}"
            expect_both(harness, given, came, xs, xs, factor)
    if "several_outputs" in capabilities:
        expect_joint(harness, harness.scale_gradient, 1.0)
    variable = LambdaVariable(0.5)
    try:
        run = scaled(harness, variable, (3,), dtype)
        run(x, x)
    except InvalidLambdaError:
        return
    for value in (0.25, 2.0):
        variable.value = value
        gradient = run(x, x)[1]
        expect(harness, f"g = {describe_array(x)}, c = {variable!r}", gradient, value * x)


__all__ = [name for name, value in list(globals().items()) if hasattr(value, "clause")]
