"""``revgrad schedule``: λ from the first step to the last, as a table, as CSV or as a figure."""

import argparse
import csv
import importlib
import json
import re
import sys
from dataclasses import MISSING, fields
from typing import Any, Callable, Dict, List, Sequence

import numpy as np

from revgrad import schedules
from revgrad._cli import console
from revgrad._lambda import short_repr
from revgrad.schedules import Schedule, progress
from revgrad.schedules._arguments import as_integer

# Those whose arguments are numbers have a name each; any other is given as JSON.
_NAMES = ("Constant", "Cosine", "Dann", "Exponential", "InverseDecay", "Linear", "Polynomial")
KINDS: Dict[str, Any] = {
    re.sub("(?<=[a-z])(?=[A-Z])", "-", name).lower(): getattr(schedules, name) for name in _NAMES
}
ROWS = 10
EPILOG = f"""\
schedules: {", ".join(KINDS)};
any other as JSON, '{{"kind": "Delayed", "until": 0.1, "schedule": {{"kind": "Dann"}}}}'.
revgrad schedule SCHEDULE --help lists the arguments of one.

examples:
  revgrad schedule dann --gamma 10 --steps 1000
  revgrad schedule dann linear --end 0.5 cosine --plot ramps.png
"""


def main(arguments: Sequence[str]) -> int:
    """Run ``revgrad schedule`` and return the exit code."""
    usage = "revgrad schedule SCHEDULE [--ARGUMENT NUMBER ...] [SCHEDULE ...] [options]"
    words = "Print λ from the first step to the last, for one schedule or for several."
    parser = console.parser("revgrad schedule", usage, words, EPILOG, add_help=False)
    parser.add_argument("--steps", type=int, default=100, metavar="N", help="default: %(default)s")
    parser.add_argument("--csv", action="store_true", help="print every step as CSV")
    parser.add_argument("--plot", metavar="FILE", help="draw a PNG (needs matplotlib)")
    if not arguments or arguments[0] in ("-h", "--help"):
        parser.print_help()
        return 0
    args, rest = parser.parse_known_args(arguments)
    try:
        curves = [_schedule(*group) for group in _groups(rest)]
        steps = as_integer("schedule: --steps", args.steps)
    except ValueError as error:
        parser.error(str(error))
    if args.plot is not None:
        try:
            figure(curves).savefig(args.plot)
        except ImportError as error:
            parser.error(f"--plot needs matplotlib: pip install 'revgrad[examples]' ({error})")
        except (OSError, ValueError) as error:
            parser.error(f"--plot {args.plot}: {error}")
        print(f"figure: {args.plot}", file=sys.stderr)
    headings = ["step", "p", *map(repr, curves)]
    if args.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(headings)
        writer.writerows(_row(curves, step, steps, repr) for step in range(steps + 1))
    else:
        rows = min(steps, ROWS)
        shown = [(2 * steps * row + rows) // (2 * rows) for row in range(rows + 1)]  # any int
        console.table(headings, [_row(curves, step, steps, "{:.6g}".format) for step in shown])
    return 0


def _row(curves: List[Schedule], step: int, steps: int, write: Callable[[Any], str]) -> List[str]:
    """Return the cells of a step."""
    p = progress(step, steps)
    return [str(step), *(write(each) for each in (p, *(curve(p) for curve in curves)))]


def _groups(arguments: Sequence[str]) -> List[List[str]]:
    """Return each schedule with the arguments that follow it."""
    groups: List[List[str]] = []
    for argument in arguments:
        if argument in KINDS or argument.startswith("{"):
            groups.append([])
        elif not groups:
            raise ValueError(console.unknown("schedule", argument, KINDS))
        groups[-1].append(argument)
    if not groups:
        raise ValueError("name a schedule: " + ", ".join(KINDS))
    return groups


def _schedule(name: str, *arguments: str) -> Schedule:
    """Return the schedule of a name, or of JSON, with its arguments."""
    kind = KINDS.get(name)
    parser = argparse.ArgumentParser(f"revgrad schedule {name if kind else 'JSON'}")
    for field in fields(kind) if kind else ():
        option: Dict[str, Any] = {"default": field.default, "help": "default: %(default)s"}
        if field.default is MISSING:
            option = {"required": True, "help": "required"}
        parser.add_argument(f"--{field.name}", type=float, metavar="NUMBER", **option)
    given, unknown = parser.parse_known_args(arguments)
    if unknown and not unknown[0].startswith("-"):
        raise ValueError(console.unknown("schedule", unknown[0], KINDS))
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        return kind(**vars(given)) if kind else schedules.from_dict(json.loads(name))
    except RecursionError:
        raise ValueError(f"{short_repr(name)} is nested too deep") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is not JSON: {error}") from error


def figure(curves: Sequence[Schedule]) -> Any:
    """Return the curves as a matplotlib figure without a window."""
    matplotlib = importlib.import_module("matplotlib.figure")
    drawn = matplotlib.Figure(figsize=(8, 4.5 + 0.25 * len(curves)), layout="constrained", dpi=120)
    axis = drawn.add_subplot()
    p = np.linspace(0, 1, 1001)
    for curve, style in zip(curves, ("-", "--", ":", "-.") * len(curves)):
        axis.plot(p, curve(p), linewidth=2, linestyle=style, label=repr(curve))
    axis.set(xlabel="progress p", ylabel="λ", ylim=(0, None))
    axis.grid(alpha=0.3)
    drawn.legend(loc="outside lower center", frameon=False, fontsize="small")
    return drawn
