"""The listings of the README and of the how-tos run as they stand."""

from support.pages import listings, run


def test_the_readme():
    run("README.md", "PyTensor")


def test_from_theano_to_pytensor():
    (heading,) = listings("docs/how-to/from-theano-to-pytensor.md")
    run("docs/how-to/from-theano-to-pytensor.md", heading)
