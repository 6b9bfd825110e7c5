"""The gallery: every example with its picture, its command, its time and its numbers."""

import re

import pytest
from support.processes import installed, python
from support.programs import EXAMPLES, write_amazon


@pytest.mark.slow
@pytest.mark.skipif(not installed("theano"), reason="Theano is not installed")
def test_a_short_gallery(tmp_path):
    write_amazon(tmp_path, "books_train", "dvd_train", "dvd_test")
    short = "--steps=2", f"--amazon={tmp_path}", f"--out={tmp_path}"
    python(EXAMPLES / "gallery.py", *short, "--only", "moons", "reviews", "lambda", cwd=tmp_path)
    page = (tmp_path / "gallery.md").read_text(encoding="utf-8")
    for name, title, command, numbers in (
        ("moons", "Moons", "dann_theano.py moons --epochs 2 --seeds 1", r"mean    0\.\d{3}"),
        ("reviews", "Amazon reviews", f"by_hand.py {tmp_path} --epochs 2", r"books +dvd .* ± "),
        ("lambda", "λ over time", "three_ways.py --steps 2", r"graph .* 0\.0e\+00|graph .*e-"),
    ):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        part = page[page.index(f"## {title}\n\n![{title}]({name}.png)\n\n") :]
        assert f"`python docs/examples/{command}" in part
        assert re.search(r"`: \d+ s\n", part) and re.search(numbers, part), part
    done = python(EXAMPLES / "gallery.py", "--only", "reviews", cwd=tmp_path, check=False)
    assert done.returncode == 2 and "the reviews need --amazon FOLDER" in done.stderr
