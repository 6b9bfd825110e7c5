"""How λ goes: schedules as a chart in the terminal, as CSV, and as a figure."""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import shutil
import sys
from dataclasses import MISSING, fields
from typing import Any, Dict, List, Sequence

import numpy as np

from revgrad import schedules
from revgrad.schedules._arguments import as_integer
from revgrad.schedules import Schedule, progress

# Those whose arguments are numbers have a name each; any other is given as JSON.
KINDS: Dict[str, Any] = {
    "constant": schedules.Constant,
    "cosine": schedules.Cosine,
    "dann": schedules.Dann,
    "exponential": schedules.Exponential,
    "inverse-decay": schedules.InverseDecay,
    "linear": schedules.Linear,
    "polynomial": schedules.Polynomial,
}
MARKS = "*+ox#%"
HEIGHT = 15
HELP = f"""\
usage: revgrad schedule SCHEDULE [--ARGUMENT NUMBER ...] [SCHEDULE ...] [options]

Print how λ goes from the first step to the last, for one schedule or for several.

schedules:
  {", ".join(KINDS)};
  any other as JSON: '{{"kind": "Delayed", "until": 0.1, "schedule": {{"kind": "Dann"}}}}'.
  revgrad schedule SCHEDULE --help lists the arguments of one.

options:
  --steps N     the steps of the training run (default: 100)
  --csv         print step, p and λ as CSV
  --plot FILE   draw the curves into a PNG file (needs matplotlib)

examples:
  revgrad schedule dann --gamma 10 --steps 1000
  revgrad schedule dann linear --end 0.5 cosine --plot ramps.png
"""


def main(arguments: Sequence[str]) -> None:
    """Run ``revgrad schedule``.

    Parameters
    ----------
    arguments : sequence of str
        What stands behind ``schedule``.

    Raises
    ------
    SystemExit
        With status 2 if an argument is refused, or matplotlib is needed and not installed.
    """
    first, *groups = _split(arguments)
    if first in (["-h"], ["--help"]) or not arguments:
        print(HELP, end="")
        return
    options = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    options.add_argument("--steps", type=int, default=argparse.SUPPRESS, help="of the training run")
    options.add_argument("--csv", action="store_true", default=argparse.SUPPRESS, help="print CSV")
    options.add_argument("--plot", metavar="FILE", default=argparse.SUPPRESS, help="draw a PNG")
    parser = argparse.ArgumentParser("revgrad schedule", parents=[options], allow_abbrev=False)
    chosen = argparse.Namespace(steps=100, csv=False, plot=None)
    try:
        parser.parse_args(first, chosen)
        curves = [_schedule(group, options, chosen) for group in groups]
        if not curves:
            raise ValueError("name a schedule: " + ", ".join(KINDS))
        steps = np.arange(as_integer("schedule", "--steps", chosen.steps) + 1)
    except ValueError as error:
        parser.error(str(error))
    if chosen.plot is not None:
        try:
            figure(curves).savefig(chosen.plot)
        except ImportError as error:
            parser.error(f"--plot needs matplotlib: pip install 'revgrad[examples]' ({error})")
        except (OSError, ValueError) as error:
            parser.error(f"--plot {chosen.plot}: {error}")
    if chosen.csv:
        write_csv(curves, steps)
    else:
        print(chart(curves, len(steps) - 1, shutil.get_terminal_size().columns))
    if chosen.plot is not None:
        print(f"figure: {chosen.plot}", file=sys.stderr)


def _split(arguments: Sequence[str]) -> List[List[str]]:
    """Return what stands before the first schedule, then each schedule with what follows it."""
    groups: List[List[str]] = [[]]
    for argument in arguments:
        if argument in KINDS or argument.startswith("{"):
            groups.append([])
        groups[-1].append(argument)
    return groups


