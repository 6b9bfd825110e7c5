"""What a subprocess does for the doctor and for ``revgrad check``; see `revgrad._cli.isolation`.

It does what a user's process does. It reports in a file of its own, because frameworks print.
"""

import contextlib
import faulthandler
import importlib.util
import json
import re
import shutil
import sys
import traceback
import warnings
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from itertools import accumulate
from typing import Any, Callable, Optional, Sequence

from revgrad._registry import registry
from revgrad._version import __version__
from revgrad.backend import BackendSpec
from revgrad.exceptions import PluginWarning, describe_error


@dataclass(frozen=True)
class Entry:
    """A backend, or a plugin that was left out, as ``revgrad --json`` prints it."""

    backend: Optional[str] = None
    plugin: Optional[str] = None
    distribution: Optional[str] = None
    version: Optional[str] = None
    requires: Optional[str] = None
    framework: Optional[str] = None
    state: str = "broken"
    claims: Sequence[str] = ()
    harness: Optional[str] = None
    prepare: Optional[str] = None
    stage: Optional[str] = None
    error: Optional[str] = None
    advice: Optional[str] = None
    traceback: Optional[str] = None


@dataclass(frozen=True)
class Outcome:
    """A check that begins, or that was run, as ``revgrad check --json`` prints it."""

    check: str
    clause: str
    outcome: str
    reason: str = ""
    traceback: Optional[str] = None


Report = Callable[[Any], None]


def main(job: str, argument: str) -> None:
    """Do a job, which is a function of this module, and write what it reports."""
    options = json.loads(argument)
    path, timeout = options.pop("path"), options.pop("timeout")
    faulthandler.enable()  # a process that crashes or hangs says where
    if timeout:
        faulthandler.dump_traceback_later(timeout, exit=True)
    warnings.simplefilter("ignore", PluginWarning)  # the doctor reports what was left out
    with open(path, "w") as channel:

        def report(found: Any) -> None:
            print(json.dumps(asdict(found)), file=channel, flush=True)

        globals()[job](report, **options)


def discover(report: Report) -> None:
    """Report each backend that was discovered, the built-in one first, and what was left out."""
    for name in sorted(registry.specs(), key=lambda name: (name in registry.sources, name)):
        report(_entry(name))
    for each in registry.failures:
        trace = _traceback(each.error)
        report(left_out(each.plugin, each.distribution, each.stage, each.reason, trace))


def load(report: Report, name: str, prepare: str) -> None:
    """Load a backend, after the module that prepares for its framework if one is given."""
    entry = _entry(name)
    try:
        if prepare:
            importlib.import_module(prepare)
        backend = registry.get_backend(name)
    except BaseException as error:
        # Not the context: what was caught before a second attempt is not why that one failed.
        root = error
        while root.__cause__ is not None:
            root = root.__cause__
        own = error.__cause__ or error
        advice = "" if own is root else _message(own)  # of the plugin, in words of its own
        found = replace(entry, error=describe_error(root), traceback=_traceback(error))
        report(replace(found, state="broken", advice=advice and advice.rstrip(".") + "."))
    else:
        loaded = (getattr(sys.modules.get(root), "__version__", None) for root in _roots(name))
        framework = next((each for each in loaded if isinstance(each, str)), entry.framework)
        report(replace(entry, state="ok", framework=framework, advice=backend.limits or None))


def check(report: Report, name: str, skip: int) -> None:
    """Run the checks on a backend but for the first few, and report each before and after."""
    from revgrad.testing import CHECKS, load_harness, run_check

    progress(f"{name}: loading")
    running = None
    try:
        spec = registry.spec(name)
        if name not in registry.sources and not spec.harness:
            reason = "reverse() returns a NumPy array as it is, a constant without a gradient"
            return report(Outcome("", "", "nothing to check", reason))
        if spec.prepare:
            importlib.import_module(spec.prepare)
        harness = load_harness(name)
        for i, each in enumerate(list(CHECKS)[skip:], skip + 1):
            progress(f"{name}: {i}/{len(CHECKS)} {each}")
            running = Outcome(each, CHECKS[each].clause, "running")
            report(running)
            result = run_check(each, harness)
            cause = result.error.__cause__ if result.error else None
            trace = _traceback(cause) if cause else None
            report(Outcome(each, running.clause, result.outcome, result.reason, trace))
    except BaseException as error:
        outcome = Outcome("", "", "unavailable", _message(error) or describe_error(error))
        if running and not isinstance(error, ValueError):  # it exits, or skips as a test does
            reason = f"{running.clause} {running.check}: it raised {describe_error(error)}"
            outcome = replace(running, outcome="failed", reason=reason)
        report(replace(outcome, traceback=_traceback(error)))


def progress(text: str, last: bool = False) -> None:
    """Show what goes on in a line of a terminal that is replaced; elsewhere print the last one."""
    if sys.stderr.isatty():
        width = max(1, shutil.get_terminal_size().columns - 1)
        shown = "" if last else text[:width]
        print(f"\r{shown:<{width}}\r", end="", file=sys.stderr, flush=True)
    elif last:
        print(text, file=sys.stderr, flush=True)


def left_out(plugin: str, distribution: str, stage: str, error: str, trace: str) -> Entry:
    """Return the entry of a plugin that was left out."""
    name, _, version = distribution.partition(" ")
    return Entry(None, plugin, name, version, stage=stage, error=error, traceback=trace or None)


def _entry(name: str) -> Entry:
    """Return what is known of a backend that was discovered, and is not loaded."""
    spec, source = registry.spec(name), registry.sources.get(name)
    origin = source.distribution if source else f"revgrad {__version__}"
    distribution, _, version = origin.partition(" ")
    there = any(map(_is_installed, spec.claims))
    return Entry(
        backend=name,
        plugin=source.plugin if source else None,
        distribution=distribution,
        version=version,
        requires=spec.requires or None,
        framework=_version_in_metadata(spec) if there else None,
        state="installed" if there else "not installed",
        claims=spec.claims,
        harness=spec.harness or None,
        prepare=spec.prepare or None,
    )


def _is_installed(claim: str) -> bool:
    """Say whether the package of a claim is there, without importing it."""
    names = accumulate(claim.partition(":")[0].split("."), "{}.{}".format)
    try:
        # A folder without __init__.py may be any folder of that name: look at what is in it.
        specs = (importlib.util.find_spec(name) for name in names)
        return next((spec for spec in specs if spec is None or spec.origin), None) is not None
    except Exception:  # something is there: loading it will tell
        return True


def _version_in_metadata(spec: BackendSpec) -> Optional[str]:
    """Return the version of the distribution that a spec requires, or that is named as a claim."""
    for name in [*re.findall(r"^\s*([\w.-]+)", spec.requires), *_roots(spec.name)]:
        with contextlib.suppress(Exception):  # not installed, or its metadata is broken
            return metadata.version(name)
    return None


def _roots(name: str) -> Sequence[str]:
    """Return the packages that a backend claims."""
    return [re.split("[.:]", claim)[0] for claim in registry.spec(name).claims]


def _message(error: BaseException) -> str:
    """Return the message of an error in one line."""
    return describe_error(error, 10_000).partition(": ")[2]


def _traceback(error: BaseException) -> str:
    """Return the whole traceback of an error."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))
