"""The page on the contract and the checks say the same."""

import re

from support.pages import ROOT

from revgrad.backend import CONTRACT
from revgrad.testing import CHECKS

PAGE = (ROOT / "docs" / "reference" / "contract.md").read_text(encoding="utf-8")
_, *PARTS = re.split(r"^## (C\d+): .*$", PAGE, flags=re.MULTILINE)
CLAUSES = dict(zip(PARTS[::2], PARTS[1::2]))


def test_the_page_has_every_clause_each_with_its_reason():
    assert list(CLAUSES) == [f"C{number}" for number in range(1, 24)]
    assert {text.count("\nWhy: ") for text in CLAUSES.values()} == {1}


def test_each_clause_lists_its_checks_with_their_words():
    item = re.compile(r"^- `(\w+)`(?: \(capability `(\w+)`\))?: (.*)$", re.MULTILINE)
    listed = [(clause, *each) for clause, text in CLAUSES.items() for each in item.findall(text)]
    assert listed == [
        (check.clause, name, check.needs, " ".join(check.__doc__.split()))
        for name, check in CHECKS.items()
    ]
    assert {clause for clause, *_ in listed} == set(CLAUSES)


def test_the_page_names_the_version():
    assert f"version **{CONTRACT}** of the contract" in PAGE
