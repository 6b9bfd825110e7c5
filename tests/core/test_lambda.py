"""What is a λ, and what is not (C8)."""

import fractions
import math

import numpy as np
import pytest

import revgrad
from revgrad.backend import normalize_lambda

X = np.ones(3)


@pytest.mark.parametrize(
    "lam, number",
    [
        (0, 0.0),
        (1, 1.0),
        (0.3, 0.3),
        (5e-324, 5e-324),
        (-0.0, 0.0),
        (fractions.Fraction(1, 4), 0.25),
        (np.float32(0.5), 0.5),
        (np.int8(3), 3.0),
        (np.array(0.5), 0.5),
    ],
)
def test_numbers_become_floats(lam, number):
    result = normalize_lambda(lam)
    assert type(result) is float
    assert result == number and not math.copysign(1, result) < 0
    assert revgrad.reverse(X, lam) is X


@pytest.mark.parametrize(
    "shape, lam_shape, fits",
    [
        ((2, 3), (2, 1), True),
        ((2, 3), (3,), True),
        ((2, 3), (1, 1), True),
        ((0, 3), (0, 1), True),
        ((2, 3), (2,), False),
        ((2, 1), (2, 3), False),
        ((3,), (1, 3), False),
        ((), (1,), False),
    ],
)
def test_an_array_must_broadcast_without_enlarging_x(shape, lam_shape, fits):
    x, lam = np.ones(shape), np.ones(lam_shape)
    if fits:
        assert revgrad.reverse(x, lam) is x
    else:
        with pytest.raises(revgrad.InvalidLambdaError, match="does not broadcast to x of shape"):
            revgrad.reverse(x, lam)
