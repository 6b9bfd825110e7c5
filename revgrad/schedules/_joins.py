"""A constant λ, points, and what joins schedules."""

# No annotations from __future__, as in _base.

from dataclasses import dataclass
from typing import Any, Sequence, Tuple

from revgrad.schedules._arguments import as_number, as_tuple, check_ascending, check_schedule
from revgrad.schedules._base import Callback, Schedule, value_of
from revgrad.schedules._progress import Number, inverse_lerp, is_before, lerp


@dataclass(frozen=True)
class Constant(Schedule):
    r"""A constant λ: :math:`\lambda(p) = \mathrm{value}`.

    Parameters
    ----------
    value : float
        λ, at least 0.

    Raises
    ------
    ValueError
        If `value` is not a finite number that is at least 0.

    Examples
    --------
    >>> Constant(0.3)(0.9)
    0.3
    """

    value: float

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        return number(self.value) + number(0.0) * p


@dataclass(frozen=True)
class Piecewise(Schedule):
    r"""Linear interpolation between points.

    .. math::
        \lambda(p) = y_i + (y_{i+1} - y_i)\,\frac{p - x_i}{x_{i+1} - x_i}
        \quad\text{for } x_i \le p < x_{i+1}

    λ is constant before the first point and after the last. For a step function, join `Constant`
    schedules with `Sequential`.

    Parameters
    ----------
    points : sequence of pairs
        At least one pair ``(p, λ)``, with p in [0, 1] and strictly increasing, and λ at least 0.

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

    points: Sequence[Tuple[float, float]]

    def __post_init__(self) -> None:
        pairs = []
        for i, point in enumerate(as_tuple("Piecewise: points", self.points)):
            pair = as_tuple(f"Piecewise: points[{i}]", point)
            if len(pair) != 2:
                raise ValueError(f"Piecewise: points[{i}] must be a pair (p, λ); got {pair!r}.")
            p = as_number(f"Piecewise: p of points[{i}]", pair[0], most=1.0)
            pairs.append((p, as_number(f"Piecewise: λ of points[{i}]", pair[1])))
        if not pairs:
            raise ValueError("Piecewise: points must contain at least one pair (p, λ); got none.")
        check_ascending("Piecewise: the p of points", [p for p, _ in pairs])
        object.__setattr__(self, "points", tuple(pairs))

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        value = number(self.points[0][1]) + number(0.0) * p
        for (x0, y0), (x1, y1) in zip(self.points, self.points[1:]):
            line = lerp(y0, y1, inverse_lerp(x0, x1, p, xp, number), xp, number)
            # Not "p >= x0": for a nan the condition must be false, so that the line returns nan.
            value = xp.where(p < number(x0), value, line)
        x, y = self.points[-1]
        return xp.where(p >= number(x), number(y), value)


@dataclass(frozen=True)
class Delayed(Schedule):
    r"""A constant λ, then another schedule.

    .. math::
        \lambda(p) = \begin{cases}
            \mathrm{hold} & p < u \\
            \mathrm{schedule}\left(\frac{p - u}{1 - u}\right) & p \ge u = \mathrm{until}
        \end{cases}

    The other schedule is stretched over the rest: its own progress runs from 0 to 1 there.

    Parameters
    ----------
    schedule : Schedule or callable
        The schedule that follows.
    until : float
        The progress at which it begins: at least 0, below 1.
    hold : float, optional
        λ before that, at least 0. The default, 0, means no reversal.

    Raises
    ------
    ValueError
        If `schedule` is not callable, `until` is not a number in [0, 1), or `hold` is not a finite
        number that is at least 0.

    Notes
    -----
    The schedule begins at ``p >= until * (1 - 1e-6)``, so that rounding of p does not move the
    beginning by a step.

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
        super().__post_init__()
        if self.until >= 1:
            raise ValueError(
                f"Delayed: until must be a progress in [0, 1); got {self.until}, which leaves no "
                "steps for the schedule."
            )

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        local = inverse_lerp(self.until, 1.0, p, xp, number)
        then = value_of(self.schedule, local, xp, number)
        return xp.where(is_before(p, self.until, number), number(self.hold), then)


@dataclass(frozen=True)
class Sequential(Schedule):
    r"""Several schedules, one after the other.

    .. math::
        \lambda(p) = \mathrm{schedule}_i\left(\frac{p - b_{i-1}}{b_i - b_{i-1}}\right)
        \quad\text{for } b_{i-1} \le p < b_i

    with :math:`b_0 = 0`, and the last schedule up to p = 1. Each schedule is stretched over its
    interval: its own progress runs from 0 to 1 there.

    Parameters
    ----------
    schedules : sequence of Schedule or callable
        At least one.
    boundaries : sequence of float
        The progress at which each schedule but the first begins: strictly increasing, in (0, 1).

    Raises
    ------
    ValueError
        If an item of `schedules` is not callable; or if the length of `boundaries` is not that of
        `schedules` minus 1, or its items are not in (0, 1) or do not increase strictly.

    Notes
    -----
    A schedule begins at ``p >= boundary * (1 - 1e-6)``, so that rounding of p does not move the
    boundary by a step.

    Examples
    --------
    >>> from revgrad.schedules import Constant, Linear
    >>> up_and_hold = Sequential([Linear(0, 2), Constant(2)], boundaries=[0.5])
    >>> up_and_hold(0.25), up_and_hold(0.5), up_and_hold(1)
    (1.0, 2.0, 2.0)
    """

    schedules: Sequence[Callback]
    boundaries: Sequence[float]

    def __post_init__(self) -> None:
        schedules = as_tuple("Sequential: schedules", self.schedules)
        for i, each in enumerate(schedules):
            check_schedule(f"Sequential: schedules[{i}]", each)
        boundaries = tuple(
            as_number(f"Sequential: boundaries[{i}]", each, positive=True, most=1.0)
            for i, each in enumerate(as_tuple("Sequential: boundaries", self.boundaries))
        )
        if len(boundaries) != len(schedules) - 1:
            raise ValueError(
                "Sequential: boundaries must be one fewer than schedules; got "
                f"{len(boundaries)} for {len(schedules)} schedules."
            )
        check_ascending("Sequential: boundaries", [*boundaries, 1.0])
        vars(self).update(schedules=schedules, boundaries=boundaries)  # it is frozen

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        edges = [0.0, *self.boundaries, 1.0]
        value = None
        for schedule, start, end in zip(self.schedules, edges, edges[1:]):
            part = value_of(schedule, inverse_lerp(start, end, p, xp, number), xp, number)
            value = part if value is None else xp.where(is_before(p, start, number), value, part)
        return value
