"""Links in the pages outside docs/ point to files and headings that exist; Sphinx checks docs/."""

import re

import pytest
from support.pages import ROOT

PAGES = [*ROOT.glob("*.md"), *ROOT.glob(".github/**/*.md")]


def missing(page, link):
    """Return whether the file that a link names, or the heading in it, does not exist."""
    name, _, anchor = link.partition("#")
    path = page.parent / name if name else page
    if not path.exists() or not anchor:
        return not path.exists()
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    # As hosts of repositories make them.
    return anchor not in {
        re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in titles
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page.read_text(encoding="utf-8"))
    assert links or page.name != "README.md"
    assert not [link for link in links if missing(page, link)]


def test_a_link_to_nowhere_is_found():
    links = ["docs/touch.md", "docs/index.md#no-heading", "#no-heading", "#why-not-five-lines"]
    assert [missing(ROOT / "README.md", link) for link in links] == [True, True, True, False]


def test_every_example_program_is_on_its_page():
    page = (ROOT / "docs" / "programs.md").read_text(encoding="utf-8")
    shown = re.findall(r"literalinclude\} examples/(\S+)", page)
    assert sorted(shown) == sorted(path.name for path in (ROOT / "docs" / "examples").glob("*.py"))
