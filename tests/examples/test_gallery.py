"""The gallery: every example with its picture, its command, its time and its numbers."""

import re

import pytest
from support.processes import installed, python
from support.programs import EXAMPLES, write_amazon


@pytest.mark.slow
@pytest.mark.skipif(not installed("theano"), reason="Theano is not installed")
def test_a_short_gallery(tmp_path):
    reviews = tmp_path / "reviews"
    reviews.mkdir()
    write_amazon(reviews, "books_train", "dvd_train", "dvd_test")
    only = "moons", "reviews", "lambda"
    short = "--steps", "2", "--amazon", reviews, "--out", tmp_path / "out", "--only", *only
    python(EXAMPLES / "gallery.py", *short, cwd=tmp_path)
    page = (tmp_path / "out" / "gallery.md").read_text(encoding="utf-8")
    for name, title, command, numbers in (
        ("moons", "Moons", "dann_theano.py moons --epochs 2 --seeds 1", r"mean    0\.\d{3}"),
        ("reviews", "Amazon reviews", f"by_hand.py {reviews} --epochs 2", r"books +dvd .* ± "),
        ("lambda", "λ over time", "three_ways.py --steps 2", r"graph .* 0\.0e\+00|graph .*e-"),
    ):
        assert (tmp_path / "out" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        part = page[page.index(f"## {title}\n") :]
        assert f"![{title}]({name}.png)" in part and f"`python docs/examples/{command}" in part
        assert re.search(r"`: \d+ s\n", part) and re.search(numbers, part), part
    done = python(EXAMPLES / "gallery.py", "--only", "reviews", cwd=tmp_path, check=False)
    assert done.returncode == 2 and "the reviews need --amazon FOLDER" in done.stderr
