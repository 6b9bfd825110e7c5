"""The page on the contract and the checks say the same."""

import pathlib
import re

import pytest

from revgrad.backend import CONTRACT
from revgrad.testing import CHECKS

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "reference" / "contract.md"


@pytest.fixture(scope="module")
def clauses():
    parts = re.split(r"^## (C\d+): .*$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def test_the_page_has_every_clause_each_with_its_reason(clauses):
    assert list(clauses) == [f"C{number}" for number in range(1, 24)]
    for text in clauses.values():
        assert text.count("\nWhy: ") == 1


def test_each_clause_lists_its_checks_with_their_words(clauses):
    words = {name: " ".join(check.__doc__.split()) for name, check in CHECKS.items()}
    for clause, text in clauses.items():
        listed = re.findall(r"^- `(\w+)`(?: \(capability `(\w+)`\))?: (.*)$", text, re.MULTILINE)
        assert listed == [
            (name, check.needs, words[name])
            for name, check in CHECKS.items()
            if check.clause == clause
        ]


def test_the_page_names_the_version():
    assert f"version **{CONTRACT}** of the contract" in PAGE.read_text(encoding="utf-8")
