"""`LambdaScheduler`: λ of each step, saving and resuming, threads, warnings and errors."""

import copy
import functools
import json
import pickle
import re
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from schedule_examples import EXAMPLES, OWN, label, parabola

import revgrad
from revgrad import LambdaScheduler, LambdaVariable
from revgrad.backend import Native
from revgrad.schedules import Constant, Dann, Delayed, Linear

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


def test_it_shows_what_it_was_made_of_and_numpy_integers_count():
    lam = LambdaVariable()
    scheduler = LambdaScheduler(lam, LINE, np.int64(4))
    assert scheduler.step(np.uint8(3)) == lam.value == 1.5
    assert (scheduler.variable, scheduler.schedule, scheduler.total_steps) == (lam, LINE, 4)
    # As 0.1.0 writes it: it stays readable.
    state = {"steps": 3, "total_steps": 4, "schedule": LINE.to_dict(), "value": 1.5}
    assert scheduler.state_dict() == state and type(scheduler.steps) is int


@pytest.mark.parametrize("schedule", [*EXAMPLES, *OWN, parabola], ids=label)
@pytest.mark.parametrize("killed_after", [0, 1, 13, 20, 25])
def test_a_resumed_run_is_as_if_uninterrupted(schedule, killed_after):
    killed, resumed = ramp(schedule, 20), ramp(schedule, 20)
    lams = [killed.value, *(killed.step() for _ in range(killed_after))]
    checkpoint = killed.state_dict()
    killed.step(3)  # steps after the checkpoint are lost with the crash
    resumed.load_state_dict(json.loads(json.dumps(checkpoint)))
    assert (resumed.steps, resumed.variable.value) == (killed_after, lams[-1])
    lams += [resumed.step() for _ in range(30 - killed_after)]
    assert lams == [schedule(min(k / 20, 1.0)) for k in range(31)]


def test_a_value_assigned_by_hand_holds_while_read_until_the_next_step_or_state():
    scheduler = ramp()
    state = scheduler.state_dict()
    for restore in (lambda: scheduler.step(0), lambda: scheduler.load_state_dict(state)):
        scheduler.variable.value = 9
        revgrad.reverse(np.ones(2), scheduler.variable)
        assert (scheduler.variable.value, scheduler.value, scheduler.progress) == (9.0, 0.0, 0.0)
        assert "λ=0, " in repr(scheduler) and scheduler.state_dict() == state
        restore()
        assert scheduler.variable.value == 0.0


def test_a_plain_loop():
    scheduler = LambdaScheduler(None, LINE, total_steps=4)
    assert scheduler.variable is None
    assert list(scheduler) == [0.0, 0.5, 1.0, 1.5]
    assert (scheduler.steps, scheduler.value, list(scheduler)) == (4, 2.0, [])


def test_a_loop_sets_the_variable_and_a_second_one_repeats_the_step_that_was_left():
    scheduler = ramp()
    for k, lam in enumerate(scheduler):
        assert (scheduler.steps, scheduler.variable.value) == (k, lam)
        if k == 2:
            break
    assert list(scheduler) == [1.0, 1.5]
    assert scheduler.variable.value == 2.0


def test_a_loop_whose_body_steps_does_not_step_again():
    scheduler, seen = ramp(), []
    for lam in scheduler:
        scheduler.step()
        seen.append((lam, *scheduler.state_dict().values()))
    assert seen == [(k / 2, k + 1, 4, LINE.to_dict(), (k + 1) / 2) for k in range(4)]


def falls(p):
    return 0.5 - p


