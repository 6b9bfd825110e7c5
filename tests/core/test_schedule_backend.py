"""Schedules on the values of a third-party backend: what it must supply, and what is optional."""

import types

import numpy as np
import pytest
from schedule_examples import EXAMPLES, OWN, label

import revgrad
from revgrad.schedules import Dann, progress


class Boxed(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of a small library, in which a Python float takes the dtype of the array."""

    def __init__(self, array):
        self.array, self.dtype = array, array.dtype

    def __array_ufunc__(self, ufunc, method, *values):
        return Boxed(ufunc(*map(unboxed, values)))


def unboxed(value):
    return value.array if isinstance(value, Boxed) else value


class Bare(revgrad.Backend):
    """Has no namespace for schedules."""

    def multiply_gradient(self, x, factor):
        return x


UFUNCS = {each.__name__: each for each in (np.tanh, np.cos, np.exp, np.minimum, np.maximum)}


class Complete(Bare):
    xp = types.SimpleNamespace(where=lambda *args: Boxed(np.where(*map(unboxed, args))), **UFUNCS)


@pytest.fixture(params=[Complete])
def backend(request):
    factory = f"{__name__}:{request.param.__name__}"
    revgrad.register(revgrad.BackendSpec("boxed", (f"{__name__}:Boxed",), factory))
    yield
    revgrad.unregister("boxed")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("schedule", [*EXAMPLES, *OWN], ids=label)
@pytest.mark.filterwarnings("ignore:.* was called with p >= 2")
def test_a_namespace_of_six_functions_is_enough(backend, schedule, dtype):
    ps = np.array([-1, 0, 0.1, 0.25, 0.3, 0.5, 0.6, 0.9, 1, 2], dtype)
    ours = np.clip(ps, 0, 1) if schedule in OWN else ps
    lams = schedule(Boxed(ours))
    assert (type(lams), lams.dtype) == (Boxed, dtype)
    eps = 8 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(lams.array, schedule(ours), rtol=eps, atol=eps)


def test_progress_of_integers(backend):
    steps = Boxed(np.array([-1, 0, 1, 4, 5]))
    assert progress(steps, 4).array.tolist() == [0.0, 0.0, 0.25, 1.0, 1.0]


@pytest.mark.parametrize("backend", [Bare], indirect=True)
def test_a_backend_without_a_namespace_is_named(backend):
    with pytest.raises(NotImplementedError, match="Bare offers no namespace for schedules"):
        Dann()(Boxed(np.ones(1)))
