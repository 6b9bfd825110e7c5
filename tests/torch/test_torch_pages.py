"""The listings of the README and of the how-tos run as they stand."""

from support.pages import run


def test_the_readme():
    run("README.md", "PyTorch")
    run("README.md", "Scale and select")


def test_reverse_selectively():
    run("docs/how-to/reverse-selectively.md", "PyTorch")
