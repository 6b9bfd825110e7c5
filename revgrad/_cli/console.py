"""What the commands print: colour and boxes on a terminal, plain text anywhere else."""

import functools
import json
import platform
import re
import sys
import textwrap
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from dataclasses import asdict
from typing import Any, Collection, Sequence

from revgrad._names import did_you_mean
from revgrad._version import __version__

EXIT_CODES = """\
exit codes:
  0  nothing is broken (a framework that is not installed is no fault); no check failed
  1  something is broken; a check failed, or a backend that was named does not load or has no
     harness; with check --all, also: a plugin is broken
  2  the arguments are invalid
  3  the output cannot be written
"""
VERSIONS = {
    "revgrad": __version__,
    "python": platform.python_version(),
    "platform": f"{platform.system()} {platform.machine()}",
}
DOCUMENTATION = "the folder docs of the source distribution"
_STYLES = {
    **dict.fromkeys(["ok", "passed"], "green"),
    **dict.fromkeys(["broken", "failed"], "bold red"),
    **dict.fromkeys(["skipped", "not installed"], "dim"),
    "expected": "yellow",
}
# Escape sequences and control characters in the messages of third parties.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|(?!\n)[\x00-\x1f\x7f]")

parser = functools.partial(
    ArgumentParser, formatter_class=RawDescriptionHelpFormatter, allow_abbrev=False
)


def _terminal() -> Any:
    """Return rich's console where the standard output is a terminal and rich is installed."""
    if not sys.stdout.isatty():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(highlight=False, markup=False, emoji=False)


def line(text: str = "", style: str = "", indent: int = 0) -> None:
    """Print a paragraph, which a terminal may wrap, in a style of rich or of a word of a table."""
    text, terminal = textwrap.indent(cleaned(text), " " * indent).rstrip(), _terminal()
    if terminal is None:
        print(text)
    else:
        terminal.print(text, style=_STYLES.get(style, style))


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table.

    Examples
    --------
    >>> table(["backend", "state"], [["numpy", "ok"]])
    backend  state
    numpy    ok
    """
    rows = [[cleaned(cell) for cell in row] for row in rows]
    terminal = _terminal()
    if terminal is None:
        widths = [max(map(len, column)) for column in zip(headings, *rows)]
        for row in (headings, *rows):
            print("  ".join(map(str.ljust, row, widths)).rstrip())
        return
    from rich.table import Column, Table
    from rich.text import Text

    drawn = Table(*[Column(heading, overflow="fold") for heading in headings])
    for row in rows:
        drawn.add_row(*[Text(cell, style=_STYLES.get(cell, "")) for cell in row])
    terminal.print(drawn)


def as_json(**report: Any) -> None:
    """Print a report with the versions, and the dataclasses that it holds, as JSON."""
    print(json.dumps({**VERSIONS, **report}, indent=2, default=asdict))


def cleaned(text: str) -> str:
    """Return a text without control characters other than line breaks."""
    return _CONTROL.sub("", text.replace("\t", "    ").replace("\r\n", "\n"))


def unknown(what: str, name: str, known: Collection[str]) -> str:
    """Return the error for an unknown name, with the nearest one and all that are known.

    Examples
    --------
    >>> unknown("command", "chekc", ["check", "doctor"])
    "There is no command 'chekc'. Did you mean 'check'? Known commands: check, doctor."
    """
    suggestion = did_you_mean(name, known)
    return f"There is no {what} {name!r}.{suggestion} Known {what}s: {', '.join(known)}."
