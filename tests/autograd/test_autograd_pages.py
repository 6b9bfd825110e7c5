"""The listings of the README and of the how-tos run as they stand."""

from support.examples import assert_public
from support.pages import run

import revgrad_autograd


def test_the_readme():
    run("README.md", "HIPS autograd")


def test_what_the_package_offers():
    assert_public(revgrad_autograd)
