"""Schedules: range, monotonicity, accuracy, round trips, names, warnings and errors."""

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


@st.composite
def ramps(draw):
    """Draw a schedule of one formula, its bounds, and the sign of its slope."""
    start, end = draw(LAMS), draw(LAMS)
    kind = draw(
        st.sampled_from(["constant", "dann", "line", "cosine", "power", "exponential", "decay"])
    )
    if kind == "constant":
        return Constant(start), start, start, 0
    if kind == "dann":
        low, high = sorted([start, end])
        return Dann(draw(POSITIVE), low, high), low, high, 1
    if kind == "decay":
        schedule = InverseDecay(start, draw(POSITIVE), draw(st.floats(0, 20)))
        return schedule, 0.0, start, -1
    if kind == "exponential":
        start, end = draw(POSITIVE), draw(POSITIVE)
        schedule = Exponential(start, end)
    elif kind == "power":
        schedule = Polynomial(start, end, draw(st.floats(0.01, 100)))
    else:
        schedule = {"line": Linear, "cosine": Cosine}[kind](start, end)
    return schedule, min(start, end), max(start, end), (start < end) - (start > end)


@st.composite
def joined(draw, parts):
    """Draw a schedule that is composed of others, and its bounds."""
    kind = draw(st.sampled_from(["delayed", "sequential", "scaled", "points"]))
    if kind == "points":
        ps = sorted(draw(st.sets(PS, min_size=1, max_size=5)))
        lams = [draw(LAMS) for _ in ps]
        return Piecewise(list(zip(ps, lams))), min(lams), max(lams)
    schedule, low, high = draw(parts)[:3]
    if kind == "scaled":
        scale = draw(LAMS)
        return scale * schedule, scale * low, scale * high
    if kind == "delayed":
        hold = draw(LAMS)
        until = draw(st.floats(0, 1, exclude_max=True))
        return Delayed(schedule, until, hold), min(low, hold), max(high, hold)
    inside = st.floats(0, 1, exclude_min=True, exclude_max=True)
    boundaries = sorted(draw(st.sets(inside, max_size=3)))
    others = [draw(parts)[:3] for _ in boundaries]
    return (
        Sequential([schedule, *(other[0] for other in others)], boundaries),
        min([low, *(other[1] for other in others)]),
        max([high, *(other[2] for other in others)]),
    )


ANY = st.recursive(ramps(), joined, max_leaves=5)


@IGNORE_STEPS
@given(ANY, st.one_of(PS, st.floats(allow_nan=False)))
def test_the_range_is_kept(drawn, p):
    schedule, low, high = drawn[:3]
    lam = schedule(p)
    assert type(lam) is float
    assert low <= lam <= high


@given(ramps(), PS, PS)
def test_a_ramp_is_monotone(drawn, p, q):
    schedule, low, high, direction = drawn
    before, after = schedule(min(p, q)), schedule(max(p, q))
    # tanh, cos, exp and powers are accurate to a few units in the last place.
    slack = 0.0 if isinstance(schedule, (Constant, Linear)) else 1e-14 * high
    assert direction * (after - before) >= -slack


@given(ANY)
def test_dict_pickle_and_repr_round_trips(drawn):
    schedule = drawn[0]
    plain = schedule.to_dict()
    for again in (
        from_dict(plain),
        from_dict(json.loads(json.dumps(plain))),
        pickle.loads(pickle.dumps(schedule)),
        eval(repr(schedule), vars(schedules)),
    ):
        assert again == schedule
        assert hash(again) == hash(schedule)
        assert repr(again) == repr(schedule)


@given(ANY, st.lists(PS, max_size=20))
def test_an_array_agrees_with_a_loop_over_numbers(drawn, ps):
    schedule, _, high = drawn[:3]
    lams = schedule(np.array(ps, dtype=float))
    assert lams.shape == (len(ps),)
    # NumPy's SIMD loops may differ from its scalar loops in the last place.
    np.testing.assert_allclose(lams, [schedule(p) for p in ps], rtol=1e-13, atol=1e-13 * high)


