"""What the commands print: colour and boxes on a terminal, plain text anywhere else."""

from __future__ import annotations

import re
import shutil
import sys
from typing import Any, Sequence

_STYLES = {
    "ok": "green",
    "passed": "green",
    "broken": "bold red",
    "failed": "bold red",
    "unavailable": "bold red",
    "expected": "yellow",
    "skipped": "dim",
    "not installed": "dim",
    "no harness": "dim",
}
# Colours and other orders to a terminal, and what is no character, in words of somebody else.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|(?!\n)[\x00-\x1f\x7f]")


class Screen:
    """The standard output.

    On a terminal rich draws, where it is installed (``pip install 'revgrad[rich]'``); it honours
    ``NO_COLOR`` and the width.
    """

    def __init__(self) -> None:
        self._console: Any = None
        if sys.stdout.isatty():
            try:
                from rich.console import Console

                self._console = Console(highlight=False, markup=False, emoji=False)
            except ImportError:
                pass

    def line(self, words: str = "", style: str = "", indent: int = 0) -> None:
        """Print a paragraph, which a terminal may wrap.

        Parameters
        ----------
        words : str
            The paragraph; line breaks are kept.
        style : str, optional
            A style of rich, or a word of a table, whose style it gets.
        indent : int, optional
            The width of the margin.
        """
        words = cleaned(words)
        if self._console is None:
            print("\n".join(" " * indent + each for each in words.split("\n")).rstrip())
            return
        if not words:
            self._console.print()
            return
        from rich.padding import Padding
        from rich.text import Text

        text = Text(words, style=_STYLES.get(style, style))
        self._console.print(Padding(text, (0, 0, 0, indent), expand=False))

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table.

        Parameters
        ----------
        headings : sequence of str
            One for each column.
        rows : sequence of sequence of str
            As many cells in each.
        """
        rows = [[cleaned(cell) for cell in row] for row in rows]
        if self._console is None:
            print(plain_table(headings, rows))
            return
        from rich.table import Table
        from rich.text import Text

        table = Table()
        for heading in headings:
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(*[Text(cell, style=_STYLES.get(cell, "")) for cell in row])
        self._console.print(table)


class Progress:
    """One line on the standard error that says what is going on, where that is a terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def show(self, words: str) -> None:
        """Replace the line; nothing clears it."""
        if self._shown:
            width = max(1, shutil.get_terminal_size().columns - 1)
            print(f"\r{cleaned(words)[:width]:<{width}}\r", end="", file=sys.stderr, flush=True)

    def done(self, words: str) -> None:
        """Clear the line; where there is no terminal, print a line that stays."""
        if self._shown:
            self.show("")
        else:
            print(cleaned(words), file=sys.stderr, flush=True)


def plain_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as text.

    Examples
    --------
    >>> print(plain_table(["backend", "state"], [["numpy", "ok"]]))
    backend  state
    numpy    ok
    """
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines
    )


def cleaned(words: str) -> str:
    """Return words without control characters other than line breaks."""
    return _CONTROL.sub("", words.replace("\t", "    ").replace("\r\n", "\n"))
