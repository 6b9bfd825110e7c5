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
BY_SIGN = [
    ((), "λ", "lam", "must be a real, finite number >= 0"),
    ((True,), "The factor", "factor", "must be a real, finite number"),
]


@pytest.mark.parametrize(
    "lam", [0, 1, 0.3, 5e-324, -0.0, Fraction(1, 4), np.float32(0.5), np.int8(3), np.array(0.5)]
)
def test_numbers_become_floats(lam):
    result = normalize_lambda(lam)
    assert type(result) is float
    assert result == lam and math.copysign(1, result) == 1
    assert revgrad.reverse(X, lam) is X


@pytest.mark.parametrize("signed, symbol, name, _", BY_SIGN)
def test_a_length_that_is_not_known_yet_fits_unless_x_has_length_1(signed, symbol, name, _):
    for x_shape in ((5,), (0,), None):
        check_lambda_shape((None,), x_shape, *signed)
    for lam_shape, x_shape in (((3,), (None,)), ((None, 1), (None, 4)), (None, (1,)), ((7,), None)):
        check_lambda_shape(lam_shape, x_shape, *signed)
    with pytest.raises(revgrad.InvalidLambdaError) as caught:
        check_lambda_shape((None,), (1,), *signed)
    assert str(caught.value).startswith(f"{symbol} of shape (None,) does not broadcast")
    assert f"is {name}.reshape(-1)." in str(caught.value)


@pytest.mark.parametrize("signed, symbol, _, must_be", BY_SIGN)
def test_errors_that_backends_raise(signed, symbol, _, must_be):
    known = "a float array that broadcasts to x, a LambdaVariable, or a tensor"
    unknown = f"{symbol} {must_be}, {known}; got an object of type builtins.object."
    not_real = f"{symbol} must be real; got a value of dtype complex64. Cast it to a float dtype."
    error = revgrad.InvalidLambdaError
    assert repr(backend.not_real_error("complex64", *signed)) == repr(error(not_real))
    assert repr(backend.unknown_lambda_error(object(), "a tensor", *signed)) == repr(error(unknown))
    learnable = backend.learnable_lambda_error()
    assert type(learnable) is error and "Detach it from the graph" in str(learnable)


def test_public_names_have_the_module_that_they_are_imported_from():
    for name in set(backend.__all__) - {"CONTRACT", "Lambda"}:
        module = "revgrad" if name in revgrad.__all__ else "revgrad.backend"
        assert getattr(backend, name).__module__ == module, name
    for name in set(revgrad.__all__) - {"__version__", "backends", "hookimpl", "schedules"}:
        assert getattr(revgrad, name).__module__ == "revgrad", name


def test_arrays_keep_their_floating_dtype():
    lam, factor = np.array([0.0, 0.25, 3.0], "float32"), np.array([-0.5, 0.0, 2.0])
    assert normalize_lambda(lam) is lam and normalize_factor(factor) is factor
    integers = normalize_lambda(np.array([0, 2]))
    assert integers.dtype == "float64" and integers.tolist() == [0.0, 2.0]


def test_an_error_shows_60_letters_at_most():
    assert short_repr("a" * 58) == f"'{'a' * 58}'"
    assert short_repr("a" * 59) == f"'{'a' * 56}..."
