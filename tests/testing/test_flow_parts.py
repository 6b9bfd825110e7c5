"""The parts of check_flow: points, slopes, diagnosis and report."""

import types

import numpy as np
import pytest

from revgrad.testing import flow
from revgrad.testing.flow import _slopes
from revgrad.testing.flow._diagnosis import Finding, diagnose
from revgrad.testing.flow._domain_loss import Program, check_arguments
from revgrad.testing.flow._report import _filled, report
from revgrad.testing.flow._slopes import LARGEST, RATIO, Measured, Slope

FEATURES = np.ones((8, 4))
LAM = 0.3


# --- points ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kinds, result, moved",  # at the given point and two nearby; which of them is the result
    [
        ("right cut cut", 0, 0),
        ("undecided/unsteady right right", 0, 0),
        ("undecided right cut", 1, 1),
        ("undecided cut right", 2, 1),
        ("undecided/borders cut sign", 0, 0),
        ("flat nonfinite cut", 0, 0),
        ("cut cut right", 1, 0),
        ("cut right cut", 2, 0),
        ("cut sign right", None, 0),
        ("cut nonfinite nonfinite", None, 0),
        ("mixed mixed cut", None, 0),
        ("mixed mixed mixed", 2, 0),
    ],
)
def test_points_nearby(kinds, result, moved, monkeypatch):
    pairs = [each.partition("/") for each in kinds.split()]
    found = [Finding(kind, detail=detail) for kind, _, detail in pairs]
    program, rest = types.SimpleNamespace(x=FEATURES), iter(found)
    monkeypatch.setattr(flow, "_at", lambda *_: next(rest))
    finding = flow._look(program, LAM)
    if result is None:
        assert finding == Finding("undecided", detail="kinks")
    else:
        assert finding is found[result]
    assert (program.x is not FEATURES) == moved


@pytest.mark.parametrize(
    "kind, rows, given",
    [
        ("undecided/borders", [], {}),
        # Slopes with an error that leaves all open. The first row is the best known.
        ("flat", [(0, 0, 0)], {"gradient": [0], "flat": True}),
        ("unseen/kinks", [(1, 1, 0.2)], {}),
        ("unseen/digits", [(1, 1, 0.2, True), (1, 1, 0.2)], {}),
        ("undecided/kinks", [(1, 0.5, 2)], {}),
        # What is as good as nothing, beside the smallest that may arrive.
        ("right/the loss has", [(1, 0, 0)], {"gradient": [0], "lam": 0.0}),
        ("cut/the loss has", [(1, 0, 5e-5)], {}),
        ("other", [(0.1, 0, 5e-5)], {}),
        # A slope with a large error is left out, unless most are.
        ("right", [(1, 0, -0.3), (0.01, 0.2, 0.9)], {}),
        ("undecided/kinks", [(1, 0, -0.3), *[(0.01, 0.2, 0.9)] * 2], {}),
        ("right", [(1, 0.0185 / 3, -0.3)], {"dtype": "float32"}),
        ("undecided/kinks", [(1, 0.007, -0.3)], {"dtype": "float32"}),
        # What automatic differentiation rounds.
        ("right", [(1, 0, -0.30000015)], {}),
        ("scale", [(1, 0, -0.303)], {}),
        ("scale", [(1, 0, -0.303)], {"dtype": "float32"}),
        ("scale", [(0.1, 0, -0.0011)], {"dtype": "float32", "lam": 0.01}),
        ("mixed/by direction", [(0.1, 0, -0.0011), (0.1, 0, -0.005)], {"dtype": "float32"}),
        # How much could arrive where nothing does, and how wrong the worst direction is.
        ("right", [(10, 0, -3), (0, 0.01, 0, False, 50.0)], {}),
        ("undecided/kinks", [(10, 0, -3), (0, 0.01, 0, False, 110.0)], {}),
        ("undecided/kinks", [(1, 0, -0.37), (1, 0.09, -0.3)], {}),
        ("undecided/kinks", [(1, 0.006, -0.308)], {}),
        ("scale", [(1, 0, 0.5)], {"parameter": True}),
    ],
)
def test_slopes(kind, rows, given):
    given = {"gradient": [1], "lam": LAM, "dtype": "float64", "parameter": False, **given}
    slopes = [Slope(*row, *(False, 0.0)[len(row) - 3 :]) for row in rows]
    measured = Measured(slopes, False, given.get("flat", False), False, True)
    gradient = np.array(given["gradient"], given["dtype"])
    finding = diagnose(measured, gradient, given["lam"], given["parameter"])
    assert f"{finding.kind}/{finding.detail}".startswith(kind), finding
    if finding.ratio:
        assert finding.ratio == rows[0][2] / rows[0][0]


