"""The listings of the README and of the how-to run as they stand."""

import pytest
from support.pages import listings, run

PAGE = "docs/how-to/mlx.md"


def test_the_readme():
    run("README.md", "MLX")


@pytest.mark.parametrize("heading", sorted(listings(PAGE)))
def test_the_how_to(heading, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    run(PAGE, heading)
