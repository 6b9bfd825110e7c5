"""The checks on what programs do around a reversal: C1, C2, C8, C18, C21 and C22.

Several outputs, in-place writes, layers that are copied and assigned to, modes, and λ as a value
of the framework.
"""

import functools
from typing import Any, Callable, ItemsView, Mapping, Tuple

import numpy as np

from revgrad._variable import LambdaVariable
from revgrad.exceptions import InvalidLambdaError
from revgrad.testing._cases import as_array, describe_array, expect, expect_both, run_of, some
from revgrad.testing._check import check, mismatch
from revgrad.testing.checks.values import rejected
from revgrad.testing.harness import Harness

UNUSABLE = (-1.0, np.nan, np.inf)


def programs_of(harness: Harness, what: str, *arguments: Any) -> ItemsView[str, Any]:
    """Return the programs of that method of the harness, which must be at least one."""
    programs: Mapping[str, Any] = getattr(harness, what)(*arguments)
    if not programs:
        raise mismatch(f"{what}()", "at least one program", "none")
    return programs.items()


def expect_gradients(harness: Harness, what: str, *arguments: Any, factor: float = -0.3) -> None:
    """Demand that each program of that method of the harness multiplies the gradient."""
    x = some((3,), harness.dtypes[0])
    for name, run in programs_of(harness, what, *arguments, (3,), harness.dtypes[0]):
        given = f"{name}: x = {describe_array(x)}, g = {describe_array(2 * x)}, times {factor}"
        expect_both(harness, given, run_of(run)(x, 2 * x), x, 2 * x, factor)


@check("C1", needs="in_place")
def in_place_writes(harness: Harness) -> None:
    """Writing in place to x or to the result raises, or values and gradients are both right."""
    dtype = harness.dtypes[0]
    x, g = np.array([1.5, -2.0, 3.0], dtype), np.array([1.0, 2.0, -4.0], dtype)
    fn = lambda x: harness.reverse(x, 0.5)
    for name, (written, copied) in programs_of(harness, "in_place", fn, (3,), dtype):
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
    expect_gradients(harness, "modes", lambda x: harness.reverse(x, 0.3))


@check("C8", needs="known_lambda")
def known_lambda_rejected(harness: Harness) -> None:
    """A framework value that holds a number in the host's memory is validated like a number."""
    dtype = harness.dtypes[0]
    x = harness.constant(some((2, 1), dtype))
    for number in UNUSABLE:
        for lam in (np.array(number, dtype), np.array([[1.0], [number]], dtype)):
            given = f"λ = {describe_array(lam)}, a value of the framework"
            rejected(given, lambda: harness.reverse(x, harness.constant(lam)))
    nan, half, minus_half = (harness.constant(np.array(c, dtype)) for c in (np.nan, 0.5, -0.5))
    rejected("the factor nan, a value of the framework", lambda: harness.scale_gradient(x, nan))
    harness.reverse(x, half)
    harness.scale_gradient(x, minus_half)


@check("C18", needs="subclasses")
def subclasses_reversed(harness: Harness) -> None:
    """What users and the framework derive from the claimed classes is reversed as well."""
    expect_gradients(harness, "instances", lambda x: harness.reverse(x, 0.3))


# The outputs of programs; each is reversed with these λ, one after the other.
JOINT = (((1.0,), ()), ((), (1.0,)), ((1.0,), (5.0,)), ((1.0,), (1.0,)), ((1.0, 0.5), (1.0,), ()))


def expect_joint(harness: Harness, change: Callable[[Any, float], Any], sign: float) -> None:
    """Demand the right gradient of every program of several outputs."""
    dtype = harness.dtypes[0]
    x = some((3,), dtype)

    def joint(x: Any, outputs: Tuple[Tuple[float, ...], ...]) -> Tuple[Any, ...]:
        h = x * 2.0
        return tuple([functools.reduce(change, lams, h) for lams in outputs])

    for outputs in JOINT:
        gs = [np.asarray(x * (3 + i)) for i in range(len(outputs))]
        factors = [np.prod([sign * lam for lam in lams]) for lams in outputs]
        expected = np.asarray(sum(2 * factor * g for factor, g in zip(factors, gs)), dtype)
        fn = functools.partial(joint, outputs=outputs)
        for mode, run in programs_of(harness, "several_outputs", fn, (3,), dtype):
            values, gradient = run(x.copy(), [g.copy() for g in gs])
            given = f"2x, reversed with λ = {outputs}, {mode}: x = {describe_array(x)}, g = 3x, ..."
            for value in values:
                expect(harness, f"a value of {given}", np.asarray(value), 2 * x)
            expect(harness, f"the gradient of {given}", as_array(gradient), expected)


@check("C21", needs="several_outputs")
def several_outputs(harness: Harness) -> None:
    """The gradient is right whatever else leaves the program: x itself, other reversals of it."""
    expect_joint(harness, harness.reverse, -1.0)


@check("C22", needs="layers")
def layers_keep_lambda(harness: Harness) -> None:
    """Whatever the framework does with layers, λ is then what it was."""
    for lam in (0.7, LambdaVariable(0.7)):
        expect_gradients(harness, "layers", lam, factor=-0.7)


@check("C22", needs="layers")
def assigned_lambda(harness: Harness) -> None:
    """A λ that is assigned to a layer counts, or is rejected; a negative or nan one is rejected."""
    expect_gradients(harness, "assigned", 0.7, 0.3)
    x = some((3,), harness.dtypes[0])
    for lam in UNUSABLE[:2]:
        try:
            programs = programs_of(harness, "assigned", 0.7, lam, (3,), harness.dtypes[0])
        except (InvalidLambdaError, AttributeError):
            continue
        for name, run in programs:
            rejected(f"{name}, λ = {lam}", functools.partial(run_of(run), x, x))


__all__ = [name for name, value in list(globals().items()) if hasattr(value, "clause")]
