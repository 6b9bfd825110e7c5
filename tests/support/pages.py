"""The Python listings of a page, by the heading above them."""

import doctest
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]


def listings(page):
    """Return ``{heading: [code, ...]}`` for a page of the repository."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found, heading = {}, ""
    # A block as a whole: a comment in it is not a heading.
    for kind, code, title in re.findall(
        r"^```(\w*)[^\n]*\n(.*?)^```|^#+ ([^\n]*)$", text, re.DOTALL | re.MULTILINE
    ):
        if title:
            heading = title
        elif kind == "python":
            found.setdefault(heading, []).append(code)
    return found


def run(page, heading):
    """Run the listings under a heading, one after the other, as a reader pastes them."""
    scope = {}
    for code in listings(page)[heading]:
        exec(compile(code, f"{page}: {heading}", "exec"), scope)
    return scope


def run_doctest(page, group):
    """Run the doctests of a page that are in a group, one after the other, and no others."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```{doctest} ([^\n]*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    code = "".join(block for groups, block in blocks if group in groups.split(", "))
    test = doctest.DocTestParser().get_doctest(code, {}, f"{page}: {group}", page, 0)
    assert test.examples
    doctest.DebugRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL).run(test)
