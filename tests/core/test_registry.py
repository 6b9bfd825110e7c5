"""Choosing a backend by type or by name."""

import gc
import pickle
import sys
import threading
import types
import weakref

import numpy as np
import pytest
from support.processes import python

import revgrad
from revgrad._registry import registry


class Recorder(revgrad.Backend):
    """Returns its own name and λ, so that a test sees who was chosen."""

    def reverse(self, x, lam):
        return type(self).__name__, lam

    multiply_gradient = scale_gradient = reverse


class Other(Recorder):
    pass


class NotABackend:
    pass


def failing_factory():
    raise OSError("libexample.so.1: cannot open shared object file")


HERE = __name__


@pytest.fixture
def library():
    """A package that is loaded, with a class hierarchy, as a framework would be."""
    names = ("examplelib", "examplelib.core", "otherlib")
    modules = {name: types.ModuleType(name) for name in names}
    core = modules["examplelib.core"]
    core.Base = type("Base", (), {"__module__": "examplelib.core"})
    core.Child = type("Child", (core.Base,), {"__module__": "examplelib.core"})
    modules["otherlib"].Mixed = type("Mixed", (core.Child,), {"__module__": "otherlib"})
    core.Namespace = types.SimpleNamespace(Inner=type("Inner", (), {}))
    sys.modules.update(modules)
    yield core
    for name in names:
        del sys.modules[name]


@pytest.fixture
def register():
    """`revgrad.register`, undone at the end of the test."""
    names = []

    def register(name, *claims, factory=f"{HERE}:Recorder", **others):
        revgrad.register(revgrad.BackendSpec(name, claims, factory, **others))
        names.append(name)

    yield register
    for name in names:
        if name in revgrad.backends:
            revgrad.unregister(name)


def test_subclasses_are_claimed_too(library, register):
    register("example", "examplelib.core:Base")
    assert revgrad.reverse(library.Base(), 1) == ("Recorder", 1.0)
    assert revgrad.reverse(type("Users", (library.Child,), {})(), 0.5) == ("Recorder", 0.5)


def test_a_claim_may_name_a_nested_class(library, register):
    register("example", "examplelib.core:Namespace.Inner")
    assert revgrad.reverse(library.Namespace.Inner(), 1.0)[0] == "Recorder"


def test_the_nearest_class_wins_whatever_the_order(library, register):
    register("far", "examplelib.core:Base", factory=f"{HERE}:Other")
    register("near", "otherlib:Mixed")
    assert revgrad.reverse(sys.modules["otherlib"].Mixed(), 1.0)[0] == "Recorder"
    assert revgrad.reverse(library.Child(), 1.0)[0] == "Other"


def test_two_backends_of_one_package_are_an_error_naming_both(library, register):
    register("one", "examplelib.core:Base")
    register("two", "examplelib.core:Child", factory=f"{HERE}:Other")
    for x in (library.Base(), library.Child()):
        with pytest.raises(revgrad.AmbiguousBackendError) as caught:
            revgrad.reverse(x, 1.0)
        words = str(caught.value)
        assert "'one'" in words and "'two'" in words and "package 'examplelib'" in words
        assert "backend=" in words and "revgrad.unregister(" in words
    assert revgrad.reverse(library.Base(), 1.0, backend="two")[0] == "Other"
    revgrad.unregister("one")
    assert revgrad.reverse(library.Child(), 1.0)[0] == "Other"


def test_two_packages_that_claim_one_class_are_an_error_whatever_the_order(library, register):
    again = types.ModuleType("again")
    again.Base = library.Base
    sys.modules["again"] = again
    try:
        for order in (("one", "two"), ("two", "one")):
            for name in order:
                claim = {"one": "examplelib.core:Base", "two": "again:Base"}[name]
                revgrad.register(revgrad.BackendSpec(name, (claim,), f"{HERE}:Recorder"))
            with pytest.raises(revgrad.AmbiguousBackendError, match="claim the same class"):
                revgrad.reverse(library.Base(), 1.0)
            for name in order:
                revgrad.unregister(name)
    finally:
        del sys.modules["again"]


