"""Schedules: range, monotonicity, accuracy, round trips, names, warnings and errors."""

import dataclasses
import fractions
import json
import math
import pickle
import re
import typing
import warnings

import mpmath
import numpy as np
import pytest
from hypothesis import given, strategies as st
from schedule_examples import EXAMPLES, OWN, label, parabola

import revgrad
from revgrad import schedules
from revgrad._lambda import describe_value
from revgrad.schedules import (
    Constant,
    Cosine,
    Dann,
    Delayed,
    Exponential,
    InverseDecay,
    Linear,
    Piecewise,
    Polynomial,
    Scaled,
    Sequential,
    from_dict,
    progress,
)

IGNORE_STEPS = pytest.mark.filterwarnings("ignore:.* was called with p >= 2")
LAMS = st.floats(0, 1e6)
POSITIVE = st.floats(1e-6, 1e6)
PS = st.floats(0, 1)


RAMPS = st.one_of(
    st.builds(Constant, LAMS),
    st.builds(lambda gamma, *ends: Dann(gamma, *sorted(ends)), POSITIVE, LAMS, LAMS),
    st.builds(Linear, LAMS, LAMS),
    st.builds(Cosine, LAMS, LAMS),
    st.builds(Polynomial, LAMS, LAMS, st.floats(0.01, 100)),
    st.builds(Exponential, POSITIVE, POSITIVE),
    st.builds(InverseDecay, LAMS, POSITIVE, st.floats(0, 20)),
)


def joined(parts):
    points = st.dictionaries(PS, LAMS, min_size=1, max_size=5)
    later = st.dictionaries(st.floats(0, 1, exclude_min=True, exclude_max=True), parts, max_size=3)
    return st.one_of(
        st.builds(Scaled, parts, LAMS),
        st.builds(Delayed, parts, st.floats(0, 1, exclude_max=True), LAMS),
        points.map(lambda points: Piecewise(sorted(points.items()))),
        st.builds(lambda at, first: Sequential([first, *at.values()], sorted(at)), later, parts),
    )


ANY = st.recursive(RAMPS, joined, max_leaves=5)


def bounds(schedule):
    """Return numbers between which λ lies; for one formula, those at its start and its end."""
    return {
        Constant: lambda value: [value, value],
        Dann: lambda gamma, low, high: [low, high],
        InverseDecay: lambda initial, alpha, beta: [initial, 0.0],
        Piecewise: lambda points: [lam for _, lam in points],
        Scaled: lambda schedule, scale: [scale * each for each in bounds(schedule)],
        Delayed: lambda schedule, until, hold: [hold, *bounds(schedule)],
        Sequential: lambda schedules, boundaries: sum(map(bounds, schedules), []),
    }.get(type(schedule), lambda start, end, power=None: [start, end])(**vars(schedule))


@IGNORE_STEPS
@given(ANY, PS | st.floats(allow_nan=False))
def test_the_range_is_kept(schedule, p):
    lam = schedule(p)
    assert type(lam) is float
    assert min(bounds(schedule)) <= lam <= max(bounds(schedule))


@given(RAMPS, PS, PS)
def test_a_ramp_is_monotone(schedule, p, q):
    start, end = bounds(schedule)
    before, after = schedule(min(p, q)), schedule(max(p, q))
    # tanh, cos, exp and powers are accurate to a few units in the last place.
    slack = 0.0 if isinstance(schedule, (Constant, Linear)) else 1e-14 * max(start, end)
    assert np.sign(end - start) * (after - before) >= -slack


@given(ANY)
def test_dict_pickle_and_repr_round_trips(schedule):
    for again in (
        from_dict(json.loads(json.dumps(schedule.to_dict()))),
        pickle.loads(pickle.dumps(schedule)),
        eval(repr(schedule), vars(schedules)),
    ):
        assert again == schedule
        assert (hash(again), repr(again)) == (hash(schedule), repr(schedule))


@IGNORE_STEPS
@pytest.mark.parametrize("schedule", EXAMPLES, ids=label)
def test_p_is_clipped(schedule):
    assert {schedule(p) for p in (-1, -math.inf, -0.0, -(10**400))} == {schedule(0)}
    assert {schedule(p) for p in (1.5, math.inf, 10**400)} == {schedule(1)}
    assert not math.copysign(1, schedule(-0.0)) < 0


