"""Find plugins, each on its own: one that is broken leaves the others working.

pluggy isolates nothing by itself: its loader stops at the first import that fails, one raising
hook fails the whole call, a plugin whose hook does not match the specification stays half
registered, and one that cannot be hashed fails every later call. So every entry point is loaded,
registered and called by itself, with a plugin manager of its own, and each failure is kept with the
stage at which it happened.
"""

import functools
import importlib.metadata
import os
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Iterator, List, Mapping, Tuple

import pluggy

from revgrad import hookspecs
from revgrad.backend import BackendSpec
from revgrad.exceptions import describe_error

_HOOK = "revgrad_backends"


@dataclass(frozen=True)
class PluginFailure:
    """Why a plugin, or one spec of it, was left out.

    Parameters
    ----------
    plugin : str
        The name of its entry point.
    distribution : str
        The name and version of the distribution that installed it.
    stage : str
        ``"import"``, ``"registration"``, ``"hook"`` or ``"spec"``.
    error : BaseException
        What was raised.
    """

    plugin: str
    distribution: str
    stage: str
    error: BaseException

    @property
    def reason(self) -> str:
        """The type and the message of the error, in one line."""
        return describe_error(self.error)

    def __str__(self) -> str:
        return (
            f"revgrad plugin {self.plugin!r} of {self.distribution} was left out at stage "
            f"{self.stage!r}: {self.reason}. The other backends work on. Upgrade or uninstall "
            f"{self.distribution.split()[0]}, or set REVGRAD_DISABLE={self.plugin} to silence this."
        )


@dataclass(frozen=True)
class DiscoveredSpec:
    """A spec that a plugin returned, and where it comes from."""

    spec: BackendSpec
    plugin: str
    distribution: str


def discover() -> Tuple[List[DiscoveredSpec], List[PluginFailure]]:
    """Load every plugin of the entry-point group ``revgrad`` and collect its specs.

    Reads the metadata of each installed distribution: some milliseconds, once in a process.

    Returns
    -------
    specs : list of DiscoveredSpec
        In the order of the distributions on the path; not validated yet.
    failures : list of PluginFailure
        One for each plugin that was left out.
    """
    blocked = disabled()
    found: List[DiscoveredSpec] = []
    failures: List[PluginFailure] = []
    for name, distribution, load in entry_points():
        if name in blocked:
            continue
        stage = "import"
        try:
            plugin = load()
            stage = "registration"
            hook = _register(plugin, name)
            stage = "hook"
            specs = _call(hook)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin that exits, or skips as a test does, is broken
            failures.append(PluginFailure(name, distribution, stage, error))
        else:
            found.extend(DiscoveredSpec(spec, name, distribution) for spec in specs)
    return found, failures


def unknown_disabled() -> List[str]:
    """Return a warning about the names in ``REVGRAD_DISABLE`` that no plugin has, if any."""
    blocked = disabled()
    known = [name for name, _, _ in entry_points()] if blocked else []
    unknown = ", ".join(name for name in blocked if name not in known)
    words = f"REVGRAD_DISABLE lists unknown plugins: {unknown}. Known plugins: {', '.join(known)}."
    return [words] if unknown else []


def extra_of(distribution: str, name: str) -> str:
    """Return the requirement that installs a framework, ``"revgrad[jax]"``, where there is one."""
    project = distribution.split()[0]
    try:
        extras = importlib.metadata.metadata(project).get_all("Provides-Extra") or []
    except importlib.metadata.PackageNotFoundError:
        return ""
    return f"{project}[{name}]" if name in extras else ""


def disabled() -> Tuple[str, ...]:
    """Return the names that the environment variable ``REVGRAD_DISABLE`` blocks.

    Returns
    -------
    tuple of str
        Names of entry points, without surrounding white space.
    """
    names = (name.strip() for name in os.environ.get("REVGRAD_DISABLE", "").split(","))
    return tuple(name for name in names if name)


def entry_points() -> Iterator[Tuple[str, str, Callable[[], Any]]]:
    """Yield the name of each plugin, its distribution, and the function that imports it."""
    seen = set()
    for distribution in importlib.metadata.distributions():
        # Looking for the group in the text first leaves the metadata of all the other packages
        # unparsed: it is faster, and a malformed file of one of them is not our concern.
        try:
            text = distribution.read_text("entry_points.txt") or ""
        except (UnicodeDecodeError, OSError):
            continue
        if f"[{hookspecs.PROJECT}]" not in text:
            continue
        name, where = _name_of(distribution)
        try:
            entry_points = list(distribution.entry_points)
        except Exception as error:  # what a malformed file raises differs from Python to Python
            yield name, where, functools.partial(_fail, error)
            continue
        for entry_point in entry_points:
            # The first on the path wins, as it does for an import: an installed copy and a source
            # tree in the working directory announce the same plugin twice.
            if entry_point.group == hookspecs.PROJECT and (name, entry_point.name) not in seen:
                seen.add((name, entry_point.name))
                yield entry_point.name, where, entry_point.load


def _name_of(distribution: importlib.metadata.Distribution) -> Tuple[str, str]:
    """Return the name of a distribution, and it with the version; METADATA may be damaged."""
    try:
        metadata = distribution.metadata
        found = (metadata.get_all(key) or [""] for key in ("Name", "Version"))
        name, version = (" ".join(each[0].split()) for each in found)
    except Exception:
        name = version = ""
    return name or "unknown", f"{name or 'unknown'} {version or '(no version)'}"


def _fail(error: Exception) -> Any:
    raise ValueError(f"its entry_points.txt does not parse: {error!r}") from error


def _register(plugin: Any, name: str) -> Any:
    """Return the hook of a plugin, validated against the specification."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin, name=name)
    hook = getattr(manager.hook, _HOOK)
    # pluggy accepts a marked function of any name, so a misspelt hook would just never be called.
    if not hook.get_hookimpls():
        raise ValueError(
            f"{plugin!r} implements no hook of revgrad; decorate a function named {_HOOK} with "
            "revgrad.hookimpl"
        )
    return hook


def _call(hook: Any) -> List[BackendSpec]:
    """Call the hook of a plugin and return its specs."""
    results: List[Any] = hook()
    specs: List[BackendSpec] = []
    for result in results:
        if isinstance(result, BackendSpec):
            result = [result]
        if isinstance(result, (str, bytes, Mapping)) or not isinstance(result, Iterable):
            kind = type(result).__name__
            raise TypeError(f"{_HOOK} must return specs; got {result!r} ({kind})")
        specs.extend(result)
    if not results:  # pluggy drops None
        raise TypeError(f"{_HOOK} returned None; return its specs")
    return specs
