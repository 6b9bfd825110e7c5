"""The checks on values: C1 to C6, C8, C16 and C17.

Each is a plain function of a harness. It returns None if the clause holds and raises
``revgrad.ConformanceError`` if not. The first paragraph of its docstring is the clause.
"""

import functools
from typing import Any, Callable, Tuple

import numpy as np

from revgrad._variable import LambdaVariable
from revgrad.exceptions import InvalidLambdaError, UnsupportedTypeError
from revgrad.testing._cases import (
    Case,
    describe_array,
    expect,
    expect_both,
    pulled_back,
    run_of,
    some,
)
from revgrad.testing._check import check, mismatch
from revgrad.testing._property import each_case, for_all
from revgrad.testing.harness import Harness, Run

SHAPES = ((), (0,), (3,), (2, 0), (2, 3), (2, 1, 3), (2, 3, 1, 2))
ENLARGING = (((3,), (2, 3)), ((3,), (2,)), ((1, 3), (2, 1)), ((), (1,)))
BAD_FACTORS = (np.nan, -np.inf, True, "0.3", None, 1j, lambda p: p, [1.0], object(), 1e300, -1e300)
BAD_LAMBDAS = (-1, -0.5, np.inf, *BAD_FACTORS)


def reversal(harness: Harness, lam: Any, shape: Tuple[int, ...], dtype: str) -> Run:
    """Return the program of ``reverse(x, lam)``."""
    return run_of(harness.program(lambda x: harness.reverse(x, lam), shape, dtype))


def reversals(harness: Harness) -> Callable[[Case], Tuple[Any, Any]]:
    """Return what maps a case to the value and the gradient; each program is built once."""
    built = functools.lru_cache(maxsize=None)(functools.partial(reversal, harness))
    return lambda case: built(case.lam, case.x.shape, case.x.dtype.name)(case.x, case.g)


def rejected(given: str, call: Callable[[], Any], kind: Any = InvalidLambdaError) -> Any:
    """Return the error of that kind that the call must raise."""
    try:
        call()
    except kind as error:
        return error
    except Exception as error:
        raise mismatch(given, kind.__name__, f"{type(error).__name__}: {error}") from error
    raise mismatch(given, kind.__name__, "no error")


@check("C1")
def identity(harness: Harness) -> None:
    """Forward: the output equals x bit for bit (-0.0, inf and nan too), in shape and in dtype."""
    program = reversals(harness)

    def holds(case: Case) -> None:
        y, _ = program(case)
        expect(harness, case, y, case.x)
        if y.tobytes() != case.x.tobytes():  # the bits of a nan, too
            raise mismatch(case, f"the bytes {case.x.tobytes()!r}", f"{y.tobytes()!r}")

    each_case(harness, holds)


@check("C1", needs="views")
def no_copy(harness: Harness) -> None:
    """Forward: no data is copied where the framework has views or aliases."""
    for dtype in harness.dtypes:
        if not harness.views(lambda x: harness.reverse(x, 0.3), (2, 3), dtype):
            raise mismatch(f"{dtype}, shape (2, 3)", "the memory of x", "memory of its own")


@check("C1")
def no_inplace_write(harness: Harness) -> None:
    """Neither x, whose memory the output may share, nor the cotangent is written to."""
    alone = lambda x: harness.reverse(x, 3.0)
    beside_x = lambda x: harness.weighted_sum([harness.reverse(x, 3.0), x], [1.0, 1.0])
    for dtype in harness.dtypes:
        x, g = some((2, 3), dtype), 2 * some((2, 3), dtype)
        given = f"x = {describe_array(x)}, g = {describe_array(g)}, λ = 3.0"
        gradient = run_of(harness.program(alone, (2, 3), dtype))(x, g)[1]
        for fn, expected in ((alone, gradient), (beside_x, gradient + g)):
            run = harness.program(fn, (2, 3), dtype)
            own_x, own_g = x.copy(), g.copy()
            first = [np.array(each) for each in run(own_x, own_g)]
            for name, own, before in (("x", own_x, x), ("g", own_g, g)):
                if own.tobytes() != before.tobytes():
                    raise mismatch(given, f"{name} as it was", f"{name} = {describe_array(own)}")
            # A program that keeps what it has overwritten shows it in the second run.
            for came in (first[1], run_of(run)(x, g)[1]):
                expect(harness, given, came, expected)


