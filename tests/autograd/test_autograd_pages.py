"""The listings of the README and of the how-tos run as they stand."""

from support.pages import run


def test_the_readme():
    run("README.md", "HIPS autograd")
