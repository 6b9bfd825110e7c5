"""Choosing a backend by type or by name."""

import gc
import pickle
import re
import sys
import types
import weakref
from unittest import mock

import numpy as np
import pytest

import revgrad
from revgrad import _plugins
from revgrad._registry import Registry, registry


class Recorder(revgrad.Backend):
    """Returns its own name and λ, so that a test sees who was chosen."""

    def reverse(self, x, lam):
        return type(self).__name__, lam

    multiply_gradient = scale_gradient = reverse


class Other(Recorder):
    pass


class Falsy(Recorder):
    def __len__(self):
        return 0


HERE, BASE, SAME_BASE = __name__, "examplelib.core:Base", "thirdlib:SameBase"


@pytest.fixture
def library(monkeypatch):
    """Packages that are loaded, with a class hierarchy, as frameworks would be; the first one."""
    core, other, third = map(types.ModuleType, ("examplelib.core", "otherlib", "thirdlib"))
    core.Base = third.SameBase = type("Base", (), {})
    core.Child = type("Child", (core.Base,), {})
    core.Mixed = other.Mixed = type("Mixed", (core.Child,), {})
    third.Namespace = types.SimpleNamespace(Inner=type("Inner", (), {}))
    core.Inner = third.Namespace.Inner
    for module in (core, other, third):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return core


@pytest.fixture
def register():
    """`revgrad.register`, undone at the end of the test."""
    known = set(revgrad.backends)

    def register(name, claim, factory=f"{HERE}:Recorder", **others):
        revgrad.register(revgrad.BackendSpec(name, (claim,), factory, **others))

    yield register
    for name in set(revgrad.backends) - known:
        revgrad.unregister(name)


def test_the_nearest_claimed_class_wins_whatever_the_order(library, register):
    register("far", BASE, f"{HERE}:Other")
    register("near", "otherlib:Mixed")
    register("nested", "thirdlib:Namespace.Inner")
    users = type("Users", (library.Child,), {})
    for kind in (library.Base, users):
        assert revgrad.reverse(kind(), 1) == ("Other", 1.0)
    for kind in (library.Mixed, library.Inner):
        assert revgrad.reverse(kind(), 0.5) == ("Recorder", 0.5)


@pytest.mark.parametrize(
    "one, two", [(BASE, "examplelib.core:Child"), (BASE, SAME_BASE), (SAME_BASE, BASE)]
)
def test_two_backends_of_one_package_or_class_are_an_error_naming_both(library, register, one, two):
    register("one", one)
    register("two", two, f"{HERE}:Other")
    what = f"the same class, or classes of the package '{re.split('[.:]', one)[0]}'"
    advice = r"backend='(one|two)'.* revgrad\.unregister\('(one|two)'\)"
    words = rf"'(one' and 'two|two' and 'one)' all claim {what},.*{advice}"
    for x in (library.Base(), library.Child()):
        with pytest.raises(revgrad.AmbiguousBackendError, match=words):
            revgrad.reverse(x, 1.0)
    assert revgrad.reverse(library.Base(), 1.0, backend="two")[0] == "Other"
    revgrad.unregister("one")
    assert revgrad.reverse(library.Child(), 1.0)[0] == "Other"


@pytest.mark.parametrize("claim", ["otherlib:Tensor", "module_that_does_not_exist:Tensor"])
def test_a_claim_imports_nothing_and_runs_no_code_of_its_module(library, register, claim):
    asked = []
    sys.modules["otherlib"].__getattr__ = asked.append
    register("lazy", claim)
    with pytest.raises(revgrad.UnsupportedTypeError):
        revgrad.reverse(library.Base(), 1.0)
    assert not asked


def test_what_changes_in_the_middle_of_a_first_call_counts_in_the_next(library, register):
    register("far", BASE, f"{HERE}:Other")

    def choose_and_change(kind, specs):
        del registry._choose
        chosen = registry._choose(kind, specs)
        register("near", "otherlib:Mixed")
        revgrad.unregister("far")
        return chosen

    registry._choose = choose_and_change
    assert revgrad.reverse(library.Mixed(), 1.0)[0] == "Other"  # chosen before
    assert revgrad.reverse(library.Mixed(), 1.0)[0] == "Recorder"
    assert "far" not in registry.loaded


class Resolving(revgrad.Backend):
    """A backend of the fewest lines, on values that have a dtype and a shape."""

    def multiply_gradient(self, x, factor):
        return factor


def test_a_backend_gets_a_factor_that_is_valid_and_fits(library, register):
    library.Base.dtype, library.Base.shape = np.dtype("float32"), (2, 1)
    register("resolving", BASE, f"{HERE}:Resolving")
    for given, factor in ((2, -2), (np.float64(0.5), -0.5), (np.ones((2, 1), int), [[-1], [-1]])):
        came = revgrad.reverse(library.Base(), given)
        np.testing.assert_array_equal(came, np.float32(factor))
        assert came.dtype == "float32"
    assert revgrad.scale_gradient(library.Base(), -3) == -3
    for bad in (-1, np.ones(3), 1e300, object(), lambda p: p, revgrad.LambdaVariable(1)):
        with pytest.raises(revgrad.InvalidLambdaError):
            revgrad.reverse(library.Base(), bad)


