"""The listings of the README and of the how-to run as they stand."""

import importlib.util

import pytest
from support.pages import listings

PAGE = "docs/how-to/mindspore.md"


@pytest.mark.parametrize(
    "page, heading",
    [("README.md", "MindSpore"), *((PAGE, heading) for heading in listings(PAGE))],
)
def test_a_listing(page, heading, tmp_path):
    for number, code in enumerate(listings(page)[heading]):
        # A module: MindSpore reads the source of what it compiles.
        file = tmp_path / f"listing_{number}.py"
        file.write_text(code, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(file.stem, file)
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