def test_a_claim_runs_no_code_of_its_module(library, register):
    def fails(name):
        raise ImportError(f"lazy {name}")

    sys.modules["otherlib"].__getattr__ = fails
    register("lazy", "otherlib:Tensor")
    with pytest.raises(revgrad.UnsupportedTypeError):
        revgrad.reverse(library.Base(), 1.0)


def test_a_registration_in_the_middle_of_a_first_call_is_not_forgotten(library, register):
    register("far", "examplelib.core:Base", factory=f"{HERE}:Other")
    choose = registry._choose

    def choose_and_register(kind, specs):
        chosen = choose(kind, specs)
        del registry._choose
        register("near", "otherlib:Mixed")
        return chosen

    registry._choose = choose_and_register
    mixed = sys.modules["otherlib"].Mixed()
    assert revgrad.reverse(mixed, 1.0)[0] == "Other"  # chosen before
    assert revgrad.reverse(mixed, 1.0)[0] == "Recorder"


class Falsy(Recorder):
    def __len__(self):
        return 0


def test_a_backend_with_a_length_is_remembered_too(library, register, monkeypatch):
    register("falsy", "examplelib.core:Base", factory=f"{HERE}:Falsy")
    assert revgrad.reverse(library.Base(), 1.0)[0] == "Falsy"
    monkeypatch.setattr(registry, "find", None)
    assert revgrad.reverse(library.Base(), 1.0)[0] == "Falsy"


def test_a_claim_on_a_module_that_is_not_loaded_matches_nothing(register):
    register("absent", "module_that_does_not_exist:Tensor")
    with pytest.raises(revgrad.UnsupportedTypeError):
        revgrad.reverse(object(), 1.0)


class Resolving(revgrad.Backend):
    """A backend of the fewest lines, on values that have a dtype and a shape."""

    def multiply_gradient(self, x, factor):
        return factor


def test_a_backend_gets_a_factor_that_is_valid_and_fits(library, register):
    library.Base.dtype, library.Base.shape = np.dtype("float32"), (2, 1)
    register("resolving", "examplelib.core:Base", factory=f"{HERE}:Resolving")
    for given, factor in ((2, -2), (np.float64(0.5), -0.5), (np.ones((2, 1), int), [[-1], [-1]])):
        came = revgrad.reverse(library.Base(), given)
        np.testing.assert_array_equal(came, np.float32(factor))
        assert came.dtype == "float32"
    assert revgrad.scale_gradient(library.Base(), -3) == -3
    for bad in (-1, np.ones(3), 1e300, object(), lambda p: p, revgrad.LambdaVariable(1)):
        with pytest.raises(revgrad.InvalidLambdaError):
            revgrad.reverse(library.Base(), bad)
    library.Base.dtype = np.dtype("int32")
    with pytest.raises(revgrad.UnsupportedTypeError, match="Cast it to a floating dtype"):
        revgrad.scale_gradient(library.Base(), 1)


def test_a_subclass_of_the_spec_is_validated_like_any_other(register):
    class Lenient(revgrad.BackendSpec):
        def problems(self):
            return ()

    with pytest.raises(ValueError, match="claims must be a tuple"):
        revgrad.register(Lenient("lenient", None, f"{HERE}:Resolving"))


def test_a_backend_that_is_unregistered_meanwhile_serves_the_call(library, register, monkeypatch):
    register("base", "examplelib.core:Base")
    choose = type(registry)._choose

    def choose_and_unregister(self, kind, specs):
        spec = choose(self, kind, specs)
        revgrad.unregister("base")
        return spec

    monkeypatch.setattr(type(registry), "_choose", choose_and_unregister)
    assert revgrad.reverse(library.Base(), 1.0) == ("Recorder", 1.0)


