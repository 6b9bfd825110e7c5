"""Validation of arguments. Each function returns the argument in one form, or raises ValueError."""

import math
import operator
import sys
from typing import Any, Mapping, Sequence, Tuple

from revgrad._lambda import as_float, describe_value, is_real


def invalid(what: str, expected: str, value: Any, advice: str = "") -> ValueError:
    """Build the error for an argument, `what`, that is not what is expected."""
    return ValueError(f"{what} must be {expected}; got {describe_value(value)}.{advice}")


def as_number(what: str, value: Any, positive: bool = False, most: float = math.inf) -> float:
    """Return a finite number in [0, `most`], or in (0, `most`] if `positive`, as a float."""
    number = as_float(value) if is_real(value) else math.nan
    if not (number > 0 if positive else number >= 0) or number > min(most, sys.float_info.max):
        upper = f" and <= {most:g}" if most < math.inf else ""
        raise invalid(what, f"a finite number {'>' if positive else '>='} 0{upper}", value)
    return abs(number)  # -0.0 is 0.0


def as_integer(what: str, value: Any, least: int = 1) -> int:
    """Return a Python or NumPy integer that is at least `least` as an int."""
    try:
        integer = operator.index(value)
    except Exception:  # of the object itself, too
        integer = least - 1
    if isinstance(value, bool) or integer < least:
        raise invalid(what, f"an integer >= {least}", value)
    return integer


def as_tuple(what: str, value: Any) -> Tuple[Any, ...]:
    """Return the items of an iterable that is neither text nor a mapping."""
    try:
        if not isinstance(value, (str, bytes, Mapping)):
            return tuple(value)
    except Exception:  # of the object itself, too
        pass
    raise invalid(what, "a sequence", value)


def check_ascending(what: str, values: Sequence[float]) -> None:
    """Reject numbers that do not increase strictly."""
    for before, after in zip(values, values[1:]):
        if not before < after:
            raise ValueError(f"{what} must increase strictly; got {after} after {before}.")


def check_schedule(what: str, schedule: Any) -> None:
    """Reject a class, and any object that is not callable."""
    if callable(schedule) and not isinstance(schedule, type):
        return
    advice = f" For a constant λ pass Constant({schedule})." if is_real(schedule) else ""
    if isinstance(schedule, type):
        advice = f" This is a class: call it, as in {schedule.__name__}(...)."
    raise invalid(what, "a schedule or a callable p -> λ", schedule, advice)
