"""Schedules and progress in a Theano graph give what they give in Python (C10)."""

import numpy as np
import pytest
import theano
import theano.tensor as T
from schedule_examples import EXAMPLES, OWN, label

import revgrad
from revgrad.schedules import Constant, Dann, Linear, Sequential, progress

# Nothing is compiled by the Python linker, so that many small programs stay cheap.
PY = theano.Mode(linker="py", optimizer="fast_run")
UNOPTIMIZED = theano.Mode(linker="py", optimizer=None)
INSIDE = [0.0, 1e-30, 1e-9, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9, 1 - 1e-7, 1.0]
TOLERANCES = {"float32": {"rtol": 1e-5, "atol": 5e-7}, "float64": {"rtol": 1e-14, "atol": 1e-16}}


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("schedule", [*EXAMPLES, *OWN], ids=label)
def test_a_schedule_in_the_graph_is_the_schedule_in_python(schedule, dtype):
    p = T.vector("p", dtype=dtype)
    assert schedule(p).type == p.type
    # What users write themselves need not clip p.
    ps = INSIDE if schedule in OWN[:2] else [*INSIDE, -1.0, 1.5, np.inf]
    expected = [schedule(each) for each in ps]
    run, plain = (theano.function([p], schedule(p), mode=mode) for mode in (PY, UNOPTIMIZED))
    np.testing.assert_allclose(run(np.array(ps, dtype)), expected, **TOLERANCES[dtype])
    # The rewrites take 0 * p for 0.
    found = plain(np.array([*ps, np.nan], dtype))
    np.testing.assert_allclose(found, [*expected, np.nan], **TOLERANCES[dtype])


@pytest.fixture(params=["float32", "float64"])
def floatX(request, monkeypatch):
    monkeypatch.setattr(theano.config, "floatX", request.param)
    return request.param


def test_numbers_are_not_rounded_to_floatX(floatX):
    p = T.dscalar("p")
    for schedule in (Linear(0.7, 0.1), Dann(gamma=0.7, low=0.1, high=0.7), Constant(0.7)):
        assert abs(schedule(p).eval({p: 0.3}) - schedule(0.3)) < 1e-16


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_the_dtype_of_p_counts_not_floatX(dtype, floatX):
    p = T.scalar(dtype=dtype)
    assert {each(p).dtype for each in [*EXAMPLES, lambda p: progress(p, 10)]} == {dtype}
    assert progress(T.lscalar(), 10).dtype == Dann()(T.bscalar()).dtype == floatX


@pytest.mark.parametrize("p", [T.zscalar(), T.eq(T.fscalar(), 0)], ids=["complex", "bool"])
def test_invalid_progress_is_rejected(p):
    for call in (lambda: Dann()(p), lambda: progress(p, 10)):
        with pytest.raises(ValueError, match=f"Its dtype is {p.dtype}: cast it to a float dtype"):
            call()
    with pytest.raises(ValueError, match="Its dtype is None"):
        Dann()(theano.shared({}))


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16", "float32", "float64"])
def test_progress_in_the_graph_is_progress_in_python(dtype):
    step = T.vector("step", dtype=dtype)
    steps = [0, 1, 2, 3, 6, 7, 8, 100] + ([] if dtype == "uint16" else [-1])
    actual = theano.function([step], progress(step, 7), mode=PY)(np.array(steps, dtype))
    assert actual.dtype == ("float32" if dtype == "float32" else "float64")
    # Theano divides by a constant by multiplying by its inverse: one unit may be lost.
    expected = [progress(each, 7) for each in steps]
    np.testing.assert_allclose(actual, expected, rtol=np.finfo(actual.dtype).eps)


@pytest.mark.parametrize("dtype", ["int64", "int32", "float32", "float64"])
@pytest.mark.parametrize("schedule", [Dann(), OWN[0], EXAMPLES[-3]], ids=label)
def test_a_step_counter_drives_lam_inside_one_compiled_function(schedule, dtype):
    x, step = T.dvector("x"), theano.shared(np.asarray(0, dtype))
    y = revgrad.reverse(x, schedule(progress(step, 10)))
    run = theano.function([x], theano.grad(y.sum(), x), updates=[(step, step + 1)])
    found = [run([1.0])[0] for _ in range(13)]
    expected = [-schedule(progress(each, 10)) for each in range(13)]
    rtol = 1e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-6)


@pytest.mark.parametrize("dtype", ["int64", "float32", "float64"])
@pytest.mark.parametrize("total", [3, 10, 49, 1000])
def test_a_jump_falls_on_the_same_step(total, dtype):
    step = T.vector("step", dtype=dtype)
    steps = np.arange(total + 1)
    boundaries = [each / total for each in steps[1:-1]][:: 1 + total // 6]
    schedule = Sequential([Constant(i) for i in range(len(boundaries) + 1)], boundaries)
    for mode in (PY, UNOPTIMIZED):
        run = theano.function([step], schedule(progress(step, total)), mode=mode)
        np.testing.assert_array_equal(run(steps.astype(dtype)), schedule(steps / total))