@pytest.mark.parametrize(
    "factory, words",
    [
        ("no_such_module:Backend", "ModuleNotFoundError: No module named 'no_such_module'"),
        (f"{HERE}:NoSuchName", "AttributeError: "),
        ("builtins:object", "TypeError: it returned a object, not a revgrad.Backend"),
        ("builtins:next", "TypeError: next expected at least 1 argument, got 0"),
    ],
)
def test_a_backend_that_does_not_load_says_why(library, register, factory, words):
    register("broken", BASE, factory, requires="example>=2")
    why = f"'broken' does not load: its factory {factory} failed with {words}.* It requires "
    for call in (
        lambda: revgrad.reverse(library.Base(), 1),
        lambda: revgrad.get_backend("broken"),
        lambda: revgrad.reverse(np.ones(1), 1, backend="broken"),
    ):
        what_to_do = r"example>=2\. .*revgrad\.unregister\('broken'\)"
        with pytest.raises(revgrad.BackendUnavailableError, match=why + what_to_do) as caught:
            call()
        assert words.startswith(type(caught.value.__cause__).__name__)
    assert revgrad.reverse(np.ones(1), 1) == 1


class Lenient(revgrad.BackendSpec):
    def problems(self):
        return ()


@pytest.mark.parametrize(
    "spec, words",
    [
        ("theano", "expected a revgrad.BackendSpec; got 'theano' (str)"),
        (revgrad.BackendSpec("numpy", ("a:B",), "a:C"), "the name is taken by the backend of"),
        (revgrad.BackendSpec("a b", ("a:B",), "a:C"), "name must be a word without spaces"),
        (Lenient("lenient", None, "a:C"), "claims must be a tuple"),
        (revgrad.BackendSpec("a", (), "a:C"), "claims must be a tuple"),
        (revgrad.BackendSpec("a", "a:B", "a:C"), "claims must be a tuple"),
        (revgrad.BackendSpec("a", ("a.B",), "a:C"), "a claim must read 'module:qualname'"),
        (revgrad.BackendSpec("a", (1,), "a:C"), "a claim must read 'module:qualname'; got 1"),
        (revgrad.BackendSpec("a", ("a:B",), "a.C"), "factory must read 'module:qualname'"),
        (revgrad.BackendSpec("a", ("a:B",), "a:C", requires=None), "requires must be a string"),
        (revgrad.BackendSpec("a", ("a:B",), "a:C", harness="x"), "harness must read"),
        (revgrad.BackendSpec("a", ("a:B",), "a:C", contract=2), "written against contract 2"),
        (revgrad.BackendSpec("a", ("a:B",), "a:C", prepare="a:b"), "the name of a module; got 'a"),
        (revgrad.BackendSpec("a", ("a:B",), "a:C", prepare=3), "the name of a module; got 3"),
    ],
)
def test_an_invalid_spec_is_rejected(spec, words):
    known = dict(revgrad.backends)
    with pytest.raises(ValueError, match=re.escape(words)):
        revgrad.register(spec)
    assert dict(revgrad.backends) == known


def test_backends_is_a_read_only_mapping():
    assert "numpy" in repr(revgrad.backends)
    assert len(revgrad.backends) == len(list(revgrad.backends))
    with pytest.raises(TypeError):
        revgrad.backends["mine"] = revgrad.backends["numpy"]


def test_a_spec_is_frozen_comparable_and_picklable():
    spec = revgrad.BackendSpec("a", ("a:B",), "a:C")
    assert pickle.loads(pickle.dumps(spec)) == spec
    with pytest.raises(AttributeError):
        spec.name = "b"


def test_get_backend_returns_one_instance_and_a_new_one_after_registering_again(register):
    register("example", "examplelib:X")
    backend = revgrad.get_backend("example")
    assert revgrad.get_backend("example") is backend
    revgrad.register(revgrad.unregister("example"))
    assert revgrad.get_backend("example") is not backend


def test_a_type_is_not_kept_alive():
    kind = type("Short", (np.ndarray,), {})
    revgrad.reverse(np.ones(2).view(kind), 1.0)
    gone = weakref.ref(kind)
    del kind
    gc.collect()
    assert gone() is None


def test_the_warm_path_takes_no_lock_and_chooses_nothing(library, register):
    register("falsy", BASE, f"{HERE}:Falsy")
    x, base = np.ones(2), library.Base()
    revgrad.reverse(x, 1.0)
    assert revgrad.reverse(base, 1.0)[0] == "Falsy"
    with mock.patch.multiple(registry, _lock=None, find=None):
        assert revgrad.reverse(x, 1.0) is x
        assert revgrad.reverse(x, 1.0, backend="numpy") is x
        assert revgrad.reverse(base, 1.0)[0] == "Falsy"  # also where the backend has a length of 0
        with pytest.raises((AttributeError, TypeError)):  # None is not a lock
            registry.register(revgrad.backends["numpy"])


@pytest.mark.parametrize("function", [revgrad.reverse, revgrad.scale_gradient])
def test_what_torch_compile_traces_in_its_place_does_the_same(function):
    x = np.ones(2)
    traced = function._torchdynamo_inline
    assert traced is not function and function.autograph_info__ == {}
    for each in (function, traced):
        assert each(x, 0.5) is x and each(x, 0.5, backend="numpy") is x
        with pytest.raises(TypeError, match="takes 2 positional arguments"):
            each(x, 0.5, "numpy")
        with pytest.raises(revgrad.InvalidLambdaError):
            each(x, np.nan)


def test_an_interrupted_discovery_starts_again(monkeypatch):
    discover = mock.Mock(side_effect=[KeyboardInterrupt, ([], [])])
    monkeypatch.setattr(_plugins, "discover", discover)
    fresh = Registry()
    with pytest.raises(KeyboardInterrupt):
        fresh.specs()
    assert set(fresh.specs()) == set(fresh.specs()) == {"numpy"} and discover.call_count == 2


def test_a_tensor_of_keras_3_is_not_taken_for_one_of_keras_2():
    kind = type("KerasTensor", (), {"__module__": "keras.src.backend.common.keras_tensor"})
    with pytest.raises(revgrad.UnsupportedTypeError) as error:
        revgrad.reverse(kind(), 0.5)
    assert "Keras 2" not in str(error.value)
