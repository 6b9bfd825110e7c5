"""`LambdaScheduler`: λ of each step, saving and resuming, threads, warnings and errors."""

import copy
import functools
import json
import math
import pickle
import re
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, strategies as st
from schedule_examples import EXAMPLES, OWN, label, parabola

import revgrad
from revgrad import LambdaScheduler, LambdaVariable
from revgrad.backend import Native
from revgrad.schedules import Constant, Dann, Delayed, Linear, progress


LINE = Linear(0, 2)


def ramp(schedule=LINE, total_steps=4):
    return LambdaScheduler(LambdaVariable(9), schedule, total_steps)


def test_each_step_and_those_beyond_the_end():
    scheduler = ramp()
    seen = []
    for _ in range(6):
        assert scheduler.variable.value == scheduler.value
        seen.append((scheduler.steps, scheduler.progress, scheduler.value))
        assert scheduler.step() == scheduler.value
    assert seen == list(zip(range(6), [0, 0.25, 0.5, 0.75, 1, 1], [0, 0.5, 1, 1.5, 2, 2]))
    assert type(scheduler.value) is float


@pytest.mark.parametrize("schedule", [*EXAMPLES, *OWN, parabola], ids=label)
def test_lambda_at_step_k_of_n_is_the_schedule_at_k_over_n(schedule):
    scheduler = ramp(schedule, total_steps=7)
    for k in range(8):
        assert scheduler.variable.value == schedule(k / 7)
        scheduler.step()


@given(st.lists(st.integers(0, 50), max_size=20))
def test_step_n_equals_n_steps(counts):
    at_once, singly = ramp(Dann(), 500), ramp(Dann(), 500)
    for n in counts:
        at_once.step(n)
        for _ in range(n):
            singly.step()
    assert at_once.state_dict() == singly.state_dict()


def test_a_value_assigned_by_hand_holds_until_the_next_step_or_state():
    scheduler = ramp()
    for restore in (lambda: scheduler.step(0), lambda: scheduler.load_state_dict(state)):
        state = scheduler.state_dict()
        scheduler.variable.value = 9
        assert (scheduler.variable.value, scheduler.value) == (9.0, 0.0)
        assert "λ=0, " in repr(scheduler) and scheduler.state_dict() == state
        restore()
        assert scheduler.variable.value == 0.0


@pytest.mark.parametrize("order", [1, -1], ids=["variable first", "scheduler first"])
def test_a_variable_and_its_scheduler_are_restored_in_either_order(order):
    saved, new = ramp(), ramp()
    saved.step(3)
    lam, state = saved.variable.value, saved.state_dict()
    restore = [lambda: setattr(new.variable, "value", lam), lambda: new.load_state_dict(state)]
    for each in restore[::order]:
        each()
    assert new.variable.value == new.value == 1.5


def test_reading_does_not_step():
    scheduler = ramp()
    for _ in range(3):
        scheduler.value, scheduler.progress, scheduler.steps, repr(scheduler)
        scheduler.state_dict()
        revgrad.reverse(np.ones(2), scheduler.variable)
    assert scheduler.steps == 0


def test_plain_loops():
    scheduler = LambdaScheduler(None, LINE, total_steps=4)
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


def test_a_loop_whose_body_steps_does_not_step_again():
    scheduler, lams, states = ramp(), [], []
    for lam in scheduler:
        lams.append(lam)
        scheduler.step()
        states.append(scheduler.state_dict())
    assert lams == [0.0, 0.5, 1.0, 1.5]
    resumed = ramp()
    resumed.load_state_dict(states[1])
    assert list(resumed) == [1.0, 1.5]


def test_a_second_loop_continues_with_the_step_that_the_first_left():
    scheduler = ramp()
    assert next(lam for lam in scheduler if lam == 1.0)
    assert list(scheduler) == [1.0, 1.5]