@pytest.mark.parametrize(
    "saved, loaded, words",
    [
        (Dann(), Dann(5), f"schedule is {Dann().to_dict()}, here it is {Dann(5).to_dict()}."),
        (LINE, parabola, "here it is {'callable': 'schedule_examples.parabola'}."),
        (Delayed(parabola, 0.1), Delayed(falls, 0.1), "{'callable': 'test_scheduler.falls'}"),
    ],
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
    saved, edited = (ramp(lambda p, factor=factor: factor * p) for factor in (1, 2))
    assert saved.state_dict() == edited.state_dict()
    edited.load_state_dict(saved.state_dict())  # at p = 0 they agree
    saved.step()
    with pytest.raises(ValueError, match="its λ after 1 steps is 0.25, here it is 0.5"):
        edited.load_state_dict(saved.state_dict())


def test_an_invalid_lambda_names_the_schedule_and_p_and_changes_nothing():
    scheduler = ramp(falls)
    scheduler.step(2)
    words = r"^The schedule test_scheduler.falls at p = 0.75: λ must .*>= 0; got -0.25 \(float\)\."
    with pytest.raises(revgrad.InvalidLambdaError, match=words):
        scheduler.step()
    assert (scheduler.steps, scheduler.value, scheduler.variable.value) == (2, 0.0, 0.0)


class Locked(Native):
    """An adapter whose cells cannot be written."""

    def new_cell(self, value):
        return value


def test_a_variable_that_cannot_be_set_leaves_the_scheduler_as_it_was():
    scheduler, ahead = ramp(), ramp()
    ahead.step(2)
    scheduler.variable.cell(Locked())
    for change in (scheduler.step, lambda: scheduler.load_state_dict(ahead.state_dict())):
        with pytest.raises(NotImplementedError, match="Locked makes cells but has no set_cell()"):
            change()
        assert (scheduler.steps, scheduler.value, scheduler.variable.value) == (0, 0.0, 0.0)


def test_the_repr_fits_a_log():
    scheduler = ramp(Dann(), 3000)
    scheduler.step(300)
    line = f"<LambdaScheduler step 300 of 3000, p=0.1, λ=0.462117, {Dann()}>"
    assert repr(scheduler) == str(scheduler) == line
    assert repr(ramp(parabola)).endswith("λ=0, schedule_examples.parabola>")
    assert repr(ramp(functools.partial(pow, 2))).endswith("λ=1, functools.partial>")


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_copy_continues_by_itself(twin):
    scheduler = ramp(Constant(0.5))
    scheduler.step()
    other = twin(scheduler)
    with scheduler._lock, ThreadPoolExecutor(1) as pool:
        pool.submit(other.step).result(60)
    assert (scheduler.steps, other.steps) == (1, 2)
    assert other.variable is not scheduler.variable


def test_threads_lose_no_steps():
    scheduler = ramp(lambda p: time.sleep(1e-5) or p, 400)  # lets the other threads run
    with ThreadPoolExecutor(4) as pool:
        lams = list(pool.map(lambda _: scheduler.step(), range(400)))
    assert sorted(lams) == [k / 400 for k in range(1, 401)]
    assert (scheduler.steps, scheduler.value, scheduler.variable.value) == (400, 1.0, 1.0)


def test_a_schedule_may_read_its_scheduler():
    scheduler = None
    scheduler = ramp(lambda p: 1.0 + scheduler.steps if scheduler else 0.0)
    assert [scheduler.step(), scheduler.step()] == [1.0, 2.0]


@pytest.mark.parametrize("resumed_at, warned_at", [(0, 11), (7, 11), (100, 101)])
def test_a_scheduler_far_past_its_end_warns_once(resumed_at, warned_at):
    scheduler = ramp(Constant(1 / 3), 5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scheduler.load_state_dict({**scheduler.state_dict(), "steps": resumed_at})
        for steps in range(resumed_at + 1, 300):
            scheduler.step()
            assert len(caught) == (steps >= warned_at)
    assert caught[0].filename == __file__
    assert str(caught[0].message) == (
        f"The LambdaScheduler is at step {warned_at} of 5: λ stays at 0.333333. If each batch is "
        "a step, total_steps must count batches."
    )