def test_a_backend_that_does_not_load_says_why_and_what_it_requires(library, register):
    register(
        "broken", "examplelib.core:Base", factory=f"{HERE}:failing_factory", requires="example>=2"
    )
    for call in (
        lambda: revgrad.reverse(library.Base(), 1),
        lambda: revgrad.get_backend("broken"),
        lambda: revgrad.reverse(np.ones(1), 1, backend="broken"),
    ):
        with pytest.raises(revgrad.BackendUnavailableError) as caught:
            call()
        words = str(caught.value)
        assert "'broken' does not load" in words and "OSError: libexample.so.1" in words
        assert "It requires example>=2." in words and "revgrad.unregister('broken')" in words
        assert isinstance(caught.value, ImportError)
        assert isinstance(caught.value.__cause__, OSError)
    assert revgrad.reverse(np.ones(1), 1) == 1


@pytest.mark.parametrize(
    "factory, words",
    [
        ("no_such_module:Backend", "No module named 'no_such_module'"),
        (f"{HERE}:NoSuchName", "NoSuchName"),
        (f"{HERE}:NotABackend", "it returned a NotABackend, not a revgrad.Backend"),
    ],
)
def test_a_wrong_factory_is_named(register, factory, words):
    register("wrong", "examplelib:X", factory=factory)
    with pytest.raises(revgrad.BackendUnavailableError) as caught:
        revgrad.get_backend("wrong")
    assert factory in str(caught.value) and words in str(caught.value)


@pytest.mark.parametrize(
    "spec, words",
    [
        ("theano", "expected a revgrad.BackendSpec; got 'theano' (str)"),
        (revgrad.BackendSpec("numpy", ("a:B",), "a:C"), "the name is taken by the backend of"),
        (revgrad.BackendSpec("a b", ("a:B",), "a:C"), "name must be a word without spaces"),
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
    with pytest.raises(ValueError) as caught:
        revgrad.register(spec)
    assert words in str(caught.value)
    assert dict(revgrad.backends) == known


def test_backends_is_a_read_only_mapping():
    assert revgrad.backends["numpy"].claims == ("numpy:ndarray", "numpy:generic")
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


def test_a_type_is_not_kept_alive(register):
    kind = type("Short", (np.ndarray,), {})
    revgrad.reverse(np.ones(2).view(kind), 1.0)
    gone = weakref.ref(kind)
    del kind
    gc.collect()
    assert gone() is None


def test_the_warm_path_takes_no_lock(monkeypatch):
    x = np.ones(2)
    revgrad.reverse(x, 1.0)

    class NoLock:
        def __enter__(self):
            raise AssertionError("a lock was taken")

        def __exit__(self, *args):
            pass

    monkeypatch.setattr(registry, "_lock", NoLock())
    assert revgrad.reverse(x, 1.0) is x
    assert revgrad.reverse(x, 1.0, backend="numpy") is x
    with pytest.raises(AssertionError):  # the probe works
        registry.register(revgrad.backends["numpy"])


FIRST_CALLS = """
import sys, threading
import numpy as np
import revgrad
sys.setswitchinterval(1e-6)
barrier, results, errors = threading.Barrier(64), [], []
x = np.ones(2)

def work():
    barrier.wait()
    try:
        results.append((revgrad.reverse(x, 1.0) is x, id(revgrad.get_backend("numpy")),
                        tuple(revgrad.backends)))
    except BaseException as error:
        errors.append(error)

threads = [threading.Thread(target=work) for _ in range(64)]
[t.start() for t in threads]
[t.join(60) for t in threads]
assert not errors, errors
assert len(results) == 64 and len(set(results)) == 1 and results[0][0], set(results)
"""


def test_first_calls_from_64_threads_agree():
    for _ in range(5):
        python(code=FIRST_CALLS)


def test_loading_a_backend_in_many_threads_gives_one_instance(register):
    register("example", "examplelib:X")
    barrier, found = threading.Barrier(16), []

    def work():
        barrier.wait()
        found.append(revgrad.get_backend("example"))

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16 and len({id(each) for each in found}) == 1
