"""What hypothesis draws for the checks: shapes, dtypes, λ, arrays with every kind of float.

This module needs hypothesis: ``pip install 'revgrad[testing]'``. Without it the checks run on the
fixed cases alone.
"""

from typing import Any, Sequence, Tuple

import hypothesis.strategies as st
import numpy as np

from revgrad.testing._cases import Case, floating

__all__ = ["arrays", "cases", "dtypes", "lambdas", "shapes"]


def shapes(max_dims: int = 4) -> st.SearchStrategy[Tuple[int, ...]]:
    """Draw shapes, 0-d and empty ones included.

    Parameters
    ----------
    max_dims : int, optional
        The most dimensions.

    Returns
    -------
    strategy of tuple of int
        Lengths of 0 to 3.
    """
    return st.lists(st.integers(0, 3), max_size=max_dims).map(tuple)


def dtypes(names: Sequence[str]) -> st.SearchStrategy[str]:
    """Draw one of the dtypes of a harness.

    Parameters
    ----------
    names : sequence of str
        `Harness.dtypes`, say; the first is the simplest.

    Returns
    -------
    strategy of str
        A name.
    """
    return st.sampled_from(list(names))


def lambdas(dtype: str, subnormals: bool = True) -> st.SearchStrategy[float]:
    """Draw λ from what does not round to 0 up to the largest number of a dtype.

    Parameters
    ----------
    dtype : str
        The dtype of `x`.
    subnormals : bool, optional
        Whether λ may be subnormal in it.

    Returns
    -------
    strategy of float
        Python floats: most of them have no exact counterpart in the dtype.
    """
    info = floating(dtype)
    least, most = float(info.tiny), float(info.max)
    drawn = st.floats(least, min(most, 100.0)) | st.floats(least, most)
    if subnormals:
        drawn |= st.floats(least * float(info.eps), least)
    return drawn


def arrays(shape: Tuple[int, ...], dtype: str, subnormals: bool = True) -> st.SearchStrategy[Any]:
    """Draw arrays whose elements may be -0.0, subnormal, infinite or nan.

    Parameters
    ----------
    shape : tuple of int
        The shape.
    dtype : str
        A floating dtype.
    subnormals : bool, optional
        Whether elements may be subnormal.

    Returns
    -------
    strategy of numpy.ndarray
        Of the shape and dtype.
    """
    info = floating(dtype)
    least = float(info.tiny)
    special = [1.0, -0.0, np.inf, -np.inf, np.nan]
    if subnormals:
        special += [least * float(info.eps), -least * 0.75]
    element = st.sampled_from(special) | st.floats(-float(info.max), float(info.max)).filter(
        lambda value: subnormals or value == 0 or abs(value) >= least
    )
    size = int(np.prod(shape))
    return st.lists(element, min_size=size, max_size=size).map(
        lambda values: np.array(values, "float64").astype(dtype).reshape(shape)
    )


def cases(
    dtypes_: Sequence[str], max_dims: int = 1, subnormals: bool = True
) -> st.SearchStrategy[Case]:
    """Draw cases: a shape and a dtype, λ, the values of `x` and a cotangent.

    Parameters
    ----------
    dtypes_ : sequence of str
        The dtypes.
    max_dims : int, optional
        The most dimensions of `x`.
    subnormals : bool, optional
        Whether numbers may be subnormal.

    Returns
    -------
    strategy of Case
        Shrinks towards a scalar, λ = 1 and a cotangent of 1.
    """

    def with_shape_and_dtype(drawn: Tuple[Tuple[int, ...], str]) -> st.SearchStrategy[Case]:
        shape, dtype = drawn
        values = arrays(shape, dtype, subnormals)
        return st.builds(Case, lambdas(dtype, subnormals), values, values)

    return st.tuples(shapes(max_dims), dtypes(dtypes_)).flatmap(with_shape_and_dtype)
