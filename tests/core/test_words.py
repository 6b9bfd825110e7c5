"""Words that were replaced stay out of the code and the documentation."""

import ast
import pathlib
import re

import pytest
from support.pages import ROOT

# What was replaced, and what is written instead.
WORDS = {
    r"judge": "validate, normalize",
    r"stranger": "third party",
    r"somebody\s+else": "the user, the caller",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\bby[\s_]residual": "residual form",
    r"\b(the|conformance)\s+kit\b": "the conformance suite",
    r"what\s+is\s+no\b": "not a",
    r"\bfares?\s+like": "fails the same way",
    r"bear\s+each\s+other": "conflict",
    r"\bBackendRecord|\bOffers?\(": "BackendSpec",
    r"one\s+single\s+number": "a scalar",
    r"look\s+at\s+what\s+computed": "check the code that computed it",
    r"tak(es|ing)\s+nothing\s+along": "run in a subprocess",
    r"names\s+what\s+is": "lists unknown",
    r"right\s+under\s+every": "correct under every",
    r"what_is_no_|is_no_\w+_is": "invalid_, is_rejected",
}


@pytest.fixture(scope="module")
def texts():
    folders = [*ROOT.glob("revgrad*"), *(ROOT / name for name in ("tests", "docs", "benchmarks"))]
    paths = [*ROOT.glob("*.md"), *(path for each in folders for path in each.rglob("*.[mp][dy]"))]
    outside = (ROOT / "CHANGELOG.md", pathlib.Path(__file__).resolve())
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in paths
        if path.resolve() not in outside and "_build" not in path.parts
    }


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_not_used(texts, word):
    assert {"README.md", "revgrad/_lambda.py"} <= set(texts)
    found = {path: re.search(word, text, re.IGNORECASE) for path, text in texts.items()}
    found = {path: match.group() for path, match in found.items() if match}
    assert not found, f"Write {WORDS[word]!r} instead"


def test_a_private_helper_has_one_line_of_docstring():
    longer = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}"
        for path in ROOT.glob("revgrad*/**/*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        and re.match("_(?!_)", node.name)
        and "\n" in (ast.get_docstring(node) or "")
    ]
    assert not longer
