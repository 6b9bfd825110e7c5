"""The how-to on writing a backend says what the suite does, and its listing is short."""

import re

from support.pages import ROOT

from revgrad.testing import CAPABILITIES, CHECKS

PAGE = (ROOT / "docs" / "how-to" / "write-a-backend.md").read_text(encoding="utf-8")
THIRD_PARTY = ROOT / "tests" / "third_party"


def lines_of(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.strip().startswith("#")]


def test_plugin_and_test_together_have_at_most_30_lines():
    count = sum(len(lines_of(path)) for path in THIRD_PARTY.rglob("*.py"))
    assert 20 < count <= 30
    assert f"the {count} lines below" in PAGE


def test_the_page_shows_the_files_that_are_tested():
    shown = re.findall(r"literalinclude\} ../../tests/third_party/(\S+)", PAGE)
    package = {each.relative_to(THIRD_PARTY).as_posix(): each for each in files_of(THIRD_PARTY)}
    assert set(shown) == {name for name, path in package.items() if lines_of(path)}
    tree = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL).group(1)
    empty = {name for name, path in package.items() if not lines_of(path)}
    assert {line.split()[0] for line in tree.splitlines()} == set(package)
    assert {line.split()[0] for line in tree.splitlines() if "(empty)" in line} == empty


def files_of(folder):
    """Return what an author writes, not what building and running leaves."""
    kinds = {".py", ".cfg", ".toml"}
    found = [each for each in folder.rglob("*") if each.suffix in kinds]
    return [each for each in found if "build" not in each.relative_to(folder).parts]


def test_the_table_of_capabilities_is_that_of_the_suite():
    rows = re.findall(r"^\| `(\w+)` \|[^|]+\|([^|]*)\|([^|]*)\|$", PAGE, re.MULTILINE)
    table = {name: (re.findall(r"\w+", m), re.findall(r"\w+", c)) for name, m, c in rows}
    assert table == {
        name: (list(methods), [each.__name__ for each in CHECKS.values() if each.needs == name])
        for name, methods in CAPABILITIES.items()
    }
