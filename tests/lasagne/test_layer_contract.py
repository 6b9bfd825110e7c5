"""The clauses of the contract, on layers: by the call, and by the layer itself."""

from revgrad.testing import conformance
from revgrad_lasagne import ReverseGradientLayer
from revgrad_lasagne.testing import LasagneHarness


class LayerHarness(LasagneHarness):
    """Puts the layer to the checks."""

    reverse = staticmethod(ReverseGradientLayer)


@conformance("lasagne")
def test_reverse(check):
    check()


@conformance(LayerHarness())
def test_the_layer(check):
    check()