# --- slopes ---------------------------------------------------------------------------------------

ONE = np.ones(1)


@pytest.mark.parametrize("x, spread", [([1, 3], 1), ([2, 2], 2), ([0, 0], 1)])
def test_steps(x, spread):
    x = np.array(x, "float64")
    steps = np.array(_slopes._steps(x))
    np.testing.assert_allclose(steps[:-1], RATIO * steps[1:])
    assert steps[0] == LARGEST * spread and steps[-1] / RATIO < 2**-26 * spread <= steps[-1]
    assert len(_slopes._steps(np.array([1000, 1002], "float16"))) == 5


def test_points_lie_within_half_a_spread_on_both_sides():
    x = np.array([[10.0, 20.0], [30.0, 40.0]])
    moved = [(each - x) / x.std() for each in _slopes.nearby(x)]
    assert np.shape(moved) == (2, 2, 2) and 0.25 < np.abs(moved).max() <= 0.5
    assert np.min(moved) < 0 < np.max(moved) and np.all(moved[0] != moved[1])


def test_directions():
    x, g = np.ones((4, 2)), np.arange(2.0, 10).reshape(4, 2)
    found = lambda g, parts: [each / 1.0 for each in _slopes._directions(x, g, parts)]
    assert np.shape(found(0 * g, True)) == (3, 4, 2) and np.shape(found(g, False)) == (2, 4, 2)
    _, _, drawn, *halves = found(g, True)
    assert 0 < np.count_nonzero(drawn) < 8
    rows, columns = np.arange(8).reshape(4, 2) < 4, x * [1, 0]
    np.testing.assert_equal(halves, [g * rows, g * ~rows, g * columns, g * (1 - columns)])
    *_, left, right, first, second = found(g * ~rows, True)
    np.testing.assert_equal(left + right, g * ~rows)
    for each in first, second:
        assert np.isfinite(each).all() and ((each != 0) == rows).all()
    assert len(found(g * ~rows, True)) == 8  # the first rows are left out
    assert len(list(_slopes._directions(ONE, ONE, True))) == 2


@pytest.mark.parametrize("v, g, reach", [([1, 1, 0], [0, 0, 5], 2), ([1, 0, 0], [3, 0, 0], 0)])
def test_reach_is_that_of_a_direction_along_which_nothing_arrives(v, g, reach):
    line = lambda g: _slopes._Line(np.sum, np.ones(3), np.array(v), np.array(g), 3.0)
    assert line(g).reach == pytest.approx(reach**0.5) and line([0, 0, 0]).reach == 0


@pytest.mark.parametrize("x", [[1000, 1002], [6e4, 3e4]])
def test_steps_that_do_not_move_or_overflow_are_left_out(x):
    x = np.array(x, "float16")
    lengths = _slopes._Line(lambda _: 0.0, x, ONE, ONE, 0.0).lengths
    assert lengths.min() > 0 and lengths.max() < np.inf


def line_of(slopes, bends, lengths=(81, 27, 9, 3, 1)):
    line, lengths = object.__new__(_slopes._Line), np.array(lengths[: len(slopes)])
    line.lengths, line.losses = lengths, np.array([slopes * lengths, 0 * lengths])
    line.seconds, line.arrived, line.reach = bends * lengths / 2, 10.0 + np.arange(5), 7.0
    return line


@pytest.mark.parametrize(
    "slopes, bends, noise, expected",
    [
        ([1, 2, 2.5, 2.6, 3.5], 5 * [0], 0.9, Slope(2.5, 0.7, 12.0, False, 7.0)),
        (5 * [2], [8, 2, 1, 1, 5], 0.0, Slope(2.0, 0.25, 12.0, False, 7.0)),
        ([2, 1, 1, 1, 2], 5 * [0], 0.0, Slope(1.0, 0.0, 12.0, False, 7.0)),
        (5 * [2], 5 * [0], 27.0, Slope(2.0, 2.0, 11.0, True, 7.0)),
        (3 * [2], 3 * [0], 27.0, Slope(2.0, 2.0, 11.0, True, 7.0)),
        (2 * [2], 2 * [0], 27.0, None),
    ],
)
def test_the_slope_with_the_smallest_error(slopes, bends, noise, expected):
    assert line_of(np.array(slopes), np.array(bends)).slope(noise) == expected


def test_rounding_is_what_does_not_shrink_as_a_curvature():
    line = line_of(np.ones(5), np.zeros(5))
    line.seconds = np.array([100, 18, 1, 0.5])
    assert line.rounding() == 9 / 20
    line.seconds = np.array([])
    assert line.rounding() == 0


