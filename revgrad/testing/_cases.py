"""The inputs of the checks, and how what comes out is compared."""

from dataclasses import dataclass
from typing import Any, Iterator, Sequence, Tuple

import numpy as np

from revgrad import reference
from revgrad._lambda import describe_value
from revgrad.testing._check import mismatch
from revgrad.testing.harness import Harness, Run

# Every kind of float: 0.1 has another neighbour in each dtype, 1e-40 is subnormal in float32.
SPECIAL = (1.0, 1.5, -2.25, 0.1, 1e30, 0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40)


@dataclass(frozen=True)
class Case:
    """One input of a check.

    Parameters
    ----------
    lam : float
        λ.
    x, g : numpy.ndarray
        The value and the cotangent, of one shape and dtype.
    """

    lam: float
    x: Any
    g: Any

    def __str__(self) -> str:
        x, g = describe_array(self.x), describe_array(self.g)
        return f"x = {x}, g = {g}, λ = {self.lam!r} ({self.x.dtype}, shape {self.x.shape})"


def numpy_dtype(name: str) -> Any:
    """Return the dtype of that name; ml_dtypes adds bfloat16 to those of NumPy."""
    if name == "bfloat16":
        import ml_dtypes  # type: ignore[import-not-found, unused-ignore]  # noqa: F401
    return np.dtype(name)


def some(shape: Tuple[int, ...], dtype: str) -> Any:
    """Return an array of that shape, with 1, 2, 3, ... in it."""
    return np.arange(1, 1 + int(np.prod(shape))).reshape(shape).astype(numpy_dtype(dtype))


def floating(name: str) -> Any:
    """Return what `numpy.finfo` says of a floating dtype, also of bfloat16."""
    if name == "bfloat16":
        import ml_dtypes

        return ml_dtypes.finfo(ml_dtypes.bfloat16)  # type: ignore[no-untyped-call, unused-ignore]
    return np.finfo(name)


def describe_array(array: Any) -> str:
    """Return the elements in one line, shortened where they are many."""
    if array is None:
        return "None: not connected"
    text = " ".join(np.array2string(np.asarray(array), threshold=12, floatmode="unique").split())
    return text if len(text) <= 160 else text[:157] + "..."


def fixed_cases(harness: Harness, dtypes: Sequence[str]) -> Iterator[Case]:
    """Yield cases that need no hypothesis, the smallest first."""
    for dtype in dtypes:
        with np.errstate(over="ignore", invalid="ignore"):
            special = np.array(SPECIAL).astype(numpy_dtype(dtype))
            if not harness.subnormals:
                special = special[(special == 0) | ~(abs(special) < floating(dtype).tiny)]
        for lam in (1.0, 0.3, 7.0):
            for each in special:
                yield Case(lam, np.asarray(each), np.asarray(special[0]))
                yield Case(lam, np.asarray(special[0]), np.asarray(each))
            yield Case(lam, special, special[::-1].copy())


def run_of(run: Run) -> Run:
    """Make a program take copies and return arrays, so that no run disturbs another."""

    if not callable(run):
        raise TypeError(
            f"a harness returns functions of two arrays; this one returned {describe_value(run)}"
        )

    def on_copies(*inputs: Any) -> Tuple[Any, Any]:
        found = run(*(np.array(each) for each in inputs))
        if not (isinstance(found, (tuple, list)) and len(found) == 2):
            raise TypeError(
                "a function that the harness returns must return two arrays, for instance the "
                f"value and the gradient; got {describe_value(found)}"
            )
        return as_array(found[0]), as_array(found[1])

    return on_copies  # type: ignore[return-value, unused-ignore]


def as_array(value: Any) -> Any:
    """Return a NumPy array, and None as it is: it stands for "not connected"."""
    return None if value is None else np.asarray(value)


def expect(harness: Harness, given: object, came: Any, expected: Any) -> None:
    """Demand an array equal to `expected`: shape, dtype, values, signs of zeros, nan for nan."""
    if came is not None and (came.dtype, came.shape) != (expected.dtype, expected.shape):
        kinds = [f"{each.dtype} of shape {each.shape}" for each in (expected, came)]
        raise mismatch(given, *kinds)
    if came is None or not equal(harness, came, expected):
        raise mismatch(given, describe_array(expected), describe_array(came))


def equal(harness: Harness, came: Any, expected: Any) -> bool:
    """Say whether two arrays of one shape and dtype are equal, signs of zeros included."""
    same = (came == expected) & (np.signbit(came) == np.signbit(expected))
    same |= np.isnan(came) & np.isnan(expected)
    if not harness.subnormals:
        with np.errstate(invalid="ignore"):
            tiny = abs(expected) < floating(str(expected.dtype)).tiny
        same |= tiny & (expected != 0) & (came == 0)
    return bool(np.all(same))


def close(given: object, came: Any, expected: Any, dtype: str, units: float = 64) -> None:
    """Demand an array that is near to `expected`, to some units in the last place of `dtype`."""
    tolerance = units * float(floating(dtype).eps)
    if came is None or not np.allclose(came, expected, rtol=tolerance, atol=tolerance):
        raise mismatch(given, describe_array(expected), describe_array(came))


def pulled_back(g: Any, lam: Any) -> Any:
    """Return what the contract in NumPy says, overflow being what it is."""
    with np.errstate(all="ignore"):
        return np.asarray(reference.pullback(g, lam))


def expect_both(harness: Harness, given: object, came: Any, x: Any, g: Any, factor: Any) -> None:
    """Demand what a program must return: `x` as the value, the factor times `g` as the gradient."""
    expect(harness, given, came[0], x)
    with np.errstate(all="ignore"):
        expect(harness, given, came[1], np.asarray(reference.scaled_pullback(g, factor)))
