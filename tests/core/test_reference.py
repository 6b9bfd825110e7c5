"""The contract in NumPy: the oracle of the other tests is tested on numbers worked out by hand."""

import numpy as np
import pytest

import revgrad
from revgrad import reference
from revgrad.reference import pullback, scaled_pullback

DTYPES = ["float16", "float32", "float64", "complex64", "complex128", "bfloat16"]
INF, NAN = np.inf, np.nan


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 1, 2)])
def test_forward_is_the_object_itself_and_pullback_keeps_shape_and_dtype(shape, dtype):
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes", reason="needs Python 3.9")
    x = np.full(shape, -0.0, dtype)
    for y in (reference.forward(x, 0.3), revgrad.reverse(x, 0.3), revgrad.scale_gradient(x, -7)):
        assert y is x
    g = np.full(shape, 2, dtype)
    for came in (pullback(g, 0.25), scaled_pullback(g, -0.25)):
        assert isinstance(came, np.ndarray) and (came.shape, came.dtype) == (shape, dtype)
        assert (came == -0.5).all()


def test_numpy_scalars_stay_scalars():
    assert revgrad.reverse(np.float32(2), 1) == 2
    assert type(pullback(np.float32(2), 0.5)) is np.float32
    assert revgrad.get_backend("numpy").xp is np


@pytest.mark.parametrize(
    "g, lam, expected",
    [
        ([1.0, -2.0, 0.0, INF, -INF, NAN], 0.5, [-0.5, 1.0, -0.0, -INF, INF, NAN]),
        ([complex(INF, 1)], 2.0, [complex(-INF, -2)]),
        (np.ones((2, 3)), np.array([[1.0], [5.0]]), [[-1.0] * 3, [-5.0] * 3]),
        ([1.0, 2.0], revgrad.LambdaVariable(2), [-2.0, -4.0]),
        # Multiplied by elements, not as matrices are.
        (np.asmatrix([[1.0, 2.0], [3.0, 4.0]]), np.full((2, 2), 0.5), [[-0.5, -1.0], [-1.5, -2.0]]),
        # λ is rounded to float32 before the product.
        (np.float32([9]), 0.1, [float(-np.float32(0.1) * np.float32(9))]),
    ],
)
def test_pullback_by_hand(g, lam, expected):
    assert repr(pullback(np.asanyarray(g), lam).tolist()) == repr(expected)


def test_a_factor_by_hand():
    assert scaled_pullback(np.array([1.0, -2.0, INF]), 3).tolist() == [3.0, -6.0, INF]
