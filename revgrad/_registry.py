"""Which backends there are, and which one handles a type.

The warm path is one look-up in a weak dictionary keyed by type: no lock and no pluggy. Everything
else happens once in a process, or once for each new type.
"""

import functools
import importlib
import numbers
import operator
import sys
import threading
import types
import warnings
import weakref
from typing import Any, Dict, Iterator, List, Mapping, MutableMapping, Optional, Type

from revgrad import exceptions
from revgrad._lambda import SWAPPED, describe_value, short_repr
from revgrad._names import did_you_mean
from revgrad._tracers import evaluated_while_traced
from revgrad.backend import Backend, BackendSpec
from revgrad.exceptions import describe_error

_NUMPY = BackendSpec(
    "numpy", ("numpy:ndarray", "numpy:generic"), "revgrad.reference:NumpyBackend", "numpy"
)


class Registry:
    """The backends of one process.

    Attributes
    ----------
    failures : list of revgrad._plugins.PluginFailure
        The plugins, or specs of them, that were left out at discovery.
    sources : dict of str to revgrad._plugins.DiscoveredSpec
        Where each backend that was discovered comes from, by its name.
    """

    def __init__(self) -> None:
        self.failures: List[Any] = []
        self.sources: Dict[str, Any] = {}
        self._specs: Dict[str, BackendSpec] = {_NUMPY.name: _NUMPY}
        self.loaded: Dict[str, Backend] = {}
        self._discovered = False
        self._discovering = False
        self._lock = threading.RLock()
        self.by_type: MutableMapping[type, Backend] = weakref.WeakKeyDictionary()

    def specs(self) -> Dict[str, BackendSpec]:
        """Return the specs by name, discovering plugins at the first call."""
        if not self._discovered:
            self._discover()
        return self._specs

    def _discover(self) -> None:
        with self._lock:
            # Another thread was faster; or a plugin asks while it is loaded, on this thread, for
            # which the lock is open: it sees what there is so far.
            if self._discovered or self._discovering:
                return
            self._discovering = True
            try:
                from revgrad import _plugins

                found, failures = _plugins.discover()
                specs, sources = dict(self._specs), {}
                for each in found:
                    try:
                        _validate(each.spec, specs)
                    except Exception as error:  # whatever a class of a third party raises
                        where = each.plugin, each.distribution
                        failures.append(_plugins.PluginFailure(*where, "spec", error))
                    else:
                        specs[each.spec.name], sources[each.spec.name] = each.spec, each
                self.failures, self.sources = failures, sources
                self._replace(specs)
                self._discovered = True
            finally:
                self._discovering = False
        for message in (*map(str, failures), *_plugins.unknown_disabled()):
            warnings.warn(message, exceptions.PluginWarning, stacklevel=_level_of_the_caller())

    def register(self, spec: BackendSpec) -> None:
        """Add a backend; see `revgrad.register`."""
        with self._lock:
            _validate(spec, self.specs())
            self._replace({**self._specs, spec.name: spec})

    def unregister(self, name: str) -> BackendSpec:
        """Remove a backend; see `revgrad.unregister`."""
        with self._lock:
            spec = self.spec(name)
            self.loaded.pop(name, None)
            self._replace({each: self._specs[each] for each in self._specs if each != name})
            return spec

    def _replace(self, specs: Dict[str, BackendSpec]) -> None:
        # New objects instead of changed ones: a thread that reads the old ones meanwhile is not
        # disturbed, and what it still caches goes with them. The specs come first, and are read
        # last: what is cached under the new ones was chosen from them.
        self._specs = specs
        self.by_type = weakref.WeakKeyDictionary()

    def spec(self, name: str) -> BackendSpec:
        """Return the spec of that name."""
        spec = self.specs().get(name) if isinstance(name, str) else None
        if spec is None:
            raise self._unknown(name)
        return spec

    def get_backend(self, name: str) -> Backend:
        """Return the backend of that name, loading it at the first call."""
        return self._backend_of(self.spec(name))

    def _backend_of(self, spec: BackendSpec) -> Backend:
        """Return the backend of a spec, which another thread may have unregistered meanwhile."""
        backend = self.loaded.get(spec.name)
        return self._load(spec) if backend is None else backend

    def _load(self, spec: BackendSpec) -> Backend:
        # The factory is imported without holding the lock: it imports a framework, and a thread
        # that imports the same framework may be waiting for us.
        try:
            backend = resolve_reference(spec.factory)()
            if not isinstance(backend, Backend):
                raise TypeError(f"it returned a {type(backend).__name__}, not a revgrad.Backend")
        except (Exception, SystemExit) as error:
            from revgrad import _plugins

            needs = f" It requires {spec.requires}." if spec.requires else ""
            source = self.sources.get(spec.name)
            extra = _plugins.extra_of(source.distribution, spec.name) if source else ""
            how = f": pip install {extra!r}" if extra else ""
            raise exceptions.BackendUnavailableError(
                f"The backend {spec.name!r} does not load: its factory {spec.factory} failed with "
                f"{describe_error(error, 1000)}.{needs} Install what is missing{how}. Call "
                f"revgrad.unregister({spec.name!r}) to do without it."
            ) from error
        with self._lock:
            if self._specs.get(spec.name) is not spec:
                return backend  # unregistered meanwhile: serve this call, keep nothing
            return self.loaded.setdefault(spec.name, backend)

    def find(self, kind: type) -> Backend:
        """Choose the backend for a type and remember it."""
        self.specs()  # discovers
        cache = self.by_type
        backend = cache[kind] = self._backend_of(self._choose(kind, self._specs))
        return backend

    # It discovers, imports and locks, none of which can be traced.
    @evaluated_while_traced
    def ready(self, kind: type, name: Optional[str]) -> str:
        """Load the backend of that name, or else of that type, and return its name."""
        spec = self._choose(kind, self.specs()) if name is None else self.spec(name)
        self._backend_of(spec)
        return spec.name

    def _choose(self, kind: type, specs: Mapping[str, BackendSpec]) -> BackendSpec:
        ancestors = kind.__mro__
        matches = []
        for spec in specs.values():
            for claim in spec.claims:
                cls = loaded_class(claim)
                if cls in ancestors:
                    matches.append((ancestors.index(cls), claim, spec))
        if not matches:
            raise self._unsupported(kind, specs)
        nearest, claim, spec = min(matches, key=lambda match: match[0])
        equals = [other for distance, _, other in matches if distance == nearest]
        others = [each for each in specs.values() if each is not spec]
        root = _root(claim)
        rivals = [each for each in others if each in equals or root in map(_root, each.claims)]
        if rivals:
            names = " and ".join(repr(each.name) for each in [spec, *rivals])
            raise exceptions.AmbiguousBackendError(
                f"The backends {names} all claim the same class, or classes of the package "
                f"{root!r}, so none is chosen for a {_name(kind)}. Name one, "
                f"reverse(x, lam, backend={spec.name!r}), or leave the others out: "
                f"revgrad.unregister({rivals[0].name!r}), or REVGRAD_DISABLE with the names of "
                "their plugins."
            )
        return spec

    def _unsupported(self, kind: type, specs: Mapping[str, BackendSpec]) -> Exception:
        known = "; ".join(f"{spec.name} ({', '.join(spec.claims)})" for spec in specs.values())
        return exceptions.UnsupportedTypeError(
            f"No backend claims the type {_name(kind)}.{_advice(kind)} Known backends: {known}."
            f"{self._broken()} Pass a value of one of these frameworks (a number: "
            "numpy.asarray(x)), install the plugin of yours, or name a backend: "
            "reverse(x, lam, backend=...)."
        )

    def _unknown(self, name: object) -> Exception:
        return exceptions.BackendUnavailableError(
            f"There is no backend named {short_repr(name)}."
            f"{did_you_mean(name, self._specs) if isinstance(name, str) else ''} Known backends: "
            f"{', '.join(self._specs)}.{self._broken()} Install the plugin that has it."
        )

    def _broken(self) -> str:
        from revgrad import _plugins

        disabled = ", ".join(_plugins.disabled())
        failures = "; ".join(
            f"plugin {each.plugin!r} of {each.distribution} (at {each.stage}: {each.reason})"
            for each in self.failures
        )
        words = f" REVGRAD_DISABLE leaves out: {disabled}." if disabled else ""
        return f"{words} Left out: {failures}." if failures else words