@pytest.mark.parametrize("change, same", [(0.5, True), (0.7, False)])
def test_a_change_is_seen_above_three_times_the_digits(change, same):
    loss = lambda x: 100 + change * np.sign(x - 1).sum()
    measured = _slopes.measure(loss, ONE, None, 1e-3, True)
    assert (measured.constant, measured.flat, measured.invisible) == (same, same, True)
    for gradient, unseen in ((0.07, True), (0.08, False)):
        assert _slopes.measure(lambda x: 100.0, ONE, gradient * ONE, 1e-3, True).invisible == unseen


@pytest.mark.parametrize("step, flat", [(-4, True), (-3, False)])
def test_flat_is_a_loss_that_does_not_change_at_the_three_smallest_steps(step, flat):
    least = 0.9 * _slopes._steps(ONE)[step]
    loss = lambda x: 100 + float((x - 1 > least).any())
    assert _slopes.measure(loss, ONE, None, 1e-3, True).flat == flat


def test_noise_is_twice_the_spread_and_twice_the_rounding():
    shown = lambda loss, eps: _slopes.measure(loss, ONE, ONE, eps, False)
    first = iter([0.0, 0.0, 0.01])
    measured = shown(lambda x: float(x[0]) + next(first, 0.0), 1e-12)
    assert measured.slopes[0].error == pytest.approx(2 * 0.02 / (16 / 3)) and not measured.steady
    measured = shown(lambda x: float(x[0]) + 0.01 * (x[0] != 1), 1e-12)
    rounding, bend = 0.02 * (9 - 1) / 20, 0.04 * (3 - 1 / 3) / 4
    assert measured.slopes[0].error == pytest.approx((2 * 2 * rounding + bend) / (16 / 3))
    first = iter([0.0, 0.0, 0.5])
    assert shown(lambda x: float(x[0]) + next(first, 0.0), 1e-3).steady


# --- the loss -------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [type, 3])
def test_a_loss_without_a_signature_is_not_rejected_for_that(loss):
    check_arguments(loss, [FEATURES])


@pytest.mark.parametrize("dtype", ["float32", "torch.float32", np.float32, np.dtype("float32")])
def test_the_dtype_of_a_loss(dtype):
    harness = types.SimpleNamespace(constant=None, program=lambda *_: None)
    loss = lambda x: types.SimpleNamespace(ndim=0, dtype=dtype)
    program = Program(harness, loss, [FEATURES], 0)
    program.traced(None)
    assert program.dtype == "float32"


# --- the report -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "features, heads, variable, expected",
    [
        (
            Finding("right", -0.3, 0.01495),
            [Finding("right", 1.0, 0.01505)],
            LAM,
            """right: the reversed gradient arrives at the features.
  seen:  features: -0.3 times the true gradient (to 1 %); it must be -0.3 times
  seen:  parameters[0]: 1 times the true gradient (to 2 %); it must be 1 times
  means: the gradient follows the LambdaVariable. The reversal is between the features
         and the head.
  do:    Add this loss to the others; do not subtract it.""",
        ),
        (
            Finding("right", -0.3),
            [Finding("undecided", detail="borders"), Finding("head", 0.5)],
            None,
            """undecided: undecided for parameters[0]: the loss is inf or nan nearby.
  seen:  features: -0.3 times the true gradient (to 0 %); it must be -0.3 times
  seen:  parameters[0]: unclear; it must be 1 times the true gradient
  seen:  parameters[1]: 0.5 times the true gradient (to 0 %); it must be 1 times
  means: they are at the boundary of its domain, such as a logarithm of 0.
  do:    Compute it from the scores (log-softmax, softplus), or use other features.""",
        ),
    ],
)
def test_report(features, heads, variable, expected):
    kind, text = report(features, heads, LAM, variable)
    assert (kind, text) == (expected.partition(":")[0], expected)


def test_the_first_parameter_says_why_nothing_was_decided():
    heads = [Finding("unseen", detail="kinks"), Finding("unseen", detail="digits")]
    assert (
        "undecided for the parameters: the slope"
        in report(Finding("right", -LAM), heads, LAM, None)[1]
    )


def test_lines_have_88_characters_and_break_at_spaces():
    assert _filled(f"{'x' * 80} {'y' * 7}") == f"{'x' * 80} {'y' * 7}"
    assert _filled(f"{'x' * 80} ab-{'y' * 5}") == f"{'x' * 80}\n{' ' * 9}ab-{'y' * 5}"
