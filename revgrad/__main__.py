"""The command line: ``python -m revgrad``, installed as ``revgrad`` too."""

from __future__ import annotations

import argparse
from typing import Optional, Sequence

from revgrad import _curves
from revgrad._version import __version__

COMMANDS = {"schedule": _curves.main}


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Raises
    ------
    SystemExit
        With status 2 if the arguments make no sense.
    """
    parser = argparse.ArgumentParser(
        prog="revgrad",
        description="Gradient reversal for every framework.",
        epilog="revgrad COMMAND --help tells more.",
    )
    parser.add_argument("--version", action="version", version=f"revgrad {__version__}")
    parser.add_argument("command", choices=COMMANDS, help="schedule: show how λ goes")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    COMMANDS[args.command](args.arguments)


if __name__ == "__main__":
    main()
