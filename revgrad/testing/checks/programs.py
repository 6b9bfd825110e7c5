"""The checks on programs: C7 and C9 to C15.

They ask what happens when a framework rewrites, compiles, copies, batches or differentiates a
program twice, and most need a capability.
"""

from collections import Counter
from typing import Any, Callable, Dict, Tuple

import numpy as np

from revgrad import schedules
from revgrad._registry import registry
from revgrad._variable import LambdaVariable
from revgrad.exceptions import InvalidLambdaError
from revgrad.testing import _cases
from revgrad.testing._cases import close, describe_array, expect, expect_both, run_of, some
from revgrad.testing._check import check, mismatch
from revgrad.testing.checks.usage import expect_gradients, programs_of
from revgrad.testing.checks.values import as_given, reversal
from revgrad.testing.harness import Harness

LAMBDAS = tuple(float(lam) for lam in np.linspace(0.0, 2.0, 20))
PROGRESS = (-1.0, 0.0, 1e-3, 0.25, 0.4, 0.5, 0.9, 1.0, 1.5)
SCHEDULES = (
    schedules.Dann(),
    schedules.Dann(gamma=3, low=0.1, high=0.7),
    schedules.Linear(0.7, 0.1),
    schedules.Cosine(1, 0),
    schedules.Exponential(0.01, 1),
    schedules.Piecewise([(0.1, 0), (0.3, 0.6), (0.8, 0.2)]),
    schedules.Delayed(schedules.Linear(0, 1), until=0.4),
    schedules.InverseDecay(),
)


def weighted(harness: Harness, lams: Tuple[float, ...], weights: Tuple[float, ...]) -> Any:
    """Return the function ``sum(weight * reverse(x, lam))``."""
    return lambda x: harness.weighted_sum([harness.reverse(x, lam) for lam in lams], weights)


@check("C7")
def stay_apart(harness: Harness) -> None:
    """Reversals with different λ stay apart: 2·reverse(x, 1) + 3·reverse(x, 5) pulls back -17."""
    dtype = harness.dtypes[0]
    one = np.ones((1,), dtype)
    for lams, weights in (((1.0, 5.0), (2, 3)), ((5.0, 1.0), (3, 2)), ((1.0, 1.25), (2, 4))):
        run = run_of(harness.program(weighted(harness, lams, weights), (1,), dtype))
        expected = -np.sum(np.multiply(lams, weights)).reshape(1).astype(dtype)
        given = f"x = g = [1.], λ = {lams}, weights {weights}"
        expect(harness, given, run(one, one)[1], expected)


@check("C7", needs="rewritten")
def survives_rewriting(harness: Harness) -> None:
    """The reversal survives graph rewriting before the gradient is taken: -17 again."""
    dtype = harness.dtypes[0]
    one = np.ones((1,), dtype)
    fn = weighted(harness, (1.0, 5.0), (2, 3))
    for how, run in programs_of(harness, "rewritten", fn, (1,), dtype):
        gradient = run_of(run)(one, one)[1]
        expect(harness, f"x = g = [1.], {how}", gradient, np.array([-17], dtype))


@check("C9")
def variable_shows(harness: Harness) -> None:
    """A changed LambdaVariable shows in the next run, or is rejected; it is never frozen."""
    lam, dtype = LambdaVariable(0.5), harness.dtypes[0]
    g = np.array([1.0, -3.0], dtype)
    try:
        run = reversal(harness, lam, (2,), dtype)
        gradient = run(g, g)[1]
    except InvalidLambdaError:
        return
    expect(harness, f"g = {describe_array(g)}, {lam!r}", gradient, _cases.pulled_back(g, lam))
    for value in LAMBDAS:
        lam.value = value
        given = f"g = {describe_array(g)}, {lam!r}, 0.5 at first"
        expect(harness, given, run(g, g)[1], _cases.pulled_back(g, lam))


@check("C9")
def variable_at_forward(harness: Harness) -> None:
    """λ is the value at the forward pass: one that is set before the gradient does not count."""
    lam, dtype = LambdaVariable(0.5), harness.dtypes[0]
    g = np.array([1.0, -3.0], dtype)

    def fn(x: Any) -> Any:
        y = harness.reverse(x, lam)
        lam.value = 7.0  # where nothing is compiled, this lies between forward and backward
        return y

    try:
        run = run_of(harness.program(fn, (2,), dtype))
        lam.value = 0.5
        gradient = run(g, g)[1]
    except InvalidLambdaError:
        return
    given = f"g = {describe_array(g)}, LambdaVariable at 0.5 before the run"
    expect(harness, given, gradient, _cases.pulled_back(g, 0.5))


