"""The command line: ``python -m revgrad``, installed as ``revgrad`` too."""

import argparse
import contextlib
import io
import os
import sys
from typing import Optional, Sequence

from revgrad._cli import check, console, doctor, schedule
from revgrad._version import __version__

COMMANDS = {"check": check.main, "schedule": schedule.main}
EPILOG = f"""\
commands:
  doctor    say what is installed, what is broken, and why; the default
  check     run the checks of the contract on backends
  schedule  show λ from the first step to the last

{console.EXIT_CODES}
revgrad COMMAND --help lists the options of a command.
Documentation: {console.DOCUMENTATION}
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
        With the exit code.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # λ, or the message of a third party, where the locale has no such character.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            sys.exit(_run(sys.argv[1:] if arguments is None else arguments))
        finally:
            sys.stdout.flush()
    except OSError as error:
        with contextlib.suppress(OSError):
            if not isinstance(error, BrokenPipeError):  # nobody reads on: not worth a message
                print(f"revgrad: {error}", file=sys.stderr, flush=True)
        # Python flushes both once more when it exits.
        null = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(null, stream.fileno())
        sys.exit(3)


def _run(arguments: Sequence[str]) -> int:
    """Run the command that the arguments begin with."""
    if arguments and arguments[0] in COMMANDS:
        return COMMANDS[arguments[0]](arguments[1:])
    usage = "revgrad [--json] [--traceback] [--timeout SECONDS]\n       revgrad COMMAND ..."
    words = "Say what is installed, what is broken, and why."
    parser = console.parser("revgrad", usage, words, EPILOG)
    parser.add_argument("--version", action="version", version=f"revgrad {__version__}")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.add_argument("--traceback", action="store_true", help="print whole tracebacks")
    words = "how long a backend may take to load (default: %(default)s)"
    parser.add_argument("--timeout", type=_seconds, default=120, metavar="SECONDS", help=words)
    args, rest = parser.parse_known_args(arguments)
    if rest[:1] == ["doctor"]:
        del rest[0]
    if rest and rest[0] in COMMANDS:
        parser.error(f"the options of a command stand behind it: revgrad {rest[0]} ...")
    if rest and not rest[0].startswith("-"):
        parser.error(console.unknown("command", rest[0], ["doctor", *COMMANDS]))
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return doctor.main(args.json, args.traceback, args.timeout)


def _seconds(text: str) -> float:
    """Return a number of seconds, or raise the error of the option."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 1e6:
            return float(text)
    raise argparse.ArgumentTypeError(f"expected a number of seconds > 0 and < 1e6; got {text!r}")
