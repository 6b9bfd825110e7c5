"""`Schedule`, the base class of all schedules, `Scaled`, and the conversion from and to dicts."""

# No annotations from __future__ here: `typing.get_type_hints` would look for the names in the
# annotations of a dataclass in the public module.

import abc
import inspect
import numbers
import warnings
from dataclasses import dataclass, fields
from typing import Any, Callable, ClassVar, Dict, Mapping, Tuple, Type, overload

import numpy as np

from revgrad._lambda import describe_value, is_real, lambda_as_float, normalize_lambda, short_repr
from revgrad._names import did_you_mean
from revgrad.exceptions import InvalidLambdaError
from revgrad.schedules._arguments import as_number, check_schedule
from revgrad.schedules._progress import Number, X, clip, evaluate

Callback = Callable[[Any], Any]


# How many schedules may contain one another in what `from_dict` reads.
DEPTH = 100

# The classes that `from_dict` knows, by name: those of this package.
KINDS: Dict[str, "Type[Schedule]"] = {}


class Schedule(abc.ABC):
    """The base class of all schedules: a pure map from progress p in [0, 1] to λ.

    ``schedule * 0.5`` and ``0.5 * schedule`` return a `Scaled` schedule.

    Examples
    --------
    >>> from revgrad.schedules import Dann, from_dict
    >>> Dann(gamma=5).to_dict()
    {'kind': 'Dann', 'gamma': 5.0, 'low': 0.0, 'high': 1.0}
    >>> from_dict(Dann(gamma=5).to_dict()) == Dann(gamma=5)
    True
    """

    __array_ufunc__ = None  # else NumPy would multiply a NumPy scalar by a schedule
    _positive: ClassVar[Tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Validate the fields: schedules, and numbers >= 0, or > 0 if named in `_positive`."""
        for field in fields(self):  # type: ignore[arg-type]
            what, value = f"{type(self).__name__}: {field.name}", getattr(self, field.name)
            if field.type is Callback:
                check_schedule(what, value)
            elif field.type is float:
                value = as_number(what, value, field.name in self._positive)
                object.__setattr__(self, field.name, value)

    @overload
    def __call__(self, p: float) -> float: ...

    @overload
    def __call__(self, p: X) -> X: ...

    def __call__(self, p: Any) -> Any:
        """Return λ at progress `p`.

        Parameters
        ----------
        p : number, numpy.ndarray or in-graph value
            Progress, clipped to [0, 1]; see `progress`.

        Returns
        -------
        float, numpy.ndarray or in-graph value
            λ: a float for a number; otherwise of the shape of `p`, and of its dtype if that is
            floating.

        Raises
        ------
        ValueError
            If `p` is nan or of another type. A nan in the graph is not detected: λ is then nan,
            unless it does not depend on p.

        Warns
        -----
        UserWarning
            If a number or an element of an array is 2 or more: it is probably a step.
        """
        lam = evaluate(lambda p, xp, number: self._curve(clip(p, xp, number), xp, number), p, "p")
        past_end = (p >= 2).any() if isinstance(p, np.ndarray) else is_real(p) and p >= 2
        if past_end:
            # The text does not depend on p: the default filter shows a text once for each line.
            warnings.warn(
                f"{self!r} was called with p >= 2. Progress ends at 1, so λ is that of p = 1. If p "
                "is a step, call schedule(progress(step, total_steps)).",
                stacklevel=2,
            )
        return lam

    @abc.abstractmethod
    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        """Return λ at a `p` in [0, 1]; `revgrad.schedules._progress` describes the arguments."""

    def __mul__(self, scale: Any) -> "Scaled":
        real = isinstance(scale, numbers.Real)
        return Scaled(self, scale) if real else NotImplemented

    __rmul__ = __mul__

    def to_dict(self) -> Dict[str, Any]:
        """Return the schedule as a plain dict, for config files and checkpoints.

        Returns
        -------
        dict
            The name of the class under ``"kind"``, and the arguments. It contains only dicts,
            lists, strings and floats, so it can be stored as JSON. `from_dict` is the inverse.

        Raises
        ------
        ValueError
            If the schedule contains a callable that is not one of the classes in
            `revgrad.schedules`.
        """
        return dict(encode(self, strict=True))


@dataclass(frozen=True)
class Scaled(Schedule):
    r"""Another schedule times a number: :math:`\mathrm{scale} \cdot \mathrm{schedule}(p)`.

    ``schedule * scale`` and ``scale * schedule`` return one.

    Parameters
    ----------
    schedule : Schedule or callable
        The schedule to scale.
    scale : float
        At least 0.

    Raises
    ------
    ValueError
        If `schedule` is not callable, or `scale` is not a finite number that is at least 0.

    Examples
    --------
    >>> from revgrad.schedules import Dann
    >>> 0.1 * Dann() == Scaled(Dann(), 0.1)
    True
    """

    schedule: Callback
    scale: float

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        return number(self.scale) * value_of(self.schedule, p, xp, number)


def from_dict(plain: Mapping[str, Any]) -> Schedule:
    """Return the schedule that a plain dict describes; the inverse of `Schedule.to_dict`.

    Parameters
    ----------
    plain : mapping
        The name of the class under ``"kind"``, and its arguments by name. Arguments that have a
        default may be left out.

    Returns
    -------
    Schedule
        Equal to the schedule that `plain` was made from.

    Raises
    ------
    ValueError
        If the kind is unknown, an argument is unknown, missing or invalid, or more than 100
        schedules contain one another.

    Examples
    --------
    >>> from_dict({"kind": "Delayed", "until": 0.1, "schedule": {"kind": "Dann", "gamma": 5}})
    Delayed(schedule=Dann(gamma=5.0, low=0.0, high=1.0), until=0.1, hold=0.0)
    >>> from_dict({"kind": "dann"})
    Traceback (most recent call last):
      ...
    ValueError: Unknown schedule 'dann'. Did you mean 'Dann'? Known schedules: Constant, Cosine, \
Dann, Delayed, Exponential, InverseDecay, Linear, Piecewise, Polynomial, Scaled, Sequential.
    """
    return _schedule(plain, DEPTH)


def _schedule(plain: Any, depth: int) -> Schedule:
    """Return the schedule that a plain dict describes, which contains at most `depth` levels."""
    if not isinstance(plain, Mapping) or "kind" not in plain:
        raise ValueError(
            "A schedule as a dict has the name of its class under 'kind', as in "
            f"{{'kind': 'Dann', 'gamma': 10}}; got {describe_value(plain)}."
        )
    name = plain["kind"]
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError(
            f"Unknown schedule {short_repr(name)}."
            f"{did_you_mean(name.title(), KINDS) if isinstance(name, str) else ''} "
            f"Known schedules: {', '.join(sorted(KINDS))}."
        )
    if not depth:
        raise ValueError(f"{name}: more than {DEPTH} schedules contain one another.")
    signature = inspect.signature(KINDS[name])
    arguments = {}
    for key, value in plain.items():
        if isinstance(value, (list, tuple)):  # no schedule has deeper lists of schedules
            arguments[key] = [_decode(each, depth - 1) for each in value]
        elif key != "kind":
            arguments[key] = _decode(value, depth - 1)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        known = ", ".join(signature.parameters)
        raise ValueError(f"{name}: {error}. Its arguments: {known}.") from None
    return KINDS[name](**arguments)


def schedule_name(schedule: Callback) -> str:
    """Return the repr of a schedule, or the qualified name of another callable."""
    if isinstance(schedule, Schedule):
        return repr(schedule)
    named = schedule if hasattr(schedule, "__qualname__") else type(schedule)
    return f"{named.__module__}.{named.__qualname__}"


def call_schedule(schedule: Callback, p: Any) -> Any:
    """Return the λ of a schedule or callable at a float or an array, validated."""
    try:
        lam = schedule(p)
        if isinstance(p, float):
            return lambda_as_float(lam)
        if not isinstance(normalize_lambda(lam), (float, np.ndarray)):
            raise InvalidLambdaError(f"λ must be a number or an array; got {describe_value(lam)}.")
        return lam
    except InvalidLambdaError as error:
        where = f"p = {p!r}" if isinstance(p, float) else "an array of p"
        text = f"The schedule {schedule_name(schedule)} at {where}: {error}"
        raise InvalidLambdaError(text) from error


def value_of(schedule: Callback, p: Any, xp: Any, number: Number) -> Any:
    """Return λ of a schedule or callable inside the formula of another schedule."""
    if isinstance(schedule, Schedule):
        return schedule._curve(p, xp, number)
    if xp is np:
        return call_schedule(schedule, float(p) if isinstance(p, float) else p)
    return schedule(p)


def encode(value: Any, strict: bool) -> Any:
    """Return a field in plain form; callables by name, as in a checkpoint, unless `strict`."""
    if isinstance(value, tuple):
        return [encode(each, strict) for each in value]
    if isinstance(value, float):
        return value
    name = type(value).__name__
    if KINDS.get(name) is type(value):
        return {"kind": name, **{key: encode(each, strict) for key, each in vars(value).items()}}
    if not strict:
        return {"callable": schedule_name(value)}
    raise ValueError(
        f"{schedule_name(value)} cannot be written as a dict: it is not one of the schedules of "
        "revgrad. Compose those instead, or define the schedule in code."
    )


def _decode(value: Any, depth: int) -> Any:
    return _schedule(value, depth) if isinstance(value, Mapping) else value