@pytest.mark.parametrize("schedule", [*EXAMPLES, *OWN], ids=label)
@pytest.mark.parametrize("shape", [(), (0,), (21,), (2, 1, 2)], ids=str)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble", "int8", "uint64"])
def test_an_array_agrees_with_numbers_and_keeps_shape_and_floating_dtype(schedule, shape, dtype):
    ps = np.linspace(0, 1, int(np.prod(shape))).reshape(shape).astype(dtype)
    lams = schedule(ps)
    assert type(lams) is np.ndarray
    assert (lams.shape, lams.dtype) == (shape, dtype if ps.dtype.kind == "f" else "float64")
    expected = np.array([schedule(float(p)) for p in ps.flat], lams.dtype).reshape(shape)
    units = 4 * max(np.finfo(lams.dtype).eps, np.finfo(float).eps)
    np.testing.assert_allclose(lams, expected, rtol=float(units), atol=float(units))


def test_a_number_of_any_kind_gives_a_float():
    for kind in (np.float64, np.float32, np.float16, fractions.Fraction):
        assert repr(Linear()(kind(0.25))) == "0.25"
    assert Linear()(np.int8(1)) == Linear()(1) == 1.0


# Before 1.22 NumPy used the tanh of the C library, which is accurate to 2 units already.
ULPS = 2 if np.lib.NumpyVersion(np.__version__) >= "1.22.0" else 3


@given(st.just(10.0) | st.floats(0.01, 1e3), PS | st.floats(-300, 0).map(lambda x: 10**x))
def test_dann_is_accurate_to_two_units_in_the_last_place(gamma, p):
    with mpmath.workprec(200):
        exact = mpmath.tanh(mpmath.mpf(gamma) * p / 2)
        assert abs(Dann(gamma)(p) - exact) <= ULPS * float(np.spacing(float(exact)))


def test_values_computed_by_hand():
    assert Dann(low=1, high=3)(0) == 1.0
    assert Dann()(1e-9) == 5e-9  # the form of the papers would give 5.00000041e-9
    assert Dann(gamma=math.log(3))(1) == pytest.approx(0.5, rel=1e-15)  # 2/(1 + 1/3) - 1
    assert Cosine(1, 0)(0.25) == pytest.approx((1 + math.sqrt(0.5)) / 2, rel=1e-15)
    assert Exponential(4, 1)(0.5) == pytest.approx(2, rel=1e-15)
    assert Polynomial(1, 2, power=3)(0.5) == 1.125
    assert InverseDecay(1, alpha=15, beta=0.5)(1) == 0.25
    assert Dann(low=0.5, high=0.5)(0.3) == 0.5
    ps = 0, 0.125, 0.25, 0.375, 0.4999, 0.5, 0.75, 1
    hill, late = Piecewise([(0.25, 1), (0.5, 3)]), Delayed(Linear(1, 2), until=0.5)
    assert [hill(p) for p in ps] == [1, 1, 1, 2, pytest.approx(2.9992), 3, 3, 3]
    assert [late(p) for p in ps] == [0, 0, 0, 0, 0, 1, 1.5, 2]
    assert [*map(Sequential([Constant(1), Linear(2, 4)], [0.5]), ps)] == [1, 1, 1, 1, 1, 2, 3, 4]
    assert (2 * Linear())(0.25) == (Linear() * 2)(0.25) == 0.5


@given(st.integers(2, 10**5).flatmap(lambda n: st.tuples(st.integers(1, n - 1), st.just(n))))
def test_rounding_does_not_move_a_jump_to_another_step(k_of_n):
    k, n = k_of_n
    for boundary in (k / n, k * (1 / n), np.nextafter(k / n, 1), float(np.float32(k / n))):
        joined = Sequential([Constant(1), Constant(2)], [boundary])
        for schedule in (joined, Delayed(Constant(2), until=boundary, hold=1)):
            for p in (k / n, k * (1 / n), float(np.float32(k / n))):
                assert schedule(p) == 2
            assert schedule((k - 1) / n) == 1


@given(LAMS, LAMS, POSITIVE)
def test_both_ends_are_exact(start, end, power):
    curves = [Linear(start, end), Cosine(start, end), Polynomial(start, end, power)]
    for each in [*curves, Exponential(start + 1e-6, end + 1e-6)]:
        assert (each(0), each(1)) == (each.start, each.end)


