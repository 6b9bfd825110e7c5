"""`LambdaScheduler`: what each step gets, saving and resuming, and what is refused."""

import copy
import functools
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, strategies as st
from schedule_examples import EXAMPLES, OWN, parabola

import revgrad
from revgrad import LambdaScheduler, LambdaVariable
from revgrad.schedules import Constant, Dann, Delayed, Linear


def ramp(schedule=Linear(0, 2), total_steps=4):
    return LambdaScheduler(LambdaVariable(9), schedule, total_steps)


def test_each_step_and_what_lies_beyond():
    scheduler = ramp()
    seen = []
    for _ in range(6):
        assert scheduler.variable.value == scheduler.value
        seen.append((scheduler.steps, scheduler.progress, scheduler.value))
        assert scheduler.step() == scheduler.value
    assert seen == [
        (0, 0.0, 0.0),
        (1, 0.25, 0.5),
        (2, 0.5, 1.0),
        (3, 0.75, 1.5),
        (4, 1.0, 2.0),
        (5, 1.0, 2.0),
    ]
    assert type(scheduler.value) is float


@pytest.mark.parametrize("schedule", [*EXAMPLES, *OWN, parabola], ids=repr)
def test_step_k_of_n_gets_the_schedule_at_k_over_n(schedule):
    scheduler = ramp(schedule, total_steps=7)
    for k in range(7):
        assert scheduler.variable.value == schedule(k / 7)
        scheduler.step()
    assert scheduler.variable.value == schedule(1.0)


@given(st.lists(st.integers(0, 50), max_size=20))
def test_many_steps_at_once_are_as_many_steps(counts):
    at_once, singly = ramp(Dann(), 100), ramp(Dann(), 100)
    for n in counts:
        at_once.step(n)
        for _ in range(n):
            singly.step()
    assert at_once.state_dict() == singly.state_dict()
    assert at_once.variable.value == singly.variable.value


def test_a_variable_set_by_hand_is_set_again_at_the_next_step_only():
    scheduler = ramp()
    scheduler.variable.value = 7
    assert (scheduler.variable.value, scheduler.value) == (7.0, 0.0)
    scheduler.step(0)
    assert scheduler.variable.value == 0.0


def test_reading_steps_nothing():
    scheduler = ramp()
    for _ in range(3):
        scheduler.value, scheduler.progress, scheduler.steps, repr(scheduler)
        scheduler.state_dict()
        revgrad.reverse(np.ones(2), scheduler.variable)
    assert scheduler.steps == 0


def test_plain_loops():
    scheduler = LambdaScheduler(None, Linear(0, 2), total_steps=4)
    assert scheduler.variable is None
    assert list(scheduler) == [0.0, 0.5, 1.0, 1.5]
    assert (scheduler.steps, scheduler.value) == (4, 2.0)
    assert list(scheduler) == []
    rest = ramp()
    rest.step(3)
    assert list(rest) == [1.5]
    assert rest.variable.value == 2.0


def test_in_a_loop_the_variable_holds_what_is_yielded():
    scheduler = ramp()
    for k, lam in enumerate(scheduler):
        assert (scheduler.steps, scheduler.variable.value) == (k, lam)


def test_a_body_that_steps_is_not_stepped_again():
    scheduler = ramp()
    seen = []
    for lam in scheduler:
        seen.append(lam)
        scheduler.step()
    assert seen == [0.0, 0.5, 1.0, 1.5]


def test_a_loop_that_was_left_goes_on_with_the_step_it_left():
    scheduler = ramp()
    for lam in scheduler:
        if lam == 1.0:
            break
    assert list(scheduler) == [1.0, 1.5]


@pytest.mark.parametrize("schedule", [*EXAMPLES, *OWN[:2], parabola], ids=repr)
@pytest.mark.parametrize("killed_after", [0, 1, 13, 20, 25])
def test_a_resumed_run_has_the_trajectory_of_an_uninterrupted_one(schedule, killed_after):
    def run(scheduler, steps):
        lams = []
        for _ in range(steps):
            lams.append(scheduler.variable.value)
            scheduler.step()
        return lams

    uninterrupted = run(ramp(schedule, 20), 30)
    killed = ramp(schedule, 20)
    lams = run(killed, killed_after)
    checkpoint = json.dumps(killed.state_dict())
    run(killed, 3)  # steps after the checkpoint are lost with the crash
    resumed = ramp(schedule, 20)
    resumed.load_state_dict(json.loads(checkpoint))
    assert resumed.steps == killed_after
    assert lams + run(resumed, 30 - killed_after) == uninterrupted


def test_a_checkpoint_in_the_body_of_a_loop():
    scheduler, states = ramp(), []
    for lam in scheduler:
        scheduler.step()
        states.append(scheduler.state_dict())
    resumed = ramp()
    resumed.load_state_dict(states[1])
    assert list(resumed) == [1.0, 1.5]


def other_parabola(p):
    return p * (1 - p)


@pytest.mark.parametrize(
    "saved, loaded, words",
    [
        (
            ramp(Dann()),
            ramp(Dann(5)),
            "Its schedule: {'kind': 'Dann', 'gamma': 10.0, 'low': 0.0, 'high': 1.0}; here: "
            "{'kind': 'Dann', 'gamma': 5.0, 'low': 0.0, 'high': 1.0}.",
        ),
        (ramp(total_steps=100), ramp(total_steps=50), "Its total_steps: 100; here: 50."),
        (ramp(Linear()), ramp(parabola), "here: {'callable': 'schedule_examples.parabola'}."),
        (
            ramp(Delayed(parabola, 0.1)),
            ramp(Delayed(other_parabola, 0.1)),
            "'schedule': {'callable': 'test_scheduler.other_parabola'}",
        ),
    ],
    ids=["schedule", "total_steps", "callable", "callable inside"],
)
def test_the_state_of_another_is_refused_with_both_shown(saved, loaded, words):
    loaded.step()
    before = loaded.state_dict(), loaded.variable.value
    with pytest.raises(ValueError) as caught:
        loaded.load_state_dict(saved.state_dict())
    assert str(caught.value).startswith("The state is that of another LambdaScheduler.")
    assert words in str(caught.value)
    assert (loaded.state_dict(), loaded.variable.value) == before