@check("C2")
def any_cotangent(harness: Harness) -> None:
    """Backward: any cotangent g comes back as -λ·g, non-finite values included."""
    program = reversals(harness)
    holds = lambda case: expect(harness, case, program(case)[1], pulled_back(case.g, case.lam))
    each_case(harness, holds)


@check("C3")
def dtype_of_x(harness: Harness) -> None:
    """The gradient has the dtype of x; λ is cast to it, never the other way."""
    for dtype in harness.dtypes:
        g = np.array([9.0, 13.0], dtype)
        for lam in (0.1, 2, np.float64(0.1), np.float32(0.1), np.int64(2), LambdaVariable(0.1)):
            try:
                gradient = reversal(harness, lam, (2,), dtype)(g, g)[1]
            except InvalidLambdaError:
                if isinstance(lam, LambdaVariable):
                    continue  # the check on LambdaVariable says whether it may
                raise
            given = f"g = {describe_array(g)} ({dtype}), λ = {lam!r} ({type(lam).__name__})"
            expect(harness, given, gradient, pulled_back(g, lam))


@check("C3", needs="graph_lambda")
def dtype_of_graph_lambda(harness: Harness) -> None:
    """A λ of the framework is cast to the dtype of x, however wide it is."""
    for dtype in harness.dtypes:
        for lam_dtype in (*harness.dtypes, "int32"):
            run = harness.graph_lambda(harness.reverse, (2,), dtype, (), lam_dtype)
            g, lam = np.array([9.0, 13.0], dtype), np.array(2.1).astype(lam_dtype)
            given = f"g = {describe_array(g)} ({dtype}), λ = {describe_array(lam)} ({lam_dtype})"
            expect(harness, given, as_given(run, g, lam), pulled_back(g, lam))


def as_given(run: Callable[..., Any], x: Any, lam: Any) -> Any:
    """Return the gradient at `x`, with `x` as the cotangent too, from a program with λ."""
    gradient = run(np.array(x), np.array(lam), np.array(x))[1]
    return None if gradient is None else np.asarray(gradient)


@check("C3", needs="half_precision")
def half_precision(harness: Harness) -> None:
    """In half precision the clauses C1 to C3 hold as well: λ is rounded once, the product once."""
    program = reversals(harness)
    holds = lambda case: expect_both(harness, case, program(case), case.x, case.g, -case.lam)
    each_case(harness, holds, harness.half_dtypes)


@check("C4")
def zero_lambda(harness: Harness) -> None:
    """λ = 0 gives zeros that are still connected."""
    g = np.array([1.0, -2.0])
    for dtype in harness.dtypes:
        for lam in (0, 0.0):
            gradient = reversal(harness, lam, (2,), dtype)(g.astype(dtype), g.astype(dtype))[1]
            if gradient is None or gradient.shape != g.shape or np.any(gradient != 0):
                given = f"g = {describe_array(g)} ({dtype}), λ = {lam!r}"
                raise mismatch(given, "zeros", describe_array(gradient))


@check("C5", needs="graph_lambda")
def no_gradient_for_lambda(harness: Harness) -> None:
    """λ receives no gradient; a λ that asks for one is rejected."""
    x, lam = np.array([1.0, 2.0], harness.dtypes[0]), np.array(0.5, harness.dtypes[0])
    try:
        gradient = harness.lambda_gradient(harness.reverse, (2,), harness.dtypes[0])(x, lam, x)
    except InvalidLambdaError:
        return
    if gradient is not None and np.any(np.asarray(gradient) != 0):
        raise mismatch("x = g = [1. 2.], λ = 0.5", "none, or zero", describe_array(gradient))


@check("C6")
def double_reversal(harness: Harness) -> None:
    """reverse(reverse(x, a), b) pulls back +a·b·g."""
    for dtype in harness.dtypes:
        g = some((2,), dtype)
        for a, b in ((2.0, 3.0), (1.0, 1.0), (0.5, 0.5)):
            twice = lambda x: harness.reverse(harness.reverse(x, a), b)
            gradient = run_of(harness.program(twice, (2,), dtype))(g, g)[1]
            given = f"g = {describe_array(g)} ({dtype}), a = {a}, b = {b}"
            expect(harness, given, gradient, (a * b * g).astype(dtype))


