"""The inputs of the checks, and how what comes out is compared."""

import types

import numpy as np
import pytest

from revgrad.testing import Harness
from revgrad.testing._cases import SPECIAL, describe_array, equal, expect, fixed_cases
from revgrad.testing._check import Mismatch

TINY = np.finfo("float32").tiny


def test_special_numbers():
    special = np.array(SPECIAL)
    assert [np.isposinf(special).sum(), np.isneginf(special).sum(), np.isnan(special).sum()] == [
        1
    ] * 3
    assert np.signbit(special[special == 0]).tolist() == [False, True]
    assert special[-2:].tolist() == [1e-40, -1e-40]  # and all others are normal
    assert np.finfo("float16").max < np.abs(special[np.isfinite(special)]).max()  # 1e30


@pytest.mark.parametrize("subnormals, left", [(True, None), (False, -2)])
def test_fixed_cases(subnormals, left):
    special = np.array(SPECIAL, "float32")[:left]
    found = list(fixed_cases(types.SimpleNamespace(subnormals=subnormals), ["float32"]))
    assert [each.lam for each in found] == np.repeat([1, 0.3, 7], len(found) // 3).tolist()
    *alone, last = found[: len(found) // 3]
    pairs = [[each.x, each.g] for each in alone]
    np.testing.assert_equal(pairs[::2], [[each, special[0]] for each in special])
    np.testing.assert_equal(pairs[1::2], [[special[0], each] for each in special])
    np.testing.assert_equal([last.x, last.g], [special, special[::-1]])


@pytest.mark.parametrize(
    "came, expected, same",  # with subnormals, and without
    [
        (1, 1, (True, True)),
        (0.0, -0.0, (False, False)),
        (np.nan, np.nan, (True, True)),
        (np.nan, 1, (False, False)),
        (1, np.nan, (False, False)),
        (0, 1e-40, (False, True)),
        (1e-39, 1e-40, (False, False)),
        (1, 1e-40, (False, False)),
        (0, 5, (False, False)),
        (0, TINY, (False, False)),
    ],
)
def test_equal(came, expected, same):
    came, expected = np.float32(came), np.float32(expected)
    kinds = [types.SimpleNamespace(subnormals=each) for each in (True, False)]
    assert tuple(equal(each, came, expected) for each in kinds) == same


@pytest.mark.parametrize(
    "came, words", [(None, "None: not conn"), (np.ones(2), "64 of shape .2,.$")]
)
def test_an_array_of_another_shape_or_dtype(came, words):
    with pytest.raises(Mismatch, match=words):
        expect(types.SimpleNamespace(subnormals=True), "x", came, np.ones(2, "float32"))


def test_long_arrays_are_shortened():
    lines = [describe_array(np.asarray("x" * length)) for length in (158, 159)]
    assert lines == ["'" + "x" * 158 + "'", "'" + "x" * 156 + "..."]
    assert ["..." in describe_array(np.arange(n)) for n in (12, 13)] == [False, True]


def test_a_harness_has_no_further_values_unless_it_says_so():
    assert list(Harness().values()) == []
