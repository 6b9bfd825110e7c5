"""The listings of the README and of the how-tos run as they stand."""

import re

import pytest
from support.pages import ROOT, listings, run, run_doctest


def test_the_readme():
    run("README.md", "PyTorch")
    run("README.md", "Scale and select")


def test_reverse_selectively():
    run("docs/how-to/reverse-selectively.md", "PyTorch")


def test_is_it_training():
    """The classifier wins where it is not opposed; at λ = 3 a probe can hardly tell the domains."""
    pytest.importorskip("sklearn")
    page = "docs/how-to/is-it-training.md"
    results = run(page, "Measure it")["results"]
    rows = re.findall(r"^\| ([\d.]+) \|(.*)\|$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert [float(lam) for lam, _ in rows] == list(results)
    for lam, row in rows:
        ranges = re.findall(r"\((\S+) to (\S+)\)", row.replace("−", "-"))
        for value, (low, high) in zip(results[float(lam)], ranges):
            assert float(low) - 0.1 < value < float(high) + 0.1


def test_three_ways_to_an_adversary():
    scope = run(
        "docs/explanation/three-ways-to-an-adversary.md",
        "Reversal, two optimisers, or minus the loss",
    )
    assert scope["reversal"] == scope["two_optimizers"] == pytest.approx((-0.3, 1))
    assert scope["minus_the_loss"] == pytest.approx((-0.3, -0.3))


@pytest.mark.parametrize("heading", listings("docs/how-to/two-domains-in-one-batch.md"))
def test_two_domains_in_one_batch(heading):
    run("docs/how-to/two-domains-in-one-batch.md", heading)


@pytest.mark.parametrize("page", ["first-reversal", "domain-adversarial-training"])
def test_tutorials(page):
    run_doctest(f"docs/tutorial/{page}.md", "torch")
