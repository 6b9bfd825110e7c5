"""The listings of the README and of the how-to run as they stand."""

import importlib

import pytest
from support.pages import listings

PAGE = "docs/how-to/mindspore.md"


@pytest.mark.parametrize(
    "page, heading",
    [("README.md", "MindSpore"), *((PAGE, heading) for heading in listings(PAGE))],
)
def test_a_listing(page, heading, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    for number, code in enumerate(listings(page)[heading]):
        # A module: MindSpore reads the source of what it compiles.
        name = f"listing_{abs(hash(heading))}_{number}"
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
        importlib.import_module(name)