@IGNORE_STEPS
@pytest.mark.parametrize("schedule", EXAMPLES, ids=label)
def test_p_is_clipped_and_a_schedule_is_pure(schedule):
    for p in (-1, -math.inf, -0.0, -(10**400)):
        assert schedule(p) == schedule(0)
    for p in (1.5, math.inf, 10**400):
        assert schedule(p) == schedule(1)
    assert not math.copysign(1, schedule(-0.0)) < 0
    assert schedule(0.3) == schedule(0.3)


@pytest.mark.parametrize("schedule", [*EXAMPLES, *OWN], ids=label)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 1, 2)], ids=str)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble", "int8", "uint64"])
def test_arrays_keep_their_shape_and_floating_dtype(schedule, shape, dtype):
    ps = np.linspace(0, 1, int(np.prod(shape))).reshape(shape).astype(dtype)
    lams = schedule(ps)
    assert isinstance(lams, np.ndarray)
    assert lams.shape == shape
    assert lams.dtype == (dtype if ps.dtype.kind == "f" else "float64")
    expected = np.array([schedule(float(p)) for p in ps.flat], lams.dtype).reshape(shape)
    units = 4 * max(np.finfo(lams.dtype).eps, np.finfo(float).eps)
    np.testing.assert_allclose(lams, expected, rtol=float(units), atol=float(units))


@pytest.mark.parametrize(
    "p", [np.float64(0.25), np.float32(0.25), np.float16(0.25), fractions.Fraction(1, 4)], ids=label
)
def test_a_number_of_any_kind_gives_a_float(p):
    assert type(Linear()(p)) is float
    assert Linear()(p) == 0.25
    assert Linear()(np.int8(1)) == Linear()(1) == 1.0


# Before 1.22 NumPy used the tanh of the C library, which is accurate to 2 units already.
ULPS = 2 if np.lib.NumpyVersion(np.__version__) >= "1.22.0" else 3


@given(
    st.one_of(st.just(10.0), st.floats(0.01, 1e3)),
    st.one_of(PS, st.floats(-300, 0).map(lambda x: 10**x)),
)
def test_dann_is_accurate_to_two_units_in_the_last_place(gamma, p):
    with mpmath.workprec(200):
        exact = mpmath.tanh(mpmath.mpf(gamma) * mpmath.mpf(p) / 2)
        error = abs(mpmath.mpf(Dann(gamma)(p)) - exact)
        assert error <= ULPS * mpmath.mpf(float(np.spacing(float(exact))))


def test_the_form_of_the_papers_would_be_less_accurate():
    p = 1e-9  # otherwise the test above would prove nothing
    assert abs((2 / (1 + math.exp(-10 * p)) - 1) / 5e-9 - 1) > 1e-9
    assert Dann()(p) == 5e-9


def test_values_computed_by_hand():
    assert Dann(low=1, high=3)(0) == 1.0
    assert Dann(gamma=math.log(3))(1) == pytest.approx(0.5, rel=1e-15)  # 2/(1 + 1/3) - 1
    assert Cosine(1, 0)(0.25) == pytest.approx((1 + math.sqrt(0.5)) / 2, rel=1e-15)
    assert Exponential(4, 1)(0.5) == pytest.approx(2, rel=1e-15)
    assert Polynomial(1, 2, power=3)(0.5) == 1.125
    assert InverseDecay(1, alpha=15, beta=0.5)(1) == 0.25
    hill = Piecewise([(0.25, 1), (0.5, 3)])
    assert [hill(p) for p in (0, 0.25, 0.375, 0.5, 1)] == [1, 1, 2, 3, 3]
    late = Delayed(Linear(1, 2), until=0.5)
    assert [late(p) for p in (0.4999, 0.5, 0.75, 1)] == [0, 1, 1.5, 2]
    steps = Sequential([Constant(1), Linear(2, 4)], [0.5])
    assert [steps(p) for p in (0, 0.4999, 0.5, 0.75, 1)] == [1, 1, 2, 3, 4]
    assert (2 * Linear())(0.25) == (Linear() * 2)(0.25) == 0.5


@given(st.integers(2, 10**5).flatmap(lambda n: st.tuples(st.integers(1, n - 1), st.just(n))))
def test_rounding_does_not_move_a_jump_to_another_step(k_of_n):
    k, n = k_of_n
    for boundary in (k / n, k * (1 / n), np.nextafter(k / n, 1), float(np.float32(k / n))):
        for schedule in (
            Sequential([Constant(1), Constant(2)], [boundary]),
            Delayed(Constant(2), until=boundary, hold=1),
        ):
            for p in (k / n, k * (1 / n), float(np.float32(k / n))):
                assert schedule(p) == 2
            assert schedule((k - 1) / n) == 1


