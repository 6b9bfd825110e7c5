"""The clauses of the contract, on layers: by the call, and by the layer itself."""

from lasagne.layers import InputLayer, Layer

from revgrad.testing import conformance
from revgrad_lasagne import ReverseGradientLayer, ScaleGradientLayer
from revgrad_lasagne.testing import LasagneHarness


def on_layers(layer):
    """Return a function of a layer, or of the variable that a layer under it puts out."""

    def change(x, lam):
        return layer(x if isinstance(x, Layer) else InputLayer((None,) * x.ndim, x), lam)

    return staticmethod(change)


class LayerHarness(LasagneHarness):
    """Puts the layers to the checks."""

    reverse = on_layers(ReverseGradientLayer)
    scale_gradient = on_layers(ScaleGradientLayer)


@conformance("lasagne")
def test_reverse(check):
    check()


@conformance(LayerHarness())
def test_the_layer(check):
    check()
