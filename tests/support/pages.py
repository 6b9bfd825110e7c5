"""The Python listings of a page, by the heading above them."""

import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]


def listings(page):
    """Return ``{heading: [code, ...]}`` for a page of the repository."""
    text = (ROOT / page).read_text(encoding="utf-8")
    sections = re.split(r"^#+ (.*)$", text, flags=re.MULTILINE)
    found = {
        heading: re.findall(r"```python\n(.*?)```", body, re.DOTALL)
        for heading, body in zip(sections[1::2], sections[2::2])
    }
    return {heading: codes for heading, codes in found.items() if codes}


def run(page, heading):
    """Run the listings under a heading, one after the other, as a reader pastes them."""
    scope = {}
    for code in listings(page)[heading]:
        exec(compile(code, f"{page}: {heading}", "exec"), scope)
    return scope