@pytest.mark.parametrize("schedule", [*EXAMPLES, *OWN[:2], parabola], ids=label)
@pytest.mark.parametrize("killed_after", [0, 1, 13, 20, 25])
def test_a_resumed_run_equals_an_uninterrupted_one(schedule, killed_after):
    killed, resumed, whole = (ramp(schedule, 20) for _ in range(3))
    lams = [killed.step() for _ in range(killed_after)]
    checkpoint = json.dumps(killed.state_dict())
    killed.step(3)  # steps after the checkpoint are lost with the crash
    resumed.load_state_dict(json.loads(checkpoint))
    lam = schedule(min(killed_after / 20, 1.0))
    assert (resumed.steps, resumed.variable.value) == (killed_after, lam)
    lams += [resumed.step() for _ in range(30 - killed_after)]
    assert lams == [whole.step() for _ in range(30)]


def falls(p):
    return 0.5 - p


@pytest.mark.parametrize(
    "saved, loaded, words",
    [
        (Dann(), Dann(5), f"schedule is {Dann().to_dict()}, here it is {Dann(5).to_dict()}."),
        (LINE, parabola, "here it is {'callable': 'schedule_examples.parabola'}."),
        (
            Delayed(parabola, 0.1),
            Delayed(falls, 0.1),
            "{'callable': 'test_scheduler.falls'}, 'until",
        ),
    ],
    ids=["schedule", "callable", "callable inside"],
)
def test_the_state_of_another_scheduler_is_rejected_and_both_are_shown(saved, loaded, words):
    loaded = ramp(loaded)
    loaded.step()
    before = loaded.state_dict(), loaded.variable.value
    start = "^The state belongs to another LambdaScheduler: its .*"
    with pytest.raises(ValueError, match=start + re.escape(words)):
        loaded.load_state_dict(ramp(saved).state_dict())
    assert (loaded.state_dict(), loaded.variable.value) == before


def test_an_edited_function_is_detected_by_its_value():
    make = lambda factor: ramp(lambda p: factor * p)
    saved = make(1)
    assert saved.state_dict()["schedule"] == make(2).state_dict()["schedule"]
    make(2).load_state_dict(saved.state_dict())  # at p = 0 they agree
    saved.step()
    with pytest.raises(ValueError, match="its λ after 1 steps is 0.25, here it is 0.5"):
        make(2).load_state_dict(saved.state_dict())


def test_a_state_does_not_change_with_the_scheduler():
    scheduler = ramp()
    state = scheduler.state_dict()
    scheduler.step()
    assert state == ramp().state_dict() != scheduler.state_dict()


def test_it_shows_what_it_was_made_of_and_numpy_integers_count():
    lam = LambdaVariable()
    scheduler = LambdaScheduler(lam, LINE, np.int64(4))
    scheduler.step(np.uint8(3))
    assert (scheduler.variable, scheduler.schedule, scheduler.total_steps) == (lam, LINE, 4)
    assert scheduler.steps == 3 and json.dumps(scheduler.state_dict())


