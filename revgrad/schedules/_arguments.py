"""Checks of arguments: a bad one is refused by its name."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any, Mapping, Sequence, Tuple

from revgrad._lambda import describe_value


def as_number(
    owner: str, name: str, value: Any, positive: bool = False, most: float = math.inf
) -> float:
    """Return a finite number in [0, `most`] as a float, or refuse it by its name.

    Parameters
    ----------
    owner, name : str
        Whose argument it is, and its name.
    value : number
        A real number; no bool.
    positive : bool, optional
        Whether 0 is refused as well.
    most : float, optional
        The largest that is taken.

    Returns
    -------
    float
        The value.

    Raises
    ------
    ValueError
        If `value` is no such number.
    """
    number = math.nan
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # an int too large for a float
            pass
    if not (0 < number if positive else 0 <= number) or number > most or math.isinf(number):
        upper = f" and <= {most:g}" if most < math.inf else ""
        raise ValueError(
            f"{owner}: {name} must be a finite number {'>' if positive else '>='} 0{upper}; got "
            f"{describe_value(value)}."
        )
    return abs(number)  # -0.0 is 0.0


def as_tuple(owner: str, name: str, value: Any) -> Tuple[Any, ...]:
    """Return the items of a sequence, or refuse it by its name.

    Parameters
    ----------
    owner, name : str
        Whose argument it is, and its name.
    value : iterable
        No text and no mapping.

    Returns
    -------
    tuple
        The items.

    Raises
    ------
    ValueError
        If `value` is no sequence.
    """
    if isinstance(value, (str, bytes, Mapping)):
        value = None
    try:
        return tuple(value)
    except TypeError:
        raise ValueError(f"{owner}: {name} must be a sequence; got {describe_value(value)}.") from None


def check_ascending(owner: str, name: str, values: Sequence[float]) -> None:
    """Refuse numbers that do not ascend strictly, by the name of the argument.

    Parameters
    ----------
    owner, name : str
        Whose argument it is, and its name.
    values : sequence of float
        The numbers.

    Raises
    ------
    ValueError
        If one of them does not lie after the one before it.
    """
    for before, after in zip(values, values[1:]):
        if not before < after:
            raise ValueError(
                f"{owner}: {name} must ascend strictly; {after} does not lie after {before}."
            )


def as_integer(owner: str, name: str, value: Any, least: int = 1) -> int:
    """Return an integer that is at least `least`, or refuse it by its name.

    Parameters
    ----------
    owner, name : str
        Whose argument it is, and its name.
    value : int
        A Python or NumPy integer.
    least : int, optional
        The smallest that is taken.

    Returns
    -------
    int
        The value.

    Raises
    ------
    ValueError
        If `value` is no integer, a bool, or less than `least`.
    """
    try:
        integer = operator.index(value)
    except TypeError:
        integer = least - 1
    if isinstance(value, bool) or integer < least:
        raise ValueError(f"{owner}: {name} must be an integer >= {least}; got {describe_value(value)}.")
    return integer


def check_schedule(owner: str, name: str, schedule: Any) -> None:
    """Refuse what is no schedule, by the name of the argument.

    Parameters
    ----------
    owner, name : str
        Whose argument it is, and its name.
    schedule : object
        What was given.

    Raises
    ------
    ValueError
        If `schedule` is a class, or cannot be called.
    """
    advice = ""
    if isinstance(schedule, type):
        advice = f" That is a class: call it, as in {schedule.__name__}(...)."
    elif callable(schedule):
        return
    elif isinstance(schedule, numbers.Real):
        advice = f" For a λ that stays, pass Constant({schedule})."
    raise ValueError(
        f"{owner}: {name} must be a schedule or a callable p -> λ; got {describe_value(schedule)}.{advice}"
    )
