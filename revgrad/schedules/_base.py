"""`Schedule`, the base of all schedules, and what holds for each of them."""

from __future__ import annotations

import abc
import numbers
from dataclasses import MISSING, dataclass, fields
from typing import Any, Callable, Dict, Mapping, TypeVar

import numpy as np

from revgrad.schedules._arguments import as_number, check_schedule
from revgrad._lambda import normalize_lambda, lambda_as_float, describe_value
from revgrad.schedules._progress import Number, clamp, evaluate
from revgrad.exceptions import InvalidLambdaError

Callback = Callable[[Any], Any]

KINDS: Dict[str, Any] = {}
"""The classes that a plain dict can name."""

Kind = TypeVar("Kind", bound=type)


def kind(cls: Kind) -> Kind:
    """Let a plain dict name this class."""
    KINDS[cls.__name__] = cls
    return cls


class Schedule(abc.ABC):
    """A pure map from progress p in [0, 1] to λ: the base of all schedules.

    ``schedule * 0.5`` and ``0.5 * schedule`` scale it; see `Scaled`.
    """

    __array_ufunc__ = None  # else a NumPy scalar times a schedule would be NumPy's to answer

    def __call__(self, p: Any) -> Any:
        """Return λ at progress `p`.

        Parameters
        ----------
        p : number, numpy.ndarray or in-graph value
            Progress, clamped to [0, 1]; see `progress`.

        Returns
        -------
        float, numpy.ndarray or in-graph value
            λ: a float for a number; otherwise of the shape of `p`, and of its dtype if that is
            floating.

        Raises
        ------
        ValueError
            If `p` is nan or none of these values. In the graph a nan cannot be seen: λ is nan
            then, unless it does not depend on p.
        """

        def formula(p: Any, xp: Any, number: Number) -> Any:
            return self._curve(clamp(p, xp, number), xp, number)

        return evaluate(formula, p, "p")

    @abc.abstractmethod
    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        """Return λ at a `p` that lies in [0, 1]; see `revgrad.schedules._progress` for what is passed."""

    def __mul__(self, factor: Any) -> Scaled:
        if not isinstance(factor, numbers.Real):
            return NotImplemented
        return Scaled(self, factor)  # type: ignore[arg-type]

    __rmul__ = __mul__

    def to_dict(self) -> Dict[str, Any]:
        """Return the schedule as a plain dict, for config files and checkpoints.

        Returns
        -------
        dict
            The name of the class under ``"kind"``, and the arguments. It holds dicts, lists,
            strings and floats only, so JSON keeps it. `from_dict` takes it back.

        Raises
        ------
        ValueError
            If a callable of your own is part of the schedule: it has no plain form.

        Examples
        --------
        >>> from revgrad.schedules import Dann
        >>> Dann(gamma=5).to_dict()
        {'kind': 'Dann', 'gamma': 5.0, 'low': 0.0, 'high': 1.0}
        """
        plain: Dict[str, Any] = _encode(self, _refuse)
        return plain


@kind
@dataclass(frozen=True)
class Scaled(Schedule):
    r"""Another schedule times a number: :math:`\mathrm{factor} \cdot \mathrm{schedule}(p)`.

    ``schedule * factor`` and ``factor * schedule`` make one.

    Parameters
    ----------
    schedule : Schedule or callable
        What is scaled.
    factor : float
        At least 0.

    Raises
    ------
    ValueError
        If `schedule` cannot be called, or `factor` is not a finite number that is at least 0.

    Examples
    --------
    >>> from revgrad.schedules import Dann
    >>> 0.1 * Dann() == Scaled(Dann(), 0.1)
    True
    """

    schedule: Callback
    factor: float

    def __post_init__(self) -> None:
        check_schedule("Scaled", "schedule", self.schedule)
        check_fields(self, "factor")

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        return number(self.factor) * value_of(self.schedule, p, xp, number)


