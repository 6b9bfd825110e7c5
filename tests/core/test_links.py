"""Links in the pages point to files and headings that exist."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob(".github/**/*.md")]
    if "_build" not in path.parts
)


def targets(text):
    """Yield the targets of the links, pictures, roles and includes of a page."""
    text = re.sub(r"^```(?:python|console|text)\b.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for pattern in (
        r"\]\(([^)\s]+)\)",
        r"\{doc\}`(?:[^`<]*<)?([^`>]+)>?`",
        r"^```+\{(?:figure|image|include|literalinclude)\} (\S+)",
    ):
        yield from re.findall(pattern, text, re.MULTILINE)


def anchors(path):
    """Return the anchors of a page's headings, as hosts of repositories make them."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def missing(page, target):
    """Return whether a target within the repository does not exist."""
    if re.match(r"(https?|mailto):", target):
        return False
    name, _, anchor = target.partition("#")
    folder = ROOT / "docs" if name.startswith("/") else (ROOT / page).parent
    path = folder / name.lstrip("/") if name else ROOT / page
    if "generated/" in name:  # made by the build
        return False
    path = path if path.exists() else path.with_name(f"{path.name}.md")
    return not path.exists() or bool(anchor) and anchor not in anchors(path)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    found = list(targets((ROOT / page).read_text(encoding="utf-8")))
    assert not [target for target in found if missing(page, target)]


def test_a_link_to_nowhere_is_found():
    assert missing("README.md", "docs/how-to/touch.md")
    assert missing("README.md", "docs/how-to/torch.md#no-such-heading")
    assert missing("docs/index.md", "how-to/touch") and not missing("docs/index.md", "how-to/torch")
    assert list(targets("{doc}`a <b>` [c](d) ```x\n```{figure} e.png\n")) == ["d", "b", "e.png"]


def test_every_example_program_is_on_its_page():
    page = (ROOT / "docs" / "programs.md").read_text(encoding="utf-8")
    shown = re.findall(r"literalinclude\} examples/(\S+)", page)
    assert sorted(shown) == sorted(path.name for path in (ROOT / "docs" / "examples").glob("*.py"))