@check("C8")
def invalid_lambda_rejected(harness: Harness) -> None:
    """A λ that is not a real, finite number >= 0, or too large for the dtype of x, is rejected."""
    one = np.ones((), "float32")
    for lam in BAD_LAMBDAS:
        rejected(f"λ = {lam!r}", lambda: reversal(harness, lam, (), "float32")(one, one))


@check("C16")
def any_shape(harness: Harness) -> None:
    """0-d, empty and up to 4-d shapes work."""
    dtype = harness.dtypes[0]

    def holds(shape: Tuple[int, ...]) -> None:
        x = some(shape, dtype)
        g = np.asarray(x + x)
        came = reversal(harness, 0.5, shape, dtype)(x, g)
        expect_both(harness, f"x of shape {shape}, λ = 0.5", came, x, g, -0.5)

    for_all(harness, holds, lambda strategies: strategies.shapes(), SHAPES)


@check("C16", needs="lambda_array")
def lambda_array(harness: Harness) -> None:
    """λ may be an array that broadcasts to x without enlarging it: one λ per sample, say."""
    dtype = harness.dtypes[0]
    g = some((2, 3), dtype)

    def fn(x: Any, lam: Any) -> Any:
        array = lam.copy()
        y = harness.reverse(x, array)
        array[...] = -100  # it was validated before, and is the caller's
        return y

    per_sample = np.array([[1.0], [5.0]])
    for lam in (per_sample, per_sample.astype(dtype), some((2, 3), dtype), some((3,), "int64")):
        run = run_of(harness.program(functools.partial(fn, lam=lam), (2, 3), dtype))
        given = f"g = {describe_array(g)}, λ = {describe_array(lam)}"
        expect(harness, given, run(g, g)[1], pulled_back(g, lam))
    build = lambda x, lam: functools.partial(reversal(harness, lam, x.shape, dtype), x, x)
    enlarging_rejected(dtype, build)


@check("C16", needs="graph_lambda")
def graph_lambda_array(harness: Harness) -> None:
    """A λ of the framework may have any shape that broadcasts to x without enlarging it."""
    dtype = harness.dtypes[0]
    g = some((2, 3), dtype)
    for lam in (np.array([[1.0], [5.0]], dtype), some((2, 3), dtype)):
        run = harness.graph_lambda(harness.reverse, (2, 3), dtype, lam.shape, dtype)
        given = f"g = {describe_array(g)}, λ = {describe_array(lam)}"
        expect(harness, given, as_given(run, g, lam), pulled_back(g, lam))

    def build(x: Any, lam: Any) -> Any:
        run = harness.graph_lambda(harness.reverse, x.shape, dtype, lam.shape, dtype)
        return functools.partial(run, x, lam, x)

    enlarging_rejected(dtype, build)


def enlarging_rejected(dtype: str, build: Callable[[Any, Any], Callable[[], Any]]) -> None:
    """Demand that a λ which does not broadcast to `x`, or would enlarge it, is rejected."""
    for shape, lam_shape in ENLARGING:
        given, kind = f"x of shape {shape}, λ of shape {lam_shape}", "InvalidLambdaError"
        try:
            run = build(some(shape, dtype), some(lam_shape, dtype))
        except InvalidLambdaError:
            continue
        except Exception as error:
            raise mismatch(given, kind, f"{type(error).__name__}: {error}") from error
        try:
            gradient = run()[1]
        except Exception:
            continue  # the framework learns the lengths when it runs, and raises its own error
        raise mismatch(given, kind, f"a gradient of shape {np.shape(gradient)}")


@check("C17")
def integers_rejected(harness: Harness) -> None:
    """An integer or boolean x is an error that says to cast first."""
    for dtype in ("int32", "bool"):
        x = np.ones((2,), dtype)
        given, call = f"x of dtype {dtype}", lambda: reversal(harness, 1.0, (2,), dtype)(x, x)
        error = rejected(given, call, UnsupportedTypeError)
        if "cast" not in str(error).lower():
            raise mismatch(given, "an error that says to cast", error)


__all__ = [name for name, value in list(globals().items()) if hasattr(value, "clause")]
