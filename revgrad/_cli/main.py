"""The command line: ``python -m revgrad``, installed as ``revgrad`` too."""

from __future__ import annotations

import argparse
import io
import sys
from typing import Optional, Sequence

from revgrad._cli import check, doctor, isolation, schedule
from revgrad._version import __version__

COMMANDS = {"check": check.main, "schedule": schedule.main}
HELP = """\
commands:
  (none)    the doctor: say what is installed, what is broken, and why
  check     put backends to the checks of the contract
  schedule  show how λ goes

exit codes:
  0  nothing is broken (a framework that is not installed is no fault); every check is kept
  1  something is broken; a check fails, or a backend that was named does not load
  2  the arguments make no sense

revgrad COMMAND --help tells more.
"""


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run one command, or the doctor if there is none.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Raises
    ------
    SystemExit
        With status 1 if something is broken, with status 2 if the arguments make no sense.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # λ, or a message of somebody else, where the locale has no such character.
        sys.stdout.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(
        prog="revgrad",
        usage="revgrad [--json] [--traceback] [--timeout SECONDS]\n       revgrad COMMAND ...",
        description="Gradient reversal for every framework: what is installed, and does it work?",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"revgrad {__version__}")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.add_argument("--traceback", action="store_true", help="print whole tracebacks")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=isolation.TIMEOUT,
        metavar="SECONDS",
        help="how long a backend may take to load (default: %(default)g)",
    )
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in COMMANDS:
        COMMANDS[given[0]](given[1:])
        return
    args = parser.parse_args(given)
    if args.command in COMMANDS:
        parser.error(f"the options of a command stand behind it: revgrad {args.command} ...")
    if args.command is not None:
        parser.error(f"there is no command {args.command!r}: choose from {', '.join(COMMANDS)}")
    sys.exit(doctor.main(args.json, args.traceback, args.timeout))


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 1e6:
        raise ValueError
    return seconds