def test_a_function_that_was_edited_is_noticed_by_its_value():
    def make(factor):
        def edited(p):
            return factor * p

        return ramp(edited)

    saved = make(1)
    assert saved.state_dict()["schedule"] == make(2).state_dict()["schedule"]
    make(2).load_state_dict(saved.state_dict())  # at p = 0 they agree
    saved.step()
    with pytest.raises(ValueError, match="Its λ after 1 steps: 0.25; here: 0.5"):
        make(2).load_state_dict(saved.state_dict())


@pytest.mark.parametrize(
    "state, words",
    [
        ({}, "is a dict of steps, total_steps, schedule, value; got {} (dict)."),
        (None, "got None"),
        ({**ramp().state_dict(), "epoch": 3}, "is a dict of steps, total_steps, schedule, value"),
        ({**ramp().state_dict(), "steps": -1}, "steps of the state must be an integer >= 0"),
        ({**ramp().state_dict(), "steps": 1.5}, "steps of the state must be an integer >= 0"),
        ({**ramp().state_dict(), "value": "0"}, "value of the state must be a finite number >= 0"),
    ],
    ids=["empty", "none", "too much", "negative", "half", "text"],
)
def test_what_is_no_state_is_refused(state, words):
    with pytest.raises(ValueError) as caught:
        ramp().load_state_dict(state)
    assert words in str(caught.value)


def test_a_state_does_not_change_with_the_scheduler():
    scheduler = ramp()
    state = scheduler.state_dict()
    scheduler.step()
    assert state == ramp().state_dict() != scheduler.state_dict()


@pytest.mark.parametrize("n", [-1, 0.5, 1.0, True, "1", None, math.nan])
def test_a_number_of_steps_is_an_integer(n):
    scheduler = ramp()
    with pytest.raises(ValueError, match="LambdaScheduler: n must be an integer >= 0; got "):
        scheduler.step(n)
    assert scheduler.steps == 0


def test_numpy_integers_count():
    scheduler = LambdaScheduler(None, Linear(), np.int64(4))
    scheduler.step(np.uint8(3))
    assert json.dumps(scheduler.state_dict())
    assert (scheduler.steps, scheduler.total_steps) == (3, 4)


@pytest.mark.parametrize("total_steps", [0, -5, 100.0, True, "100", None])
def test_the_horizon_is_a_positive_integer(total_steps):
    with pytest.raises(ValueError, match="LambdaScheduler: total_steps must be an integer >= 1"):
        ramp(total_steps=total_steps)
    with pytest.raises(TypeError, match="total_steps"):
        LambdaScheduler(None, Dann())


@pytest.mark.parametrize(
    "schedule, words",
    [
        (Dann, "That is a class: call it, as in Dann(...)."),
        (0.3, "For a λ that stays, pass Constant(0.3)."),
        (None, "LambdaScheduler: schedule must be a schedule or a callable p -> λ; got None"),
        ("Dann", "got 'Dann' (str)."),
        (LambdaVariable(), "got LambdaVariable(0.0)"),
    ],
    ids=["class", "number", "none", "text", "variable"],
)
def test_what_is_no_schedule_is_refused(schedule, words):
    with pytest.raises(ValueError) as caught:
        ramp(schedule)
    assert words in str(caught.value)


@pytest.mark.parametrize("variable", [0.3, Dann(), "lam", [LambdaVariable()]], ids=repr)
def test_what_is_no_variable_is_refused(variable):
    with pytest.raises(ValueError, match="variable must be a revgrad.LambdaVariable, or None for"):
        LambdaScheduler(variable, Dann(), 10)


def falls(p):
    return 0.5 - p


def test_a_lam_that_is_none_names_the_schedule_and_p_and_changes_nothing():
    scheduler = ramp(falls)
    scheduler.step(2)
    with pytest.raises(revgrad.InvalidLambdaError) as caught:
        scheduler.step()
    assert str(caught.value).startswith(
        "The schedule test_scheduler.falls at p = 0.75: λ must be a real, finite number >= 0; got "
        "-0.25 (float)."
    )
    assert (scheduler.steps, scheduler.value, scheduler.variable.value) == (2, 0.0, 0.0)
    for lam in (math.nan, math.inf, "1", None, np.ones(1)):
        with pytest.raises(revgrad.InvalidLambdaError, match="at p = 0.0: λ must be a real"):
            ramp(lambda p: lam)


def test_one_line_for_logs():
    scheduler = ramp(Dann(), 3000)
    scheduler.step(300)
    line = (
        "<LambdaScheduler step 300 of 3000, p=0.1, λ=0.462117, Dann(gamma=10.0, low=0.0, high=1.0)>"
    )
    assert repr(scheduler) == str(scheduler) == line
    assert repr(ramp(parabola)).endswith("λ=0, schedule_examples.parabola>")
    assert repr(ramp(functools.partial(pow, 2))).endswith("λ=1, functools.partial>")


@pytest.mark.parametrize(
    "twin", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))], ids=["copy", "pickle"]
)
def test_a_copy_goes_on_by_itself(twin):
    scheduler = ramp(Constant(0.5))
    scheduler.step()
    other = twin(scheduler)
    other.step()
    assert (scheduler.steps, other.steps) == (1, 2)
    assert other.variable is not scheduler.variable