def from_dict(plain: Mapping[str, Any]) -> Schedule:
    """Return the schedule that a plain dict describes; the other way is `Schedule.to_dict`.

    Parameters
    ----------
    plain : mapping
        The name of the class under ``"kind"``, and its arguments by name. Those that have a
        default may be left out.

    Returns
    -------
    Schedule
        Equal to the one that `plain` was made from.

    Raises
    ------
    ValueError
        If the kind is unknown, an argument is unknown, missing or refused by the schedule.

    Examples
    --------
    >>> from_dict({"kind": "Delayed", "until": 0.1, "schedule": {"kind": "Dann", "gamma": 5}})
    Delayed(schedule=Dann(gamma=5.0, low=0.0, high=1.0), until=0.1, hold=0.0)
    >>> from_dict({"kind": "dann"})
    Traceback (most recent call last):
      ...
    ValueError: There is no schedule of the kind 'dann'. Known kinds: Constant, Cosine, Dann, \
Delayed, Exponential, InverseDecay, Linear, Piecewise, Polynomial, Scaled, Sequence.
    """
    if not isinstance(plain, Mapping) or "kind" not in plain:
        raise ValueError(
            "A schedule as a dict holds the name of its class under 'kind', as in "
            f"{{'kind': 'Dann', 'gamma': 10}}; got {describe_value(plain)}."
        )
    kind = plain["kind"]
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(
            f"There is no schedule of the kind {kind!r}. Known kinds: {', '.join(sorted(KINDS))}."
        )
    cls = KINDS[kind]
    known = {field.name: field.default is MISSING for field in fields(cls)}
    given = {name: value for name, value in plain.items() if name != "kind"}
    unknown = [repr(name) for name in given if name not in known]
    missing = [repr(name) for name, needed in known.items() if needed and name not in given]
    if unknown or missing:
        problem = f"does not take {', '.join(unknown)}" if unknown else ""
        problem += " and " if unknown and missing else ""
        problem += f"lacks {', '.join(missing)}" if missing else ""
        raise ValueError(f"{kind} {problem}. Its arguments: {', '.join(known)}.")
    schedule: Schedule = cls(**{name: _decode(value) for name, value in given.items()})
    return schedule


def describe(schedule: Callback) -> Dict[str, Any]:
    """Return what a checkpoint keeps of a schedule, to tell it from another.

    Parameters
    ----------
    schedule : Schedule or callable
        Any schedule.

    Returns
    -------
    dict
        What `Schedule.to_dict` returns, with ``{"callable": name}`` for a callable of the user's.
    """
    plain: Dict[str, Any] = _encode(schedule, lambda each: {"callable": name_of(each)})
    return plain


def name_of(schedule: Callback) -> str:
    """Return the repr of a schedule, the qualified name of a callable of the user's.

    Parameters
    ----------
    schedule : Schedule or callable
        Any schedule.

    Returns
    -------
    str
        The same in every process: without the address of an object.
    """
    if isinstance(schedule, Schedule):
        return repr(schedule)
    named = schedule if hasattr(schedule, "__qualname__") else type(schedule)
    return f"{named.__module__}.{named.__qualname__}"


def call_schedule(schedule: Callback, p: Any) -> Any:
    """Return the λ that a schedule gives for a number or an array, judged.

    Parameters
    ----------
    schedule : Schedule or callable
        Any schedule.
    p : float or numpy.ndarray
        Progress in [0, 1].

    Returns
    -------
    float or numpy.ndarray
        λ; a float for a float.

    Raises
    ------
    InvalidLambdaError
        If the schedule returns anything else; the error names the schedule and `p`.
    """
    try:
        lam = schedule(p)
        if isinstance(p, float):
            return lambda_as_float(lam)
        if not isinstance(normalize_lambda(lam), (float, np.ndarray)):
            raise InvalidLambdaError(f"It returned {describe_value(lam)}, which is no λ.")
        return lam
    except InvalidLambdaError as error:
        where = f"p = {p!r}" if isinstance(p, float) else "an array of p"
        raise InvalidLambdaError(f"The schedule {name_of(schedule)} at {where}: {error}") from error


def value_of(schedule: Callback, p: Any, xp: Any, number: Number) -> Any:
    """Return λ of any schedule inside the formula of another."""
    if isinstance(schedule, Schedule):
        return schedule._curve(p, xp, number)
    if xp is np:
        return call_schedule(schedule, float(p) if isinstance(p, float) else p)
    return schedule(p)


def check_fields(schedule: Schedule, *names: str, positive: bool = False) -> None:
    """Replace arguments of a schedule by finite floats that are at least 0, or refuse them."""
    for name in names:
        value = as_number(type(schedule).__name__, name, getattr(schedule, name), positive)
        object.__setattr__(schedule, name, value)


def _encode(value: Any, foreign: Callable[[Any], Any]) -> Any:
    if isinstance(value, tuple):
        return [_encode(each, foreign) for each in value]
    if isinstance(value, float):
        return value
    if KINDS.get(type(value).__name__) is not type(value):
        return foreign(value)
    plain = {"kind": type(value).__name__}
    plain.update({f.name: _encode(getattr(value, f.name), foreign) for f in fields(value)})
    return plain


def _decode(value: Any) -> Any:
    if isinstance(value, Mapping):
        return from_dict(value)
    if isinstance(value, (list, tuple)):
        return tuple(_decode(each) for each in value)
    return value


def _refuse(schedule: Callback) -> Any:
    raise ValueError(
        f"{name_of(schedule)} is a callable of your own, which has no form as a plain dict. Keep "
        "it in code, or write it with the schedules of revgrad."
    )
