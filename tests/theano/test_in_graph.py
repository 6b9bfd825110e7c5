"""Schedules and progress in a Theano graph give what they give in Python (C10)."""

import numpy as np
import pytest
import theano
import theano.tensor as T
from schedule_examples import EXAMPLES, OWN, label

import revgrad
from revgrad.schedules import Constant, Dann, Linear, Sequential, progress

try:
    from theano.configparser import change_flags
except ImportError:  # Theano-PyMC moved it
    from theano import config

    change_flags = config.change_flags

# Nothing is compiled by the Python linker, so that many small programs stay cheap; the C code has
# a test of its own.
PY = theano.Mode(linker="py", optimizer="fast_run")
UNOPTIMIZED = theano.Mode(linker="py", optimizer=None)
PS = [-1.0, 0.0, 1e-30, 1e-9, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9, 1 - 1e-7, 1.0, 1.5, np.inf]
RTOL = {"float32": 1e-5, "float64": 1e-14}
ATOL = {"float32": 3e-7, "float64": 1e-16}


def values(schedule, p, ps, mode=PY):
    run = theano.function([p], schedule(p), mode=mode)
    return np.array([run(np.asarray(each, p.dtype)) for each in ps])


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize("schedule", [*EXAMPLES, *OWN[2:]], ids=label)
def test_a_schedule_in_the_graph_is_the_schedule_in_python(schedule, dtype):
    p = T.scalar("p", dtype=dtype)
    assert schedule(p).type == p.type
    expected = [schedule(each) for each in PS]
    actual = values(schedule, p, PS)
    np.testing.assert_allclose(actual, expected, rtol=RTOL[dtype], atol=ATOL[dtype])


def test_numbers_are_not_rounded_to_float32():
    with change_flags(floatX="float32"):
        p = T.dscalar("p")
        # A formula written in plain numbers would be 1e-8 off.
        assert abs((p + 0.7).eval({p: 0.0}) - 0.7) > 1e-9
        for schedule in (Linear(0.7, 0.1), Dann(gamma=0.7, low=0.1, high=0.7), Constant(0.7)):
            assert abs(schedule(p).eval({p: 0.3}) - schedule(0.3)) < 1e-16


@pytest.mark.parametrize("floatX", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_of_p_counts_not_floatX(dtype, floatX):
    with change_flags(floatX=floatX):
        for schedule in EXAMPLES:
            assert schedule(T.scalar(dtype=dtype)).dtype == dtype
        assert progress(T.scalar(dtype=dtype), 10).dtype == dtype
        assert progress(T.lscalar(), 10).dtype == floatX
        assert Dann()(T.bscalar()).dtype == floatX


@pytest.mark.parametrize("schedule", [*EXAMPLES, *OWN[2:]], ids=label)
def test_a_vector_of_progress(schedule):
    ps = np.linspace(0, 1, 11)
    p = T.dvector("p")
    np.testing.assert_allclose(values(schedule, p, [ps])[0], schedule(ps), rtol=1e-14)
    assert schedule(T.fmatrix()).type == T.fmatrix


@pytest.mark.parametrize("own", OWN[:2], ids=["Delayed", "Sequential"])
@pytest.mark.parametrize("dtype", RTOL)
def test_a_callable_of_the_users_meets_the_variable(own, dtype):
    p = T.scalar("p", dtype=dtype)
    assert own(p).dtype == dtype
    ps = [each for each in PS if 0 <= each <= 1]
    expected = [own(each) for each in ps]
    np.testing.assert_allclose(values(own, p, ps), expected, rtol=RTOL[dtype], atol=1e-6)


@pytest.mark.parametrize("schedule", [each for each in EXAMPLES if each(0) != each(0.8)], ids=label)
def test_a_nan_goes_through(schedule):
    assert np.isnan(values(schedule, T.dscalar("p"), [np.nan], UNOPTIMIZED)[0])


@pytest.mark.parametrize("p", [T.zscalar(), T.eq(T.fscalar(), 0)], ids=["complex", "bool"])
def test_invalid_progress_is_rejected(p):
    for call in (lambda: Dann()(p), lambda: progress(p, 10)):
        with pytest.raises(ValueError, match=f"Its dtype is {p.dtype}: cast it to a float dtype"):
            call()
    with pytest.raises(ValueError, match="Its dtype is None"):
        Dann()(theano.shared({}))


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16", "float32", "float64"])
def test_progress_in_the_graph_is_progress_in_python(dtype):
    step = T.scalar("step", dtype=dtype)
    run = theano.function([step], progress(step, 7), mode=PY)
    for each in [0, 1, 2, 3, 6, 7, 8, 100] + ([] if dtype == "uint16" else [-1]):
        actual = run(np.asarray(each, dtype))
        assert actual.dtype == ("float32" if dtype == "float32" else "float64")
        # Theano divides by a constant by multiplying by its inverse: one unit may be lost.
        np.testing.assert_allclose(actual, progress(each, 7), rtol=np.finfo(actual.dtype).eps)


@pytest.mark.parametrize("dtype", ["int64", "int32", "float32", "float64"])
@pytest.mark.parametrize("schedule", [Dann(), OWN[0], EXAMPLES[-3]], ids=label)
def test_a_step_counter_drives_lam_inside_one_compiled_function(schedule, dtype):
    total, x = 10, T.dvector("x")
    step = theano.shared(np.asarray(0, dtype), name="step")
    lam = schedule(progress(step, total))
    gradient = theano.function(
        [x], theano.grad(revgrad.reverse(x, lam).sum(), x), updates=[(step, step + 1)]
    )
    before = gradient.maker.fgraph.toposort()
    rtol = 1e-5 if dtype == "float32" else 1e-13
    driver = revgrad.LambdaScheduler(None, schedule, total)
    for _ in range(total + 3):
        np.testing.assert_allclose(gradient([1.0, 2.0]), [-driver.value] * 2, rtol=rtol, atol=1e-6)
        driver.step()
    assert gradient.maker.fgraph.toposort() == before
    assert step.get_value() == total + 3
    step.set_value(np.asarray(3, dtype))  # resumed, by setting the counter
    expected = [-schedule(0.3)] * 2
    np.testing.assert_allclose(gradient([1.0, 2.0]), expected, rtol=max(rtol, 1e-12), atol=1e-6)


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
