"""The slopes of a loss by finite differences, with their errors, beside those that arrive."""

from dataclasses import dataclass
from typing import Any, Callable, Iterator, List, Optional, Tuple

import numpy as np

# Of two neighbouring steps: wide enough that a kink between them shows, near enough to agree.
RATIO = 3.0

# The largest step in spreads of `x`: a loss that changes nowhere up to it is constant.
LARGEST = 8.0

# The smallest step in last digits of `x`: fewer, and the step is mostly rounding.
SMALLEST = 30.0

# An error is estimated: what is larger than this many times it is seen.
SAFETY = 3.0


@dataclass(frozen=True)
class Slope:
    """The slope along one direction of unit length.

    Parameters
    ----------
    true : float
        By central differences, at the step where the neighbouring steps agree best.
    error : float
        What those steps disagree by, plus what the digits of the loss leave open.
    arrived : float
        That of the gradient which the framework returned.
    digits : bool
        Whether most of the error comes from the digits, and not from a kink or a bend.
    reach : float
        Where nothing arrives along a direction: how many times longer than its slope the true
        gradient there may well be, as the direction was drawn. 0 elsewhere.
    """

    true: float
    error: float
    arrived: float
    digits: bool
    reach: float


@dataclass(frozen=True)
class Measured:
    """The slopes at one point.

    Parameters
    ----------
    slopes : list of Slope
        The one with the smallest relative error first; empty where no step gave a finite loss.
    constant : bool
        Whether the loss stayed what it is at every step, also the largest.
    flat : bool
        Whether it did at the three smallest steps, to its last digits.
    invisible : bool
        Whether the arriving gradient promises no change of the loss that could be seen.
    steady : bool
        Whether the loss was the same each time it was computed.
    """

    slopes: List[Slope]
    constant: bool
    flat: bool
    invisible: bool
    steady: bool


def measure(
    loss: Callable[[Any], float], x: Any, gradient: Optional[Any], eps: float, parts: bool
) -> Measured:
    """Return the slopes of a loss at `x`.

    Parameters
    ----------
    loss : callable
        Maps an array like `x` to a number.
    x : numpy.ndarray
        The point, of a floating dtype.
    gradient : numpy.ndarray, optional
        What the framework returned as the gradient, of the shape of `x`.
    eps : float
        The relative resolution of the loss.
    parts : bool
        Whether to look along parts of the gradient as well.

    Returns
    -------
    Measured
        Along the arriving gradient, along parts of it and along directions drawn with a fixed seed.
    """
    g = np.zeros(x.shape) if gradient is None else np.asarray(gradient, "float64")
    repeated = [loss(x) for _ in range(3)]
    centre, spread = repeated[0], max(repeated) - min(repeated)
    lines = [_Line(loss, x, v, g, centre) for v in _directions(x, g, parts)]
    losses = np.concatenate([[centre], *(line.losses.ravel() for line in lines)])
    largest = np.abs(losses).max()
    # What one value of the loss may be off by: its last digits, and what its second differences
    # show at the smallest steps, where nothing but rounding is left of them.
    digits = 2 * eps * largest  # of the two values of a difference
    noise = max(digits, 2 * spread, *(2 * line.rounding() for line in lines))
    visible = SAFETY * noise
    slopes = filter(None, (line.slope(noise) for line in lines))
    last = np.concatenate([line.losses[:, -3:].ravel() for line in lines])
    return Measured(
        sorted(slopes, key=lambda slope: slope.error / max(abs(slope.true), 1e-300)),
        constant=bool((np.abs(losses - centre) <= visible).all()),
        flat=bool((np.abs(last - centre) <= SAFETY * digits).all()),
        # The steps of a difference lie on both sides: it is twice as large.
        invisible=all((np.abs(line.arrived * line.lengths) <= 2 * visible).all() for line in lines),
        # Threads that add in another order change more than the last digit, dropout far more.
        steady=bool(spread <= 100 * eps * largest),
    )


def nearby(x: Any) -> Iterator[Any]:
    """Yield points that lie off the kinks that `x` may lie on.

    Parameters
    ----------
    x : numpy.ndarray
        Of a floating dtype.

    Yields
    ------
    numpy.ndarray
        Like `x`, moved by up to half of its spread; the same at each call.
    """
    random = np.random.RandomState(1)
    for _ in range(2):
        yield np.asarray(x + 0.5 * _spread(x) * random.uniform(-1, 1, x.shape), x.dtype)


