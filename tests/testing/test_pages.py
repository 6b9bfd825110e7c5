"""The pages on the contract and on writing a backend say what the suite does."""

import re

from support.pages import ROOT

from revgrad.backend import CONTRACT
from revgrad.testing import CAPABILITIES, CHECKS

CONTRACT_PAGE = (ROOT / "docs" / "reference" / "contract.md").read_text(encoding="utf-8")
_, *PARTS = re.split(r"^## (C\d+): .*$", CONTRACT_PAGE, flags=re.MULTILINE)
CLAUSES = dict(zip(PARTS[::2], PARTS[1::2]))
HOW_TO = (ROOT / "docs" / "how-to" / "write-a-backend.md").read_text(encoding="utf-8")
THIRD_PARTY = ROOT / "tests" / "third_party"


def test_the_contract_has_every_clause_each_with_its_reason():
    assert list(CLAUSES) == [f"C{number}" for number in range(1, 24)]
    assert {text.count("\nWhy: ") for text in CLAUSES.values()} == {1}
    assert f"version **{CONTRACT}** of the contract" in CONTRACT_PAGE


def test_each_clause_lists_its_checks_with_their_words():
    item = re.compile(r"^- `(\w+)`(?: \(capability `(\w+)`\))?: (.*)$", re.MULTILINE)
    listed = [(clause, *each) for clause, text in CLAUSES.items() for each in item.findall(text)]
    assert listed == [
        (check.clause, name, check.needs, " ".join(check.__doc__.split()))
        for name, check in CHECKS.items()
    ]
    assert {clause for clause, *_ in listed} == set(CLAUSES)


def test_the_how_to_shows_a_plugin_and_its_test_of_at_most_30_lines():
    package = {}  # what an author writes, not what building and running leaves
    for path in THIRD_PARTY.rglob("*"):
        name = path.relative_to(THIRD_PARTY)
        if path.suffix in {".py", ".cfg", ".toml"} and "build" not in name.parts:
            lines = path.read_text(encoding="utf-8").splitlines()
            package[name.as_posix()] = [line for line in lines if re.match(r"\s*[^\s#]", line)]
    count = sum(len(lines) for name, lines in package.items() if name.endswith(".py"))
    assert 20 < count <= 30 and f"the {count} lines below" in HOW_TO
    shown = re.findall(r"literalinclude\} ../../tests/third_party/(\S+)", HOW_TO)
    assert set(shown) == {name for name, lines in package.items() if lines}
    tree = re.search(r"```text\n(.*?)```", HOW_TO, re.DOTALL).group(1).splitlines()
    assert {line.split()[0]: "(empty)" not in line for line in tree} == {
        name: bool(lines) for name, lines in package.items()
    }


def test_the_table_of_capabilities_is_that_of_the_suite():
    rows = re.findall(r"^\| `(\w+)` \|[^|]+\|([^|]*)\|([^|]*)\|$", HOW_TO, re.MULTILINE)
    table = {name: (re.findall(r"\w+", m), re.findall(r"\w+", c)) for name, m, c in rows}
    assert table == {
        name: (list(methods), [each.__name__ for each in CHECKS.values() if each.needs == name])
        for name, methods in CAPABILITIES.items()
    }