@given(LAMS, LAMS, POSITIVE)
def test_both_ends_are_exact(start, end, power):
    for schedule in (Linear(start, end), Cosine(start, end), Polynomial(start, end, power)):
        assert (schedule(0), schedule(1)) == (start, end)
    schedule = Exponential(start + 1e-6, end + 1e-6)
    assert (schedule(0), schedule(1)) == (start + 1e-6, end + 1e-6)


@pytest.mark.parametrize("schedule", EXAMPLES[:2] + OWN[:1], ids=label)
@pytest.mark.parametrize(
    "p, words",
    [
        (math.nan, "got nan (float). Check the code that computed it."),
        (np.float32("nan"), "Check the code that computed it."),
        (np.array([[0, 1], [math.nan, 0]]), "It is nan at index (1, 0) of shape (2, 2)."),
        (True, "got True (bool). Convert it with float()"),
        (np.bool_(True), "Convert it"),
        ("0.5", "got '0.5' (str)"),
        (None, "got None"),
        ([0.1, 0.2], "got [0.1, 0.2] (list). Convert it with float() or numpy.asarray() first."),
        (1j, "got 1j (complex)"),
        (np.array([True]), "Its dtype is bool: cast it"),
        (np.array([1j]), "Its dtype is complex128"),
        (np.array(["a"]), "Its dtype is <U1"),
        (revgrad.LambdaVariable(0.5), "got LambdaVariable(0.5)"),
        (object(), "No backend claims its type."),
        (Dann(), "No backend claims its type."),
    ],
    ids=lambda value: None if isinstance(value, str) else type(value).__name__,
)
def test_invalid_progress_is_rejected(schedule, p, words):
    with pytest.raises(ValueError) as caught:
        schedule(p)
    assert str(caught.value).startswith("p must be a real number, a NumPy array or an in-graph")
    assert words in str(caught.value)
    with pytest.raises(ValueError, match="^step must be a real number"):
        progress(p, 10)


