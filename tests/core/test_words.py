"""Words that were replaced stay out of the code and the documentation."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]

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
        path.relative_to(ROOT): path.read_text(encoding="utf-8")
        for path in paths
        if path.resolve() not in outside and "_build" not in path.parts
    }


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_not_used(texts, word):
    assert {pathlib.Path(each) for each in ("README.md", "revgrad/_lambda.py")} <= set(texts)
    found = []
    for path, text in sorted(texts.items()):
        for match in re.finditer(word, text, re.IGNORECASE):
            line = text.count("\n", 0, match.start()) + 1
            found.append(f"{path}:{line}: {match.group()!r}")
    assert not found, f"Write {WORDS[word]!r} instead:\n" + "\n".join(found)


def test_a_private_helper_has_one_line_of_docstring():
    longer = []
    for path in ROOT.glob("revgrad*/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name.startswith("_"):
                if not node.name.startswith("__") and "\n" in (ast.get_docstring(node) or ""):
                    longer.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}")
    assert not longer