class Wordless:
    def __repr__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "state, words",
    [
        ({}, "is a dict of steps, total_steps, schedule, value; got {} (dict)."),
        (None, "got None"),
        ({"epoch": 3}, "is a dict of steps, total_steps, schedule, value"),
        ({"steps": -1}, "steps of the state must be an integer >= 0"),
        ({"steps": 1.5}, "steps of the state must be an integer >= 0"),
        ({"value": "0"}, "value of the state must be a finite number >= 0"),
        ({"total_steps": 5}, "its total_steps is 5, here it is 4."),
        ({"total_steps": np.ones(2)}, "its total_steps is [1. 1.], here it"),
        ({"schedule": Wordless()}, "its schedule is an object without a re"),
    ],
)
def test_an_invalid_state_is_rejected(state, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        ramp().load_state_dict({**ramp().state_dict(), **state} if state else state)


def test_an_invalid_lambda_names_the_schedule_and_p_and_changes_nothing():
    scheduler = ramp(falls)
    scheduler.step(2)
    words = r"^The schedule test_scheduler.falls at p = 0.75: λ must .*>= 0; got -0.25 \(float\)\."
    with pytest.raises(revgrad.InvalidLambdaError, match=words):
        scheduler.step()
    assert (scheduler.steps, scheduler.value, scheduler.variable.value) == (2, 0.0, 0.0)
    for lam in (math.nan, math.inf, "1", None, np.ones(1)):
        with pytest.raises(revgrad.InvalidLambdaError, match="at p = 0.0: λ must be a real"):
            ramp(lambda p: lam)


class Locked(Native):
    """An adapter whose cells cannot be written."""

    def new_cell(self, value):
        return value

    def set_cell(self, cell, value):
        raise RuntimeError("locked")


def test_a_variable_that_cannot_be_set_leaves_the_scheduler_as_it_was():
    scheduler, ahead = ramp(), ramp()
    ahead.step(2)
    scheduler.variable.cell(Locked())
    for change in (scheduler.step, lambda: scheduler.load_state_dict(ahead.state_dict())):
        with pytest.raises(RuntimeError, match="locked"):
            change()
        assert (scheduler.steps, scheduler.value, scheduler.variable.value) == (0, 0.0, 0.0)


def test_the_repr_fits_a_log():
    scheduler = ramp(Dann(), 3000)
    scheduler.step(300)
    line = f"<LambdaScheduler step 300 of 3000, p=0.1, λ=0.462117, {Dann()}>"
    assert repr(scheduler) == str(scheduler) == line
    assert repr(ramp(parabola)).endswith("λ=0, schedule_examples.parabola>")
    assert repr(ramp(functools.partial(pow, 2))).endswith("λ=1, functools.partial>")


@pytest.mark.parametrize(
    "twin", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))], ids=["copy", "pickle"]
)
def test_a_copy_continues_by_itself(twin):
    scheduler = ramp(Constant(0.5))
    scheduler.step()
    other = twin(scheduler)
    with scheduler._lock, ThreadPoolExecutor(1) as pool:
        pool.submit(other.step).result(60)
    assert (scheduler.steps, other.steps) == (1, 2)
    assert other.variable is not scheduler.variable


def test_its_name_is_public_also_in_pickles():
    assert LambdaScheduler.__module__ == "revgrad"
    pickled = pickle.dumps(ramp(0.5 * Dann()))
    assert b"revgrad.schedules" in pickled and b"revgrad.schedules._" not in pickled


def slow(p):
    time.sleep(1e-5)  # lets the other threads run
    return p


def test_threads_lose_no_steps():
    scheduler = ramp(slow, 400)
    with ThreadPoolExecutor(4) as pool:
        lams = list(pool.map(lambda _: scheduler.step(), range(400)))
    assert sorted(lams) == [k / 400 for k in range(1, 401)]
    assert (scheduler.steps, scheduler.value, scheduler.variable.value) == (400, 1.0, 1.0)


def test_a_schedule_may_read_its_scheduler():
    def schedule(p):
        return 1.0 + scheduler.steps if scheduler else 0.0

    scheduler = None
    scheduler = ramp(schedule)
    assert [scheduler.step(), scheduler.step()] == [1.0, 2.0]


@pytest.mark.parametrize("resumed_at", [0, 7, 100])
def test_a_scheduler_far_past_its_end_warns_once(resumed_at):
    scheduler = ramp(Dann(), 5)
    value = Dann()(progress(resumed_at, 5))
    state = {**scheduler.state_dict(), "steps": resumed_at, "value": value}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scheduler.load_state_dict(state)
        for _ in range(10 - resumed_at):
            scheduler.step()
        assert not caught
        for _ in range(300):
            scheduler.step()
    (warning,) = caught
    assert str(warning.message) == (
        f"The LambdaScheduler is at step {max(11, resumed_at + 1)} of 5: λ stays at 0.999909. If "
        "each batch is a step, total_steps must count batches."
    )
    assert warning.filename == __file__
    assert scheduler.value == scheduler.variable.value == Dann()(1)