class Backends(Mapping[str, BackendSpec]):
    """The known backends: a read-only mapping from name to `BackendSpec`.

    Looking at it discovers the plugins, and imports no framework.

    Examples
    --------
    >>> import revgrad
    >>> revgrad.backends["numpy"].claims
    ('numpy:ndarray', 'numpy:generic')
    """

    def __getitem__(self, name: str) -> BackendSpec:
        return registry.specs()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(registry.specs())

    def __len__(self) -> int:
        return len(registry.specs())

    def __repr__(self) -> str:
        return f"<revgrad backends: {', '.join(self)}>"


def loaded_class(claim: str) -> Any:
    """Return the class that a claim names, or None where its module is not loaded.

    An object cannot exist before its class does, so a claim on a module that is not in
    ``sys.modules`` matches nothing: no import is ever needed to choose.
    """
    module, _, qualname = claim.partition(":")
    name, *inner = qualname.split(".")
    try:
        # Not getattr: a module's own __getattr__ may import what was never asked for.
        return functools.reduce(getattr, inner, vars(sys.modules[module])[name])
    except Exception:
        return None


def resolve_reference(reference: str) -> Any:
    """Import the object that ``"module:qualname"`` names."""
    module, _, qualname = reference.partition(":")
    return operator.attrgetter(qualname)(importlib.import_module(module))


