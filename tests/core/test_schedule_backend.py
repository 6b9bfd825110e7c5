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
        self.array = np.asarray(array)

    dtype = property(lambda self: self.array.dtype)

    def __array_ufunc__(self, ufunc, method, *inputs):
        dtypes = [each.dtype for each in inputs if isinstance(each, Boxed)]
        arrays = [
            each.array if isinstance(each, Boxed) else np.asarray(each, np.result_type(*dtypes))
            for each in inputs
        ]
        return Boxed(getattr(ufunc, method)(*arrays))


def where(condition, *values):
    values = [each.array if isinstance(each, Boxed) else each for each in values]
    dtypes = [each.dtype for each in values if isinstance(each, np.ndarray)]
    return Boxed(np.where(condition.array, *values).astype(np.result_type(*dtypes)))


class BoxedBackend(revgrad.Backend):
    def multiply_gradient(self, x, factor):
        return x

    @property
    def xp(self):
        names = {name: getattr(np, name) for name in ["tanh", "cos", "exp", "minimum", "maximum"]}
        return types.SimpleNamespace(where=where, **names)


class Bare:
    """A value of a framework whose backend has no namespace."""

    dtype = "float32"


class BareBackend(revgrad.Backend):
    def multiply_gradient(self, x, factor):
        return x


@pytest.fixture(params=["Boxed"])
def backend(request):
    kind = request.param
    revgrad.register(
        revgrad.BackendSpec(kind, (f"{__name__}:{kind}",), f"{__name__}:{kind}Backend")
    )
    yield
    revgrad.unregister(kind)


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


@pytest.mark.parametrize("backend", ["Bare"], indirect=True)
def test_a_backend_without_a_namespace_is_named(backend):
    with pytest.raises(NotImplementedError, match="BareBackend offers no namespace for schedules"):
        Dann()(Bare())
