"""The contract in NumPy: the oracle of the other tests is tested on numbers worked out by hand."""

import functools

import numpy as np
import pytest

import revgrad
from revgrad import reference

DTYPES = ["float16", "float32", "float64", "complex64", "complex128"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 1, 2)])
def test_forward_is_the_object_itself_and_pullback_keeps_shape_and_dtype(shape, dtype):
    x = np.full(shape, -0.0, dtype)
    assert reference.forward(x, 0.3) is x
    assert revgrad.reverse(x, 0.3) is x
    g = reference.pullback(np.full(shape, 2, dtype), 0.25)
    assert isinstance(g, np.ndarray) and (g.shape, g.dtype) == (shape, dtype)
    assert (g == -0.5).all()


def test_numpy_scalars_stay_scalars():
    assert revgrad.reverse(np.float32(2), 1) == 2
    assert type(reference.pullback(np.float32(2), 0.5)) is np.float32


def test_pullback_by_hand():
    g = np.array([1.0, -2.0, 0.0, np.inf, -np.inf, np.nan], dtype="float32")
    came = reference.pullback(g, 0.5)
    np.testing.assert_array_equal(came, [-0.5, 1.0, -0.0, -np.inf, np.inf, np.nan])
    assert np.signbit(came[2])


def test_lam_is_cast_to_the_dtype_of_g_before_the_product():
    g = np.array([9.0], dtype="float32")
    expected = -np.float32(0.1) * np.float32(9.0)
    assert reference.pullback(g, 0.1)[0] == expected
    assert expected != np.float32(-0.1 * 9.0)  # else this test would show nothing


def test_complex_infinities_stay_clear_of_nan():
    g = reference.pullback(np.array([complex(np.inf, 1.0)]), 2.0)
    assert g[0] == complex(-np.inf, -2.0)


def test_one_lam_per_sample_and_a_variable():
    g = np.ones((2, 3))
    came = reference.pullback(g, np.array([[1.0], [5.0]]))
    np.testing.assert_array_equal(came, [[-1.0] * 3, [-5.0] * 3])
    np.testing.assert_array_equal(reference.pullback(g, revgrad.LambdaVariable(2)), -2 * g)


@pytest.mark.parametrize("x", [[1.0], 2.0, None])
def test_a_value_of_another_type_is_rejected(x):
    for call in (reference.pullback, functools.partial(revgrad.reverse, backend="numpy")):
        with pytest.raises(revgrad.UnsupportedTypeError, match="Expected a NumPy array or scalar"):
            call(x, 1.0)


@pytest.mark.parametrize(
    "dtype, lam, words",
    [
        ("float16", 1e5, "100000.0 is too large a λ or factor for x of dtype float16"),
        ("complex64", np.array([1.0, 1e300]), r"1e\+300 is too large a λ or factor for x"),
        ("float64", np.ma.masked, "It is masked: fill it with numbers"),
        ("float64", np.ma.array([1.0, 2.0], mask=[True, False]), "It is masked: fill it with num"),
    ],
)
def test_a_lam_that_is_masked_or_would_become_infinite_is_rejected(dtype, lam, words):
    with pytest.raises(revgrad.InvalidLambdaError, match=words):
        reference.pullback(np.ones(2, dtype), lam)


def test_bfloat16_of_ml_dtypes():
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="needs Python 3.9")
    g = np.array([2.0], dtype=ml_dtypes.bfloat16)
    assert revgrad.reverse(g, 0.5) is g
    result = reference.pullback(g, 0.5)
    assert result.dtype == ml_dtypes.bfloat16 and result[0] == -1.0


def test_a_factor_by_hand():
    g = np.array([1.0, -2.0, np.inf], "float32")
    for factor, expected in ((-0.5, [-0.5, 1, -np.inf]), (3, [3, -6, np.inf])):
        came = reference.scaled_pullback(g, factor)
        np.testing.assert_array_equal(came, np.array(expected, "float32"))
        assert came.dtype == "float32"
    assert revgrad.scale_gradient(g, -7) is g


def test_a_matrix_is_multiplied_by_elements():
    g = np.matrix([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(reference.pullback(g, np.full((2, 2), 0.5)), -0.5 * np.asarray(g))