class _Line:
    """The loss along one direction, on both sides, at steps that shrink by RATIO."""

    def __init__(self, loss: Callable[[Any], float], x: Any, v: Any, g: Any, centre: float) -> None:
        v = v / np.abs(v).max()
        silent = np.count_nonzero(v) if np.any(g) and not np.any(g * v) else 0
        self.reach = float(np.sqrt(silent))
        rows: List[Tuple[float, ...]] = []
        for step in _steps(x):
            with np.errstate(all="ignore"):
                ahead, behind = (np.asarray(x + h * v, x.dtype) for h in (step, -step))
            # The difference as it was rounded: in float32 x + h·v is not h·v away from x.
            moved = ahead.astype("float64") - behind
            length = float(np.sqrt((moved**2).sum()))
            if 0 < length < np.inf:
                losses = loss(ahead), loss(behind)
                row = (length, float((g * moved).sum()) / length, *losses)
                # The steps of a window must be neighbours.
                rows = [*rows, row] if np.isfinite(losses).all() else []
        columns: Any = np.reshape(rows, (-1, 4)).T
        self.lengths, self.arrived, self.losses = columns[0], columns[1], columns[2:]
        self.seconds = self.losses.sum(axis=0) - 2 * centre

    def rounding(self) -> float:
        """Return the size of the second differences that is no curvature, at the smallest steps."""
        seconds = self.seconds[-3:]
        left = np.abs(seconds[:-1] - RATIO**2 * seconds[1:])
        return float(left.max(initial=0)) / (2 * (1 + RATIO**2))

    def slope(self, noise: float) -> Optional[Slope]:
        """Return the slope at the step with the smallest error."""
        if len(self.lengths) < 3:
            return None
        slopes = (self.losses[0] - self.losses[1]) / self.lengths
        bends = 2 * self.seconds / self.lengths  # the differences of the two one-sided slopes
        digits = 2 * noise / self.lengths[1:-1]
        shape = np.max(
            [
                np.abs(slopes[1:-1] - slopes[:-2]),
                np.abs(slopes[1:-1] - slopes[2:]),
                # One-sided slopes differ in proportion to the step where the loss is smooth;
                # what is left of that at a kink is the jump of the slope.
                np.abs(RATIO * bends[1:-1] - bends[:-2]) / (2 * (RATIO - 1)),
            ],
            axis=0,
        )
        i = int(np.argmin(digits + shape))
        true, arrived = float(slopes[i + 1]), float(self.arrived[i + 1])
        error, by_digits = float(digits[i] + shape[i]), bool(digits[i] > shape[i])
        return Slope(true, error, arrived, by_digits, self.reach)


def _spread(x: Any) -> float:
    wide = x.astype("float64")
    return float(wide.std()) or float(np.abs(wide).max()) or 1.0


def _steps(x: Any) -> List[float]:
    spread = _spread(x)
    eps = float(np.finfo(x.dtype).eps)
    # Rounding grows and curvature shrinks with the step: eps**(1/3) would balance them for one
    # central difference, and the neighbours that are compared need smaller ones.
    smallest = max(eps**0.5 * spread, SMALLEST * eps * float(np.abs(x).max()))
    count = max(5, int(np.log(LARGEST * spread / smallest) / np.log(RATIO)) + 1)
    return [LARGEST * spread * RATIO**-k for k in range(count)]


def _directions(x: Any, g: Any, parts: bool) -> Iterator[Any]:
    random = np.random.RandomState(0)
    if not np.any(g):
        yield from (random.normal(size=x.shape) for _ in range(3))
        return
    yield g
    yield random.normal(size=x.shape)
    if parts:
        # They show a loss that is reversed in some branches, columns or rows.
        masks = [random.uniform(size=x.shape) < 0.5]
        for axis in sorted({0, x.ndim - 1}) if x.ndim else ():
            first = np.arange(x.shape[axis]) < x.shape[axis] // 2
            mask = first.reshape([-1 if i == axis else 1 for i in range(x.ndim)])
            masks += [mask, ~mask]
        yield from (g * mask for mask in masks if np.any(g * mask) and not np.all(mask))
        if not np.all(g):
            yield from (random.normal(size=x.shape) * (g == 0) for _ in range(2))