def _validate(spec: Any, specs: Mapping[str, BackendSpec]) -> None:
    """Raise if a spec is not valid, or its name is taken."""
    if not isinstance(spec, BackendSpec):
        raise ValueError(f"expected a revgrad.BackendSpec; got {describe_value(spec)}")
    problems = list(BackendSpec.problems(spec))  # not what a subclass makes of it
    if not problems and spec.name in specs:
        problems.append(
            f"the name is taken by the backend of {specs[spec.name].factory}: choose another, or "
            f"call revgrad.unregister({spec.name!r}) first"
        )
    if problems:
        raise ValueError(f"the spec of backend {short_repr(spec.name)}: {'; '.join(problems)}")


def _advice(kind: type) -> str:
    """Return what to do with an `x` of a type that people often pass by mistake."""
    # Whatever this package makes (a schedule, a scheduler, a LambdaVariable) belongs to λ.
    if issubclass(kind, numbers.Number) or _root(kind.__module__) == "revgrad":
        return SWAPPED
    if kind is type(None):
        return " Does the function that computes x return it?"
    if issubclass(kind, (list, tuple, dict, set, frozenset, types.GeneratorType)):
        return (
            " Map over its items, for instance jax.tree.map(lambda leaf: revgrad.reverse(leaf, "
            "lam), x); of JAX, revgrad_jax.reverse_gradient takes a whole pytree."
        )
    if kind.__name__ == "KerasTensor" and ".engine." in kind.__module__:  # not that of Keras 3
        return (
            " It is a symbolic tensor of Keras 2, of which the backend 'tensorflow' reverses the "
            "tensors inside a layer: tf_keras.layers.Lambda(lambda x: revgrad.reverse(x, lam))(x)."
        )
    if any("__call__" in vars(each) for each in kind.__mro__):
        return " It is callable, as a module is: reverse the value that it returns."
    return ""


def _root(reference: str) -> str:
    return reference.partition(":")[0].partition(".")[0]


def _level_of_the_caller() -> int:
    """Return the ``stacklevel`` that makes a warning point at the first line outside revgrad."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and _root(frame.f_globals.get("__name__", "")) == "revgrad":
        level, frame = level + 1, frame.f_back
    return level


def _name(kind: Type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


registry = Registry()
backends = Backends()