def _schedule(
    group: Sequence[str], options: argparse.ArgumentParser, chosen: argparse.Namespace
) -> Schedule:
    name, *arguments = group
    kind = KINDS.get(name)
    parser = argparse.ArgumentParser(
        f"revgrad schedule {name if kind else 'JSON'}",
        description=f"Show the schedule {kind.__name__}." if kind else None,
        parents=[options],
        allow_abbrev=False,
    )
    for field in fields(kind) if kind else ():
        needed = field.default is MISSING
        parser.add_argument(
            f"--{field.name}",
            type=float,
            metavar="NUMBER",
            required=needed,
            default=argparse.SUPPRESS,
            help="needed" if needed else f"default: {field.default:g}",
        )
    given = vars(parser.parse_args(arguments))
    for option in vars(chosen):
        if option in given:
            setattr(chosen, option, given.pop(option))
    if kind is None:
        try:
            return schedules.from_dict(json.loads(name))
        except json.JSONDecodeError as error:
            raise ValueError(f"{name} is no JSON: {error}") from error
    schedule: Schedule = kind(**given)
    return schedule


def write_csv(curves: Sequence[Schedule], steps: Any) -> None:
    """Print a line for each step: its number, p, and λ of each schedule, with all digits.

    Parameters
    ----------
    curves : sequence of Schedule
        The schedules.
    steps : numpy.ndarray
        The steps, the last of them being the end of the training run.
    """
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["step", "p", *map(repr, curves)])
    for step in steps:
        p = progress(step, int(steps[-1]))
        writer.writerow([step, repr(p), *(repr(curve(p)) for curve in curves)])


def chart(curves: Sequence[Schedule], total_steps: int, width: int) -> str:
    """Return the curves as text.

    Parameters
    ----------
    curves : sequence of Schedule
        The schedules; each has a mark of its own.
    total_steps : int
        What the axis below is labelled with.
    width : int
        The number of columns there are.

    Returns
    -------
    str
        A chart of 15 lines, the axis below, and a line for each schedule.
    """
    columns = max(20, min(width, 100) - 10)
    values = np.stack([curve(np.linspace(0, 1, columns)) for curve in curves])
    top = float(values.max()) or 1.0
    rows = np.rint((1 - values / top) * (HEIGHT - 1)).astype(int)
    cells = [[" "] * columns for _ in range(HEIGHT)]
    for mark, row in reversed(list(zip(MARKS * len(curves), rows))):
        for column, line in enumerate(row):
            cells[line][column] = mark
    labels = {0: f"{top:.4g}", (HEIGHT - 1) // 2: f"{top / 2:.4g}", HEIGHT - 1: "0"}
    lines = [f"{labels.get(i, ''):>8} |" + "".join(row).rstrip() for i, row in enumerate(cells)]
    lines.append(" " * 9 + "+" + "-" * columns)
    lines.append(" " * 10 + "0" + f"step {total_steps}".rjust(columns - 1))
    for mark, curve in zip(MARKS * len(curves), curves):
        lines.append(f"{mark} {curve!r}: λ from {curve(0):.6g} to {curve(1):.6g}")
    return "\n".join(lines)


def figure(curves: Sequence[Schedule]) -> Any:
    """Return the curves as a figure.

    Parameters
    ----------
    curves : sequence of Schedule
        The schedules.

    Returns
    -------
    matplotlib.figure.Figure
        Without a window; ``savefig`` writes it.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    matplotlib = importlib.import_module("matplotlib.figure")
    drawn = matplotlib.Figure(figsize=(8, 4.5 + 0.25 * len(curves)), layout="constrained", dpi=120)
    axis = drawn.add_subplot()
    p = np.linspace(0, 1, 1001)
    for i, curve in enumerate(curves):
        style = ("-", "--", ":", "-.")[i % 4]
        axis.plot(p, curve(p), linewidth=2, linestyle=style, label=repr(curve))
    axis.set_xlabel("progress p")
    axis.set_ylabel("λ")
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    drawn.legend(loc="outside lower center", frameon=False, fontsize="small")
    return drawn