NUMBERS = "must be a finite number"


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Constant(-1), f"Constant: value {NUMBERS} >= 0; got -1 (int)."),
        (lambda: Constant(math.nan), f"Constant: value {NUMBERS}"),
        (lambda: Constant(10**400), f"Constant: value {NUMBERS}"),
        (lambda: Constant(True), "got True (bool)"),
        (lambda: Constant("0.3"), "got '0.3' (str)"),
        (lambda: Constant(None), "got None (NoneType)"),
        (lambda: Constant(np.ones(3)), "got array([1., 1., 1.]) (ndarray)"),
        (lambda: Dann(gamma=0), f"Dann: gamma {NUMBERS} > 0; got 0 (int)."),
        (lambda: Dann(gamma=-10), f"Dann: gamma {NUMBERS} > 0; got -10 (int)."),
        (lambda: Dann(gamma=math.inf), f"Dann: gamma {NUMBERS}"),
        (lambda: Dann(low=-0.1), f"Dann: low {NUMBERS} >= 0"),
        (lambda: Dann(low=1, high=0.5), "high must be at least low; got low=1.0, high=0.5. For a"),
        (lambda: Linear(end=-1), f"Linear: end {NUMBERS} >= 0; got -1 (int)."),
        (lambda: Cosine(start=math.inf), f"Cosine: start {NUMBERS}"),
        (lambda: Exponential(0, 1), f"Exponential: start {NUMBERS} > 0; got 0 (int)."),
        (lambda: Exponential(1, -1), f"Exponential: end {NUMBERS} > 0"),
        (lambda: Polynomial(power=0), f"Polynomial: power {NUMBERS} > 0"),
        (lambda: InverseDecay(beta=-0.75), f"InverseDecay: beta {NUMBERS} >= 0"),
        (lambda: InverseDecay(alpha=-1), f"InverseDecay: alpha {NUMBERS} >= 0"),
        (lambda: Piecewise([]), "points must contain at least one pair (p, λ)"),
        (lambda: Piecewise(3), "Piecewise: points must be a sequence; got 3 (int)."),
        (lambda: Piecewise("ab"), "Piecewise: points must be a sequence"),
        (lambda: Piecewise([0.5]), "Piecewise: points[0] must be a sequence"),
        (lambda: Piecewise([(0, 1, 2)]), "points[0] must be a pair (p, λ); got (0, 1, 2)."),
        (lambda: Piecewise([(0, 1), (2, 1)]), "p of points[1] must be a finite number >= 0 and <="),
        (lambda: Piecewise([(0, -1)]), f"λ of points[0] {NUMBERS} >= 0; got -1"),
        (lambda: Piecewise([(0.5, 1), (0.2, 1)]), "must increase strictly; got 0.2 after 0.5."),
        (lambda: Piecewise([(0.5, 1), (0.5, 2)]), "the p of points must increase strictly"),
        (
            lambda: Delayed(Dann(), 1),
            "until must be a progress in [0, 1); got 1.0, which leaves no",
        ),
        (lambda: Delayed(Dann(), -0.1), f"Delayed: until {NUMBERS}"),
        (lambda: Delayed(Dann(), 0.1, hold=-1), f"Delayed: hold {NUMBERS}"),
        (lambda: Delayed(0.3, 0.1), "got 0.3 (float). For a constant λ pass Constant(0.3)."),
        (lambda: Delayed(Dann, 0.1), "This is a class: call it, as in Dann(...)."),
        (lambda: Delayed(None, 0.1), "Delayed: schedule must be a schedule or a callable p -> λ"),
        (lambda: Sequential([Dann(), 1], [0.5]), "Sequential: schedules[1] must be a schedule"),
        (lambda: Sequential(Dann(), []), "Sequential: schedules must be a sequence"),
        (lambda: Sequential([], []), "got 0 for 0 schedules."),
        (lambda: Sequential([Dann(), Dann()], []), "one fewer than schedules; got 0 for 2"),
        (lambda: Sequential([Dann()] * 2, [0]), "boundaries[0] must be a finite number > 0"),
        (lambda: Sequential([Dann()] * 2, [1]), "must increase strictly; got 1.0 after 1.0."),
        (lambda: Sequential([Dann()] * 3, [0.6, 0.4]), "must increase strictly; got 0.4 after 0.6"),
        (lambda: Sequential([Dann()] * 3, [0.6, 0.6]), "boundaries must increase strictly"),
        (lambda: Dann() * -1, f"Scaled: scale {NUMBERS} >= 0; got -1 (int)."),
        (lambda: True * Dann(), f"Scaled: scale {NUMBERS} >= 0; got True (bool)."),
        (lambda: Scaled(1, Dann()), "Scaled: schedule must be a schedule"),
    ],
)
def test_invalid_arguments_are_rejected_by_name(make, words):
    with pytest.raises(ValueError) as caught:
        make()
    assert words in str(caught.value)


def test_arguments_are_stored_as_plain_floats():
    schedule = Dann(np.float32(5), fractions.Fraction(1, 2), high=np.int64(2))
    assert repr(schedule) == "Dann(gamma=5.0, low=0.5, high=2.0)"
    assert schedule == Dann(5, 0.5, 2)
    assert repr(Constant(-0.0)) == "Constant(value=0.0)"
    assert repr(Piecewise([[0, 1], (np.float64(1), 2)])) == (
        "Piecewise(points=((0.0, 1.0), (1.0, 2.0)))"
    )
    with pytest.raises(AttributeError):
        schedule.gamma = 3


def test_only_a_number_scales():
    assert np.float64(2) * Dann() == Dann() * 2 == Scaled(Dann(), 2.0)
    for scale in ("2", None, [2], np.ones(2), Dann()):
        with pytest.raises(TypeError):
            scale * Dann()


def test_schedules_of_different_classes_differ():
    assert Linear(0.1, 0.7) != Cosine(0.1, 0.7)
    assert len({*EXAMPLES, *EXAMPLES}) == len(EXAMPLES)