INVALID = [-1, math.nan, math.inf, 10**400, True, "0.3", None, np.ones(3)]


def test_each_number_is_validated_and_named():
    for schedule in EXAMPLES:
        kind = type(schedule).__name__
        for name in [name for name, value in vars(schedule).items() if type(value) is float]:
            least = "> 0" if kind == "Exponential" or name in ("gamma", "power") else ">= 0"
            for value in INVALID + [0] * (least == "> 0"):
                shown = describe_value(value)
                words = f"{kind}: {name} must be a finite number {least}; got {shown}."
                with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
                    dataclasses.replace(schedule, **{name: value})


def test_arguments_are_stored_as_plain_floats():
    schedule = Dann(np.float32(5), fractions.Fraction(1, 2), high=np.int64(2))
    assert repr(schedule) == "Dann(gamma=5.0, low=0.5, high=2.0)"
    assert repr(Constant(-0.0)) == "Constant(value=0.0)"
    assert Piecewise([[0, 1], (np.float64(1), 2)]).points == ((0.0, 1.0), (1.0, 2.0))
    with pytest.raises(AttributeError):
        schedule.gamma = 3


def test_only_a_number_scales():
    assert np.float64(2) * Dann() == Dann() * 2 == Scaled(Dann(), 2.0)
    for scale in ("2", None, [2], np.ones(2), Dann()):
        with pytest.raises(TypeError):
            scale * Dann()


def test_schedules_of_different_classes_differ():
    assert len({*EXAMPLES, *EXAMPLES}) == len(EXAMPLES)


def test_a_callable_works_wherever_a_schedule_does_except_in_a_dict():
    for schedule in OWN[:2]:
        assert schedule(1.0) == 0.0
        assert pickle.loads(pickle.dumps(schedule)) == schedule
        with pytest.raises(ValueError, match="schedule_examples.parabola cannot be written as a d"):
            schedule.to_dict()
    assert Delayed(parabola, 0.5)(0.75) == Scaled(parabola, 1)(0.5) == 1.0
    with pytest.raises(ValueError, match="not one of the schedules of revgrad"):
        type("Linear", (Linear,), {})().to_dict()


def test_a_callable_receives_floats_for_a_number():
    seen = []
    schedule = lambda p: seen.append(repr(p)) or 0.5
    assert Delayed(schedule, until=0.5)(np.float32(0.75)) == 0.5
    assert Sequential([schedule, schedule], [0.5])(0.25) == 0.5
    assert seen == ["0.5", "0.5", "0.0"]


@pytest.mark.parametrize("lam", [-0.5, math.nan, True, "1", None, Dann()], ids=label)
def test_the_result_of_a_callable_is_validated(lam):
    schedule = Delayed(lambda p: lam, until=0.2)
    name = r"^The schedule test_schedules\.\w+\.<locals>\.<lambda> at"
    for p, at in ((0.6, r"p = 0\.(5|49999\d*)"), (np.array([0.6, 0.7]), "an array of p")):
        with pytest.raises(revgrad.InvalidLambdaError, match=f"{name} {at}: λ must be"):
            schedule(p)


@given(st.integers(-10, 10**6), st.integers(1, 10**6))
def test_progress_is_the_clipped_quotient(step, total):
    found = {progress(step, total), progress(float(step), total)}
    assert {*found, *progress(np.array([step]), np.int32(total))} == {min(max(step / total, 0), 1)}


def test_progress_of_arrays():
    steps = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(progress(steps, 4), [[0, 0.25, 0.5], [0.75, 1, 1]])
    assert [progress(steps.astype(each), 4).dtype for each in "qf"] == ["float64", "float32"]


def test_progress_of_numbers_that_no_float_holds():
    huge = 10**400
    steps = [3, 5, huge, huge, -huge, 5, 0.5, math.inf, fractions.Fraction(1, 2)]
    ps = list(map(progress, steps, [huge, huge, 3, huge, 3, 10, huge, huge, huge]))
    assert ps == [0.0, 0.0, 1.0, 1.0, 0.0, 0.5, pytest.approx(0), 1.0, pytest.approx(0)]
    assert progress(huge, 2 * huge) == 0.5 and {type(p) for p in ps} == {float}
    np.testing.assert_allclose(progress(np.array([5, math.inf]), huge), [0, 1], atol=1e-300)


