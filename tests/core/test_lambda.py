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