@pytest.mark.parametrize(
    "plain, words",
    [
        ({"kind": "INVERSE-DECAY"}, "Did you mean 'InverseDecay'? Known schedules: Constant, Cos"),
        ({"kind": ["Dann"]}, "Unknown schedule ['Dann']"),
        ({"kind": "Schedule"}, "Unknown schedule 'Schedule'"),
        ({"gamma": 10}, "has the name of its class under 'kind'"),
        ({"kind": "Dann", "alpha": 1}, "argument 'alpha'. Its arguments: gamma, low, high."),
        ({"kind": "Linear", 1: 2}, "keywords must be strings. Its arguments: start, end."),
        ({"kind": "Constant"}, "Constant: missing a required argument: 'value'. Its arguments: v"),
        ({"kind": "Exponential", "low": 1, "end": 1}, "missing a required argument: 'start'. Its"),
        ({"kind": "Dann", "gamma": "10"}, "Dann: gamma must be a finite number > 0; got '10'"),
        (
            {"kind": "Delayed", "schedule": {"kind": "Dan"}, "until": 0.1},
            "Unknown schedule 'Dan'. Did you mean 'Dann'?",
        ),
        ({"kind": "Scaled", "schedule": "Dann", "scale": 1}, "schedule must be a schedule or"),
    ],
)
def test_an_invalid_dict_is_rejected(plain, words):
    with pytest.raises(ValueError) as caught:
        from_dict(plain)
    assert words in str(caught.value)


def test_arguments_with_a_default_may_be_left_out_of_a_dict():
    assert from_dict({"kind": "Dann"}) == Dann()
    points = {"kind": "Piecewise", "points": [[0, 1], [1, 0]]}
    assert from_dict(points) == Piecewise([(0, 1), (1, 0)])


@pytest.mark.parametrize("schedule", OWN[:2], ids=label)
def test_a_callable_works_wherever_a_schedule_does_except_in_a_dict(schedule):
    assert schedule(1.0) == 0.0
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    with pytest.raises(ValueError, match="schedule_examples.parabola cannot be written as a dict"):
        schedule.to_dict()
    assert Delayed(parabola, 0.5)(0.75) == Scaled(parabola, 1)(0.5) == 1.0
    with pytest.raises(ValueError, match="not one of the schedules of revgrad"):
        Own().to_dict()


class Own(schedules.Schedule):
    """A subclass of a user."""

    def _curve(self, p, xp, number):
        return p * p


def test_a_callable_receives_floats_for_a_number():
    seen = []

    def schedule(p):
        seen.append(p)
        return 0.5

    assert Delayed(schedule, until=0.5)(np.float32(0.75)) == 0.5
    assert Sequential([schedule, schedule], [0.5])(0.25) == 0.5
    assert seen == [0.5, 0.5, 0.0]
    assert all(type(p) is float for p in seen)


@pytest.mark.parametrize("lam", [-0.5, math.nan, True, "1", None, np.ones(2), Dann()], ids=label)
def test_the_result_of_a_callable_is_validated(lam):
    with pytest.raises(revgrad.InvalidLambdaError) as caught:
        Delayed(lambda p: lam, until=0.2)(0.6)
    words = (
        r"The schedule test_schedules\.\w+\.<locals>\.<lambda> at p = 0\.(5|49999\d*): λ must be"
    )
    assert re.match(words, str(caught.value))
    if not isinstance(lam, np.ndarray):
        with pytest.raises(revgrad.InvalidLambdaError, match="at an array of p"):
            Delayed(lambda p: lam, until=0.2)(np.array([0.6, 0.7]))


@given(st.integers(-10, 10**6), st.integers(1, 10**6))
def test_progress_is_the_clipped_quotient(step, total):
    expected = min(max(step / total, 0.0), 1.0)
    assert progress(step, total) == expected
    assert progress(np.array([step]), np.int32(total))[0] == expected
    assert progress(float(step), total) == expected


def test_progress_of_arrays():
    steps = np.arange(6).reshape(2, 3)
    assert progress(steps, 4).dtype == "float64"
    np.testing.assert_array_equal(progress(steps, 4), [[0, 0.25, 0.5], [0.75, 1, 1]])
    assert progress(steps.astype("float32"), 4).dtype == "float32"


def test_progress_of_numbers_that_no_float_holds():
    huge = 10**400
    steps = [3, 5, huge, huge, -huge, 5, 0.5, math.inf, fractions.Fraction(1, 2)]
    totals = [huge, huge, 3, huge, 3, 10, huge, huge, huge]
    ps = [progress(step, total) for step, total in zip(steps, totals)]
    assert ps == [0.0, 0.0, 1.0, 1.0, 0.0, 0.5, pytest.approx(0), 1.0, pytest.approx(0)]
    assert progress(huge, 2 * huge) == 0.5 and {type(p) for p in ps} == {float}
    np.testing.assert_allclose(progress(np.array([5, math.inf]), huge), [0, 1], atol=1e-300)


