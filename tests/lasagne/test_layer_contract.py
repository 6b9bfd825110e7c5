"""The clauses of the contract, on the reversal as it comes out of a Lasagne layer."""

import lasagne
import pytest
from theano_clauses import CLAUSES

from revgrad_lasagne import ReverseGradientLayer


def layer_reversal(x, lam):
    layer = ReverseGradientLayer(lasagne.layers.InputLayer((None,) * getattr(x, "ndim", 0)), lam)
    return lasagne.layers.get_output(layer, x)


@pytest.mark.parametrize("clause", CLAUSES)
def test_clause(clause):
    CLAUSES[clause](layer_reversal)
