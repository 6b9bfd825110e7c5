"""The schedules that are made of points, or of other schedules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Sequence as SequenceOf, Tuple

from revgrad.schedules._arguments import as_number, as_tuple, check_ascending, check_schedule
from revgrad.schedules._progress import Number, before, between, within
from revgrad.schedules._base import Callback, Schedule, check_fields, kind, value_of


@kind
@dataclass(frozen=True)
class Piecewise(Schedule):
    r"""Straight lines from point to point.

    .. math::
        \lambda(p) = y_i + (y_{i+1} - y_i)\,\frac{p - x_i}{x_{i+1} - x_i}
        \quad\text{for } x_i \le p < x_{i+1}

    It is the first value before the first point, and the last value from the last point on. For
    steps instead of lines, join schedules of the class `Constant` with `Sequence`.

    Parameters
    ----------
    points : sequence of pairs
        ``(p, λ)`` with p in [0, 1], strictly ascending, and λ at least 0; one pair at least.

    Raises
    ------
    ValueError
        If `points` is not such a sequence.

    Examples
    --------
    >>> hill = Piecewise([(0.2, 0), (0.4, 1), (1, 0.5)])
    >>> [round(hill(p), 6) for p in (0, 0.2, 0.3, 0.4, 0.7, 1)]
    [0.0, 0.0, 0.5, 1.0, 0.75, 0.5]
    """

    points: SequenceOf[Tuple[float, float]]

    def __post_init__(self) -> None:
        pairs = []
        for i, pair in enumerate(as_tuple("Piecewise", "points", self.points)):
            pair = as_tuple("Piecewise", f"points[{i}]", pair)
            if len(pair) != 2:
                raise ValueError(f"Piecewise: points[{i}] must be a pair (p, λ); got {pair!r}.")
            pairs.append(
                (
                    as_number("Piecewise", f"p of points[{i}]", pair[0], most=1.0),
                    as_number("Piecewise", f"λ of points[{i}]", pair[1]),
                )
            )
        if not pairs:
            raise ValueError("Piecewise: points must hold one pair (p, λ) at least; got none.")
        check_ascending("Piecewise", "the p of points", [p for p, _ in pairs])
        object.__setattr__(self, "points", tuple(pairs))

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        value = number(self.points[0][1]) + number(0.0) * p
        for (x0, y0), (x1, y1) in zip(self.points, self.points[1:]):
            line = between(y0, y1, within(p, x0, x1, xp, number), xp, number)
            # Not "p >= x0": a nan must get the line, which keeps it.
            value = xp.where(p < number(x0), value, line)
        x, y = self.points[-1]
        return xp.where(p >= number(x), number(y), value)


@kind
@dataclass(frozen=True)
class Delayed(Schedule):
    r"""Hold a value, then follow another schedule.

    .. math::
        \lambda(p) = \begin{cases}
            \mathrm{hold} & p < u \\
            \mathrm{schedule}\left(\frac{p - u}{1 - u}\right) & p \ge u = \mathrm{until}
        \end{cases}

    The other schedule runs through all of its own progress, from 0 to 1, in what is left.

    Parameters
    ----------
    schedule : Schedule or callable
        What follows.
    until : float
        The progress at which the other begins: at least 0, below 1.
    hold : float, optional
        λ before that, at least 0: by default there is no reversal.

    Raises
    ------
    ValueError
        If `schedule` cannot be called, `until` is not a number in [0, 1), or `hold` not a finite
        number that is at least 0.

    Notes
    -----
    `until` counts as reached one millionth of it earlier, so that no rounding moves the begin by
    a step.

    Examples
    --------
    >>> from revgrad.schedules import Linear
    >>> late = Delayed(Linear(), until=0.5)
    >>> late(0.4), late(0.5), late(0.75), late(1)
    (0.0, 0.0, 0.5, 1.0)
    """

    schedule: Callback
    until: float
    hold: float = 0.0

    def __post_init__(self) -> None:
        check_schedule("Delayed", "schedule", self.schedule)
        check_fields(self, "until", "hold")
        if self.until >= 1:
            raise ValueError(
                f"Delayed: until must be a progress in [0, 1); got {self.until}. Nothing would be "
                "left for the schedule."
            )

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        local = within(p, self.until, 1.0, xp, number)
        then = value_of(self.schedule, local, xp, number)
        return xp.where(before(p, self.until, number), number(self.hold), then)


@kind
@dataclass(frozen=True)
class Sequence(Schedule):
    r"""Several schedules, one after the other.

    .. math::
        \lambda(p) = \mathrm{schedule}_i\left(\frac{p - b_{i-1}}{b_i - b_{i-1}}\right)
        \quad\text{for } b_{i-1} \le p < b_i

    with :math:`b_0 = 0` and the last one up to p = 1. Each runs through all of its own progress,
    from 0 to 1, in its part. At a boundary the next one has begun.

    Parameters
    ----------
    schedules : sequence of Schedule or callable
        One at least.
    boundaries : sequence of float
        The progress at which each but the first begins: strictly ascending, above 0 and below 1.

    Raises
    ------
    ValueError
        If an item of `schedules` cannot be called; if `boundaries` is not one shorter than
        `schedules`, not strictly ascending, or leaves (0, 1).

    Notes
    -----
    A boundary counts as reached one millionth of it earlier, so that no rounding moves a jump by
    a step.

    Examples
    --------
    >>> from revgrad.schedules import Constant, Linear
    >>> up_and_hold = Sequence([Linear(0, 2), Constant(2)], boundaries=[0.5])
    >>> up_and_hold(0.25), up_and_hold(0.5), up_and_hold(1)
    (1.0, 2.0, 2.0)
    """

    schedules: SequenceOf[Callback]
    boundaries: SequenceOf[float]

    def __post_init__(self) -> None:
        schedules = as_tuple("Sequence", "schedules", self.schedules)
        for i, schedule in enumerate(schedules):
            check_schedule("Sequence", f"schedules[{i}]", schedule)
        boundaries = tuple(
            as_number("Sequence", f"boundaries[{i}]", each, positive=True, most=1.0)
            for i, each in enumerate(as_tuple("Sequence", "boundaries", self.boundaries))
        )
        if len(boundaries) != len(schedules) - 1:
            raise ValueError(
                "Sequence: boundaries must be one fewer than schedules; got "
                f"{len(boundaries)} for {len(schedules)} schedules."
            )
        check_ascending("Sequence", "boundaries", [*boundaries, 1.0])
        object.__setattr__(self, "schedules", schedules)
        object.__setattr__(self, "boundaries", boundaries)

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        edges = [0.0, *self.boundaries, 1.0]
        parts = [
            value_of(schedule, within(p, begin, end, xp, number), xp, number)
            for schedule, begin, end in zip(self.schedules, edges, edges[1:])
        ]
        value = parts[0]
        for begin, part in zip(self.boundaries, parts[1:]):
            value = xp.where(before(p, begin, number), value, part)
        return value