def called_with_a_step(p):
    return Linear()(p)


@pytest.mark.parametrize(
    "p",
    [2, 500, np.float32(2), math.inf, 10**400, np.array([[0.5, 2]]), np.array(3, "int8")],
    ids=lambda p: type(p).__name__,
)
def test_a_step_in_place_of_progress_warns_where_it_is_passed(p):
    with pytest.warns(UserWarning) as caught:
        lam = called_with_a_step(p)
    assert np.max(lam) == 1.0
    (warning,) = caught
    assert str(warning.message) == (
        "Linear(start=0.0, end=1.0) was called with p >= 2. Progress ends at 1, so λ is that of "
        "p = 1. If p is a step, call schedule(progress(step, total_steps))."
    )
    line = called_with_a_step.__code__.co_firstlineno + 1
    assert (warning.filename, warning.lineno) == (__file__, line)


def test_a_step_in_place_of_progress_warns_once_for_each_line():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for step in range(100):
            called_with_a_step(step)
            Delayed(Dann(), until=0.1)(step)
    assert len(caught) == 2


def test_what_may_exceed_1_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for p in (1.99, -5, np.array([1.5]), np.array([]), np.ma.masked_greater([0.5, 3], 1)):
            Dann()(p)
        assert progress(300, 5) == 1.0
        assert Dann()(progress(np.arange(300), 5))[-1] == Dann()(1)


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


def test_the_defaults_are_those_of_the_papers_and_the_docs():
    assert Dann() == Dann(gamma=10, low=0, high=1)
    assert Linear() == Linear(start=0, end=1)
    assert Cosine() == Cosine(start=0, end=1)
    assert Polynomial() == Polynomial(start=0, end=1, power=2)
    assert InverseDecay() == InverseDecay(initial=0.01, alpha=10, beta=0.75)
    assert Delayed(Dann(), 0.1) == Delayed(schedule=Dann(), until=0.1, hold=0)


def test_the_names_are_those_of_the_module_that_they_are_imported_from():
    for name in schedules.__all__:
        assert getattr(schedules, name).__module__ in ("revgrad", "revgrad.schedules"), name


# As 0.1.0 writes them: they stay readable.
WRITTEN_BY_0_1_0 = r"""
{"kind": "Constant", "value": 0.3}
{"kind": "Dann", "gamma": 10.0, "low": 0.0, "high": 1.0}
{"kind": "Linear", "start": 0.0, "end": 1.0}
{"kind": "Cosine", "start": 0.0, "end": 1.0}
{"kind": "Exponential", "start": 1.0, "end": 0.1}
{"kind": "Polynomial", "start": 0.0, "end": 1.0, "power": 2.0}
{"kind": "InverseDecay", "initial": 0.01, "alpha": 10.0, "beta": 0.75}
{"kind": "Piecewise", "points": [[0.2, 0.0], [0.4, 1.0]]}
{"kind": "Delayed", "schedule": {"kind": "Linear", "start": 0.0, "end": 1.0}, "until": 0.1, "hold": 0.0}
{"kind": "Sequential", "schedules": [{"kind": "Constant", "value": 0.0}, {"kind": "Constant", "value": 1.0}], "boundaries": [0.5]}
{"kind": "Scaled", "schedule": {"kind": "Constant", "value": 1.0}, "scale": 0.5}
"""


def test_what_0_1_0_wrote_is_read():
    plain = [json.loads(line) for line in WRITTEN_BY_0_1_0.split("\n") if line]
    assert [from_dict(each).to_dict() for each in plain] == plain
    assert {each["kind"] for each in plain} == set(schedules._base.KINDS)
    state = {"steps": 3, "total_steps": 4, "schedule": plain[2], "value": 0.75}
    scheduler = revgrad.LambdaScheduler(revgrad.LambdaVariable(), Linear(), 4)
    scheduler.load_state_dict(state)
    assert scheduler.state_dict() == state and scheduler.variable.value == 0.75