@check("C9", needs="compilations")
def compiled_once(harness: Harness) -> None:
    """Over 20 changes of λ a program is compiled once."""
    dtype = harness.dtypes[0]
    x = np.ones((2,), dtype)
    runs: Dict[str, Callable[[float], Any]] = {}
    lam = LambdaVariable(0.0)
    start = harness.compilations()
    try:
        with_variable = reversal(harness, lam, (2,), dtype)
        with_variable(x, x)
    except InvalidLambdaError:
        pass
    else:
        if harness.compilations() == start:
            raise mismatch("a program that is new", "compilations() counts it", "it does not")

        def run_variable(value: float) -> None:
            lam.value = value
            with_variable(x, x)

        runs["a LambdaVariable"] = run_variable
    if "graph_lambda" in registry.get_backend(harness.backend).capabilities:
        with_argument = harness.graph_lambda(harness.reverse, (2,), dtype, (), dtype)
        runs["λ as an argument"] = lambda lam: as_given(with_argument, x, np.array(lam, dtype))
    if not runs:
        raise mismatch("LambdaVariable, or λ as an argument", "one of the two", "neither works")
    for what, run in runs.items():
        run(LAMBDAS[0])  # compiles, if building it has not
        before = harness.compilations()
        for value in LAMBDAS:
            run(value)
        more = harness.compilations() - before
        if more:
            raise mismatch(f"{what}, {len(LAMBDAS)} values", "1 compilation", f"{1 + more}")


@check("C10", needs="schedules")
def schedule_in_graph(harness: Harness) -> None:
    """A schedule gives the same number in Python and inside the graph."""
    for dtype in harness.dtypes:
        for schedule in SCHEDULES:
            run = harness.scalar_program(schedule, dtype)
            for p in PROGRESS:
                came = np.asarray(run(np.asarray(p, _cases.numpy_dtype(dtype))))
                given = f"p = {p}, {schedule!r} in {dtype}"
                close(given, came, np.asarray(schedule(float(np.asarray(p, dtype)))), dtype)
                if came.dtype != _cases.numpy_dtype(dtype):
                    raise mismatch(given, dtype, came.dtype)


@check("C11", needs="forward_mode")
def forward_mode(harness: Harness) -> None:
    """Forward mode pushes -λ·t."""
    for dtype in harness.dtypes:
        x, t = some((3,), dtype), 2 * some((3,), dtype)
        given = f"x = {describe_array(x)}, t = {describe_array(t)} ({dtype})"
        own = run_of(harness.forward_mode(lambda x: x, (3,), dtype))(x, t)[1]
        expect(harness, f"{given}, no reversal: the harness itself", own, t)
        run = run_of(harness.forward_mode(lambda x: harness.reverse(x, 0.3), (3,), dtype))
        expect_both(harness, f"{given}, λ = 0.3", run(x, t), x, t, -0.3)


@check("C12", needs="second_order")
def second_order(harness: Harness) -> None:
    """The derivative of reverse is -λ wherever it appears; f(reverse(x)) has λ²·f'' as second."""
    dtype = harness.dtypes[-1]
    x, v = np.array([0.5, 1.0, -2.0], dtype), np.array([1.0, 0.5, 0.25], dtype)
    # By hand: the cube's curvature is seen through -λ twice and gives 24λ²x⁴, the square's
    # through -λ once and gives -6λx⁴; without a reversal 24x⁴ + 6x⁴.
    point = f"x = {describe_array(x)}, v = {describe_array(v)}"
    for lam, factor in ((None, 30.0), (1.0, 18.0), (2.0, 84.0), (0.5, 3.0)):
        fn = lambda x: x if lam is None else harness.reverse(x, lam)
        run = run_of(harness.second_order(fn, (3,), dtype))
        what = "no reversal: the harness itself" if lam is None else f"λ = {lam}"
        given = f"H·v of sum(reverse(x², λ)³), {point}, {what}"
        close(given, run(x, v)[1], factor * x**4 * v, dtype)


@check("C13", needs="vectorised")
def vectorised(harness: Harness) -> None:
    """Vectorisation (vmap, scan, batching) agrees with a loop."""
    for dtype in harness.dtypes:
        xs, gs = some((4, 3), dtype), some((4, 3), dtype)[::-1].copy()
        batched = harness.vectorised(lambda x: harness.reverse(x, 0.3), (3,), dtype)
        given = f"xs = {describe_array(xs)}, gs = {describe_array(gs)} ({dtype}), λ = 0.3"
        one = reversal(harness, 0.3, (3,), dtype)
        looped = zip(*(one(x, g) for x, g in zip(xs, gs)))
        for came, parts in zip(run_of(batched)(xs, gs), looped):
            expect(harness, given, came, np.stack(parts))


@check("C14", needs="operations")
def zero_overhead(harness: Harness) -> None:
    """A compiled program has no trace of the reversal forward, and one multiply more backward."""
    dtype = harness.dtypes[0]
    count: Any = lambda fn: [Counter(part) for part in harness.operations(fn, (2, 3), dtype)]
    plain, reversed_ = count(lambda x: x), count(lambda x: harness.reverse(x, 0.5))
    if reversed_[0] != plain[0]:
        raise mismatch("the forward program", dict(plain[0]), dict(reversed_[0]))
    more = reversed_[1] - plain[1]
    if sum(more.values()) > 1:
        raise mismatch("the backward program", "one operation more", f"more by {dict(more)}")


@check("C15", needs="copies")
def copies_reverse(harness: Harness) -> None:
    """Export, clone, copy, pickle and save/load keep the reversal and its λ."""
    expect_gradients(harness, "copies", lambda x: harness.reverse(x, 0.3))


__all__ = [name for name, value in list(globals().items()) if hasattr(value, "clause")]
