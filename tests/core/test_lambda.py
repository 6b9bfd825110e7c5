"""What is a λ, and what is not (C8)."""

import decimal
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
    "lam, words",
    [
        (-1, "got -1 (int). The gradient is multiplied by -λ already: pass 1, not -1."),
        (-0.5, "pass 0.5, not -0.5"),
        (np.float32(-2), "pass 2.0, not -2.0"),
        (-np.inf, "got -inf"),
        (math.nan, "got nan (float). Check the code that computed it."),
        (math.inf, "got inf (float)"),
        (10**400, "(int). Check the code that computed it."),
        (True, "got True (bool). A bool is not a strength: write 1.0 or 0.0."),
        (np.bool_(True), "Its dtype is bool: cast it to a float dtype."),
        ("0.3", "got '0.3' (str). It is text: convert it with float()."),
        (b"0.3", "It is text"),
        (None, "got None (NoneType). Pass 0.0 to switch the reversal off."),
        (1 + 0j, "(complex). Pass a real number, for instance with float()."),
        (np.complex64(1), "Its dtype is complex64"),
        (decimal.Decimal("0.3"), "Pass a real number, for instance with float()."),
        ([0.1, 0.2, 0.3], "Pass an array that broadcasts to x for one value per sample."),
        (lambda p: p, "looks like a schedule: call it with the progress p in [0, 1]"),
        (revgrad.schedules.Dann(), "or give it to a revgrad.LambdaScheduler, which sets a"),
        (np.array([0.1, -0.2, np.nan]), "It is at index (1,) of an array of shape (3,); 2 of"),
        (np.array(["a"]), "Its dtype is <U1"),
        (object(), "got an object of type builtins.object"),
    ],
)
def test_anything_else_is_refused_with_advice(lam, words):
    with pytest.raises(revgrad.InvalidLambdaError) as caught:
        revgrad.reverse(X, lam)
    assert words in str(caught.value)
    assert str(caught.value).startswith("λ must be a real, finite number >= 0")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("sign", [1, -1], ids="{:+}".format)
def test_an_int_that_python_does_not_write_is_refused_like_another(sign):
    with pytest.raises(revgrad.InvalidLambdaError, match=r"\(int\)\. (Check|The gradient)"):
        revgrad.reverse(X, sign * 10**5000)


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
