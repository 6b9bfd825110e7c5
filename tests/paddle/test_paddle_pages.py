"""The listings of the README and of the how-to run as they stand."""

import pytest
from support.pages import about, run


@pytest.mark.parametrize("page, heading", about("Paddle"))
def test_a_listing(page, heading, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    run(page, heading)
