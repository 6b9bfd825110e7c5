"""The pages on other libraries: each listing runs with the library, and prints what the page has."""

import re

import pytest
from support.pages import ROOT

BLOCKS = re.compile(r"^```(python|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("library", ["skada", "flair"])
def test_the_page(library, capsys):
    pytest.importorskip(library)
    text = (ROOT / "docs" / "how-to" / f"{library}.md").read_text(encoding="utf-8")
    scope, printed = {}, 0
    for kind, block in BLOCKS.findall(text):
        if kind == "python":
            exec(compile(block, library, "exec"), scope)
        else:
            assert capsys.readouterr().out == block
            printed += 1
    assert printed
