"""The listings of the README and of the how-tos run as they stand."""

import numpy as np
import pytest
from support.pages import listings, run, run_doctest

import revgrad


def test_the_first_listing_is_the_call():
    scope = {"revgrad": revgrad, "x": np.ones(2), "lam": 0.3}
    exec(listings("README.md")["revgrad"][0], scope)
    assert scope["y"] is scope["x"]


HERE = ["Theano", "Lasagne", "λ over time"]
ELSEWHERE = ["JAX", "PyTensor", "PyTorch", "TensorFlow", "Keras", "MLX", "Paddle", "MindSpore"]


@pytest.mark.parametrize("heading", HERE)
def test_the_readme(heading):
    run("README.md", heading)


def test_reverse_selectively():
    run("docs/how-to/reverse-selectively.md", "Theano")


def test_every_listing_is_run_somewhere():
    others = {"revgrad", "Scale and select", "HIPS autograd"}
    assert set(listings("README.md")) == {*HERE, *ELSEWHERE, *others}
    page = "docs/how-to/reverse-selectively.md"
    assert set(listings(page)) == {"Theano", "PyTorch", "JAX", "Keras"}


def test_tutorials():
    run_doctest("docs/tutorial/first-reversal.md", "theano")
    run_doctest("docs/tutorial/domain-adversarial-training.md", "lasagne")
