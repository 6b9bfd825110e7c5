"""What is a λ, and what is not (C8)."""

import fractions
import math

import numpy as np
import pytest

import revgrad
from revgrad import backend
from revgrad._lambda import short_repr
from revgrad.backend import check_lambda_shape, normalize_factor, normalize_lambda

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
    "lam_shape, x_shape, fits",
    [
        ((None,), (5,), True),
        ((None,), (1,), False),
        ((None,), (0,), True),
        ((3,), (None,), True),
        ((None, 1), (None, 4), True),
        (None, (1,), True),
        ((7,), None, True),
    ],
)
def test_a_length_that_is_not_known_yet_fits_unless_x_has_length_1(lam_shape, x_shape, fits):
    if fits:
        check_lambda_shape(lam_shape, x_shape)
        return
    for signed, symbol, name in ((False, "λ", "lam"), (True, "The factor", "factor")):
        with pytest.raises(revgrad.InvalidLambdaError) as caught:
            check_lambda_shape(lam_shape, x_shape, signed)
        assert str(caught.value).startswith(f"{symbol} of shape {lam_shape} does not broadcast")
        assert f"is {name}.reshape(-1)." in str(caught.value)
    with pytest.raises(revgrad.InvalidLambdaError, match="^λ of"):
        check_lambda_shape(lam_shape, x_shape)


def test_errors_that_backends_raise():
    for signed, symbol in ((False, "λ"), (True, "The factor")):
        error = backend.not_real_error("complex64", signed)
        assert type(error) is revgrad.InvalidLambdaError
        words = "must be real; got a value of dtype complex64. Cast it to a float dtype."
        assert str(error) == f"{symbol} {words}"
        error = backend.unknown_lambda_error(object(), "a tensor", signed)
        assert type(error) is revgrad.InvalidLambdaError and str(error).startswith(f"{symbol} must")
        assert "a LambdaVariable, or a tensor; got an object of type builtins.obj" in str(error)
    error = backend.learnable_lambda_error()
    assert type(error) is revgrad.InvalidLambdaError and "Detach it from the graph" in str(error)
    assert str(backend.not_real_error("bool")).startswith("λ")
    assert str(backend.unknown_lambda_error(1, "a tensor")).startswith("λ")


def test_what_backend_offers_names_the_module_that_it_is_imported_from():
    for name in set(backend.__all__) - {"CONTRACT", "Lambda"}:
        assert getattr(backend, name).__module__ in ("revgrad", "revgrad.backend"), name


def test_arrays_are_validated_by_element_and_keep_their_floating_dtype():
    lam = np.array([0.0, 0.25, 3.0], "float32")
    assert normalize_lambda(lam) is lam
    integers = normalize_lambda(np.array([0, 2]))
    assert integers.dtype == "float64" and integers.tolist() == [0.0, 2.0]
    factor = np.array([-0.5, 0.0, 2.0])
    assert normalize_factor(factor) is factor
    words = r"at index \(0,\) of an array of shape \(3,\); 1 of 3 elements are invalid"
    with pytest.raises(revgrad.InvalidLambdaError, match=words):
        normalize_lambda(factor)
    with pytest.raises(revgrad.InvalidLambdaError, match=r"at index \(1, 0\) .*; 2 of 4 elements"):
        normalize_factor(np.array([[-1.0, 0.0], [np.nan, np.inf]]))


def test_an_error_shows_60_letters_at_most():
    assert short_repr("a" * 58) == f"'{'a' * 58}'"
    assert short_repr("a" * 59) == f"'{'a' * 56}..."
