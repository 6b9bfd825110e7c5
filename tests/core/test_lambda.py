"""What is a λ, and what is not (C8)."""

import math
from fractions import Fraction

import numpy as np
import pytest

import revgrad
from revgrad import backend
from revgrad._lambda import short_repr
from revgrad.backend import check_lambda_shape, normalize_factor, normalize_lambda

X = np.ones(3)


@pytest.mark.parametrize(
    "lam",
    [0, 1, 0.3, 5e-324, -0.0, Fraction(1, 4), np.float32(0.5), np.int8(3), np.array(0.5)],
)
def test_numbers_become_floats(lam):
    result = normalize_lambda(lam)
    assert type(result) is float
    assert result == lam and math.copysign(1, result) == 1
    assert revgrad.reverse(X, lam) is X


def test_a_length_that_is_not_known_yet_fits_unless_x_has_length_1():
    for x_shape in ((5,), (0,), None):
        check_lambda_shape((None,), x_shape)
    for lam_shape, x_shape in (((3,), (None,)), ((None, 1), (None, 4)), (None, (1,)), ((7,), None)):
        check_lambda_shape(lam_shape, x_shape)
    for signed, symbol, name in (((), "λ", "lam"), ((True,), "The factor", "factor")):
        with pytest.raises(revgrad.InvalidLambdaError) as caught:
            check_lambda_shape((None,), (1,), *signed)
        assert str(caught.value).startswith(f"{symbol} of shape (None,) does not broadcast")
        assert f"is {name}.reshape(-1)." in str(caught.value)


def test_errors_that_backends_raise():
    known = "a float array that broadcasts to x, a LambdaVariable, or a tensor"
    unknown = f"{known}; got an object of type builtins.object."
    not_real = "must be real; got a value of dtype complex64. Cast it to a float dtype."
    for signed, symbol, number in (
        ((), "λ", "must be a real, finite number >= 0"),
        ((True,), "The factor", "must be a real, finite number"),
    ):
        error = backend.not_real_error("complex64", *signed)
        assert repr(error) == repr(revgrad.InvalidLambdaError(f"{symbol} {not_real}"))
        error = backend.unknown_lambda_error(object(), "a tensor", *signed)
        assert repr(error) == repr(revgrad.InvalidLambdaError(f"{symbol} {number}, {unknown}"))
    error = backend.learnable_lambda_error()
    assert type(error) is revgrad.InvalidLambdaError and "Detach it from the graph" in str(error)


def test_public_names_have_the_module_that_they_are_imported_from():
    for name in set(backend.__all__) - {"CONTRACT", "Lambda"}:
        module = "revgrad" if name in revgrad.__all__ else "revgrad.backend"
        assert getattr(backend, name).__module__ == module, name
    for name in set(revgrad.__all__) - {"__version__", "backends", "hookimpl", "schedules"}:
        assert getattr(revgrad, name).__module__ == "revgrad", name


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


@pytest.mark.parametrize("factor", [-np.inf, np.inf, np.nan, -(10**400), 10**400])
def test_a_factor_is_finite(factor):
    with pytest.raises(
        revgrad.InvalidLambdaError, match="The factor must be a real, finite number;"
    ):
        revgrad.backend.normalize_factor(factor)


def test_lambda_as_float_says_what_it_expects():
    with pytest.raises(revgrad.InvalidLambdaError, match="^λ must be .* Expected a scalar"):
        revgrad.backend.lambda_as_float(np.ones(2))
