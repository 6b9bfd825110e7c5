"""The checks on what programs do around a reversal: C1, C2, C8, C18, C21 and C22.

Several outputs, in-place writes, layers that are copied and assigned to, modes, and λ as a value
of the framework.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, List, Mapping, Tuple

import numpy as np

from revgrad._variable import LambdaVariable
from revgrad.exceptions import InvalidLambdaError
from revgrad.testing._cases import describe_array, expect, pulled_back, run_of
from revgrad.testing._check import check, mismatch
from revgrad.testing.checks.values import rejected, some
from revgrad.testing.harness import Harness, Run

UNUSABLE = (-1.0, np.nan, np.inf)


def expect_gradients(
    harness: Harness, programs: Mapping[str, Run], lam: Any, dtype: str, what: str
) -> None:
    """Demand of each program that it reverses with λ."""
    x = some((3,), dtype)
    if not programs:
        raise mismatch(f"{what}()", "at least one program", "none")
    for name, run in programs.items():
        y, gradient = run_of(run)(x, 2 * x)
        given = f"{name}: x = {describe_array(x)}, g = {describe_array(2 * x)}, λ = {lam}"
        expect(harness, given, y, x)
        expect(harness, given, gradient, pulled_back(2 * x, lam))


@check("C1", needs="in_place")
def in_place_writes(harness: Harness) -> None:
    """Writing in place to x or to the result raises, or values and gradients are both right."""
    dtype = harness.dtypes[0]
    x, g = np.array([1.5, -2.0, 3.0], dtype), np.array([1.0, 2.0, -4.0], dtype)
    programs = harness.in_place(lambda x: harness.reverse(x, 0.5), (3,), dtype)
    if not programs:
        raise mismatch("in_place()", "at least one program", "none")
    for name, (written, copied) in programs.items():
        given = f"{name}: x = {describe_array(x)}, g = {describe_array(g)}, λ = 0.5"
        expected = run_of(copied)(x, g)
        try:
            came = run_of(written)(x, g)
        except Exception:
            continue
        expect(harness, f"the value of {given}", came[0], expected[0])
        expect(harness, f"the gradient of {given}", came[1], expected[1])


@check("C2", needs="modes")
def mode_independent(harness: Harness) -> None:
    """The gradient is the same in every mode of the framework."""
    dtype = harness.dtypes[0]
    programs = harness.modes(lambda x: harness.reverse(x, 0.3), (3,), dtype)
    expect_gradients(harness, programs, 0.3, dtype, "modes")


@check("C8", needs="known_lambda")
def known_lambda_rejected(harness: Harness) -> None:
    """A framework value that holds a number in the host's memory is validated like a number."""
    dtype = harness.dtypes[0]
    x = some((2, 1), dtype)
    for number in UNUSABLE:
        for lam in (np.array(number, dtype), np.array([[1.0], [number]], dtype)):
            rejected(
                InvalidLambdaError,
                f"λ = {describe_array(lam)}, a value of the framework",
                lambda: harness.reverse(harness.constant(x), harness.constant(lam)),
            )
    rejected(
        InvalidLambdaError,
        "the factor nan, a value of the framework",
        lambda: harness.scale_gradient(
            harness.constant(x), harness.constant(np.array(np.nan, dtype))
        ),
    )
    harness.reverse(harness.constant(x), harness.constant(np.array(0.5, dtype)))
    harness.scale_gradient(harness.constant(x), harness.constant(np.array(-0.5, dtype)))


@check("C18", needs="subclasses")
def subclasses_reversed(harness: Harness) -> None:
    """What users and the framework derive from the claimed classes is reversed as well."""
    dtype = harness.dtypes[0]
    programs = harness.instances(lambda x: harness.reverse(x, 0.3), (3,), dtype)
    expect_gradients(harness, programs, 0.3, dtype, "instances")


def joint_cases(change: Callable[[Any, float], Any]) -> List[Tuple[str, Any, Tuple[float, ...]]]:
    """Return names, functions of several outputs, and the λ of each output, 0 for `h` itself."""
    return [
        ("reverse(h, 1), h", lambda h: (change(h, 1.0), h), (1.0, 0.0)),
        ("h, reverse(h, 1)", lambda h: (h, change(h, 1.0)), (0.0, 1.0)),
        ("reverse(h, 1), reverse(h, 5)", lambda h: (change(h, 1.0), change(h, 5.0)), (1.0, 5.0)),
        ("reverse(h, 1), reverse(h, 1)", lambda h: (change(h, 1.0), change(h, 1.0)), (1.0, 1.0)),
        (
            "reverse(reverse(h, 1), 0.5), reverse(h, 1), h",
            lambda h: (change(change(h, 1.0), 0.5), change(h, 1.0), h),
            (0.5, 1.0, 0.0),
        ),
    ]


def expect_joint(harness: Harness, change: Callable[[Any, float], Any], sign: float) -> None:
    """Demand the right gradient of every function of several outputs."""
    dtype = harness.dtypes[0]
    x = some((3,), dtype)
    for name, fn, lams in joint_cases(change):
        factors = [sign * lam if lam else 1.0 for lam in lams]
        if len(lams) == 3:  # a reversal of a reversal
            factors[0] = (sign * 1.0) * (sign * 0.5)
        gs = [np.asarray(x * (3 + index)) for index in range(len(lams))]
        expected = np.asarray(sum(2 * factor * g for factor, g in zip(factors, gs)), dtype)
        joint = functools.partial(lambda x, fn: fn(x * 2.0), fn=fn)
        programs = harness.several_outputs(joint, (3,), dtype)
        if not programs:
            raise mismatch("several_outputs()", "at least one program", "none")
        for mode, run in programs.items():
            values, gradient = run(x.copy(), [g.copy() for g in gs])
            given = f"{name} with h = 2x, {mode}: x = {describe_array(x)}, g = 3x, 4x, ..."
            for value in values:
                expect(harness, f"a value of {given}", np.asarray(value), 2 * x)
            came = None if gradient is None else np.asarray(gradient)
            expect(harness, f"the gradient of {given}", came, expected)


@check("C21", needs="several_outputs")
def several_outputs(harness: Harness) -> None:
    """The gradient is right whatever else leaves the program: x itself, other reversals of it."""
    expect_joint(harness, harness.reverse, -1.0)


@check("C22", needs="layers")
def layers_keep_lambda(harness: Harness) -> None:
    """Whatever the framework does with layers, λ is then what it was."""
    dtype = harness.dtypes[0]
    for lam in (0.7, LambdaVariable(0.7)):
        expect_gradients(harness, harness.layers(lam, (3,), dtype), lam, dtype, "layers")


@check("C22", needs="layers")
def assigned_lambda(harness: Harness) -> None:
    """A λ that is assigned to a layer counts, or is rejected; a negative or nan one is rejected."""
    dtype = harness.dtypes[0]
    expect_gradients(harness, harness.assigned(0.7, 0.3, (3,), dtype), 0.3, dtype, "assigned")
    x = some((3,), dtype)

    def run_all(lam: float) -> None:
        programs = harness.assigned(0.7, lam, (3,), dtype)
        for name, run in programs.items():
            call = functools.partial(run_of(run), x, x)
            rejected(InvalidLambdaError, f"{name}, λ = {lam}", call)
        if not programs:
            raise mismatch(f"assigned(), λ = {lam}", "at least one program, or an error", "none")

    for lam in UNUSABLE[:2]:
        try:
            run_all(lam)
        except (InvalidLambdaError, AttributeError):
            pass


__all__ = [name for name, value in list(globals().items()) if hasattr(value, "clause")]
