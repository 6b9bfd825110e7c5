"""The Python listings of a page, by the heading above them."""

import doctest
import linecache
import pathlib
import re
import sys
import types

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


def about(framework):
    """Return the pages and headings of a framework: one of the README, all of its how-to."""
    how_to = f"docs/how-to/{framework.lower()}.md"
    return [("README.md", framework), *((how_to, heading) for heading in listings(how_to))]


def run(page, heading):
    """Run the listings under a heading, one after the other, as a reader pastes them."""
    # Some frameworks look up the source and the module of what they compile.
    module = sys.modules["listing"] = types.ModuleType("listing")
    for number, code in enumerate(listings(page)[heading]):
        name = f"{page}: {heading} {number}"
        linecache.cache[name] = len(code), None, code.splitlines(keepends=True), name
        exec(compile(code, name, "exec"), vars(module))
    return vars(module)


def run_doctest(page, group):
    """Run the doctests of a page that are in a group, one after the other, and no others."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```{doctest} ([^\n]*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    code = "".join(block for groups, block in blocks if group in groups.split(", "))
    test = doctest.DocTestParser().get_doctest(code, {}, f"{page}: {group}", page, 0)
    assert test.examples
    doctest.DebugRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL).run(test)