def called_with_a_step(p):
    return Linear()(p)


def test_a_step_in_place_of_progress_warns_once_where_it_is_passed():
    steps = 2, 500, np.float32(2), math.inf, 10**400, np.array([[0.5, 2]]), np.array(3, "int8")
    for step in steps:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            for _ in range(2):
                assert np.max(called_with_a_step(step)) == called_with_a_step(9) == 1.0
                Delayed(Dann(), until=0.1)(step)
        assert len(caught) == 2
        assert str(caught[0].message) == (
            "Linear(start=0.0, end=1.0) was called with p >= 2. Progress ends at 1, so λ is that "
            "of p = 1. If p is a step, call schedule(progress(step, total_steps))."
        )
        line = called_with_a_step.__code__.co_firstlineno + 1
        assert (caught[0].filename, caught[0].lineno) == (__file__, line)


@pytest.mark.filterwarnings("error")
def test_what_may_exceed_1_does_not_warn():
    for p in (1.99, -5, np.array([1.5]), np.array([]), np.ma.masked_greater([0.5, 3], 1)):
        Dann()(p)
    assert Dann()(progress(300, 5)) == Dann()(progress(np.arange(300), 5))[-1] == Dann()(1)


def test_public_names_are_those_of_the_package_also_in_pickles():
    for name in schedules.__all__:
        assert getattr(schedules, name).__module__ == "revgrad.schedules"
    for each in (*EXAMPLES, *OWN, progress, from_dict):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            pickled = pickle.dumps(each, protocol)
            assert b"revgrad.schedules" in pickled and b"revgrad.schedules._" not in pickled


def test_annotations_resolve_though_the_classes_name_another_module():
    for cls in {type(schedule) for schedule in EXAMPLES}:
        assert set(cls.__dataclass_fields__) <= set(typing.get_type_hints(cls))


# As 0.1.0 writes them: they stay readable. First those of the defaults.
WRITTEN_BY_0_1_0 = r"""
{"kind": "Dann", "gamma": 10.0, "low": 0.0, "high": 1.0}
{"kind": "Linear", "start": 0.0, "end": 1.0}
{"kind": "Cosine", "start": 0.0, "end": 1.0}
{"kind": "Polynomial", "start": 0.0, "end": 1.0, "power": 2.0}
{"kind": "InverseDecay", "initial": 0.01, "alpha": 10.0, "beta": 0.75}
{"kind": "Delayed", "schedule": {"kind": "Linear", "start": 0.0, "end": 1.0}, "until": 0.1, "hold": 0.0}
{"kind": "Constant", "value": 0.3}
{"kind": "Exponential", "start": 1.0, "end": 0.1}
{"kind": "Piecewise", "points": [[0.2, 0.0], [0.4, 1.0]]}
{"kind": "Sequential", "schedules": [{"kind": "Constant", "value": 0.0}, {"kind": "Constant", "value": 1.0}], "boundaries": [0.5]}
{"kind": "Scaled", "schedule": {"kind": "Constant", "value": 1.0}, "scale": 0.5}
"""


def test_what_0_1_0_wrote_is_read_and_the_defaults_are_as_then():
    plain = [json.loads(line) for line in WRITTEN_BY_0_1_0.split("\n") if line]
    assert [from_dict(each).to_dict() for each in plain] == plain
    assert {each["kind"] for each in plain} == set(schedules._base.KINDS)
    defaults = [Dann(), Linear(), Cosine(), Polynomial(), InverseDecay(), Delayed(Linear(), 0.1)]
    assert [each.to_dict() for each in defaults] == plain[:6]
    assert from_dict({"kind": "Dann"}) == Dann()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: {"kind": "Scaled", "scale": 1, "schedule": inner},
        lambda inner: {"kind": "Sequential", "schedules": [inner], "boundaries": []},
    ],
)
def test_100_schedules_may_contain_one_another(wrap):
    plain = {"kind": "Constant", "value": 0.5}
    for _ in range(99):
        plain = wrap(plain)
    assert from_dict(plain)(0.3) == 0.5
    with pytest.raises(ValueError, match="more than 100 schedules contain one another"):
        from_dict(wrap(plain))
