"""The listings of the README and of the how-to run as they stand."""

import pytest
from support import pages

PAGE = "docs/how-to/paddle.md"


def test_the_readme():
    pages.run("README.md", "Paddle")


@pytest.mark.parametrize("heading", sorted(pages.listings(PAGE)))
def test_the_how_to(heading, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    scope = {}
    for number, code in enumerate(pages.listings(PAGE)[heading]):
        # A file: Paddle reads the source of what it builds a program of.
        name = tmp_path / f"listing_{number}.py"
        name.write_text(code, encoding="utf-8")
        exec(compile(code, str(name), "exec"), scope)
