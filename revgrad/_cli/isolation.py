"""Fresh interpreters: what plugins and frameworks do there takes nothing along.

A backend may crash, exit, hang or print when it is loaded, and two frameworks may not bear each
other. So the commands load each one in a process of its own; see `revgrad._cli.worker`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple, TypeVar

from revgrad import _plugins
from revgrad._cli.worker import MARK, Report

# The same path as here: `revgrad` and `python -m revgrad` differ in whether the working directory
# is on it.
_START = (
    "import os, sys; sys.path[:] = sys.argv.pop().split(os.pathsep); "
    "from revgrad._cli.worker import main; main(*sys.argv[1:])"
)
TIMEOUT = 120.0
"""The seconds that loading a backend may take: a large framework on a cold disk takes long."""

DISCOVERY = 60.0
"""The seconds that discovery may take: it imports light modules alone."""

_AT_ONCE = max(2, min(4, os.cpu_count() or 1))

T = TypeVar("T")
U = TypeVar("U")


def start(
    job: str, disable: Iterable[str] = (), **options: Any
) -> Tuple[List[str], Dict[str, str]]:
    """Return the command and the environment of a fresh interpreter that does a job."""
    command = [sys.executable, "-c", _START, job, json.dumps(options), os.pathsep.join(sys.path)]
    names = [*_plugins.disabled(), *disable]
    return command, {**os.environ, "REVGRAD_DISABLE": ",".join(names)}


def stream(job: str, disable: Iterable[str] = (), **options: Any) -> Iterator[Report]:
    """Do a job in a fresh interpreter and yield its reports as they come.

    What it prints goes to the standard error of this process. The last report has the key
    ``"ending"`` alone and says how it ended, which may be too early.
    """
    command, environment = start(job, disable, **options)
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                report = parsed(line)
                if report is not None:
                    yield report
        except BaseException:
            process.kill()
            raise
    yield {"ending": ending(process.returncode)}


def run(
    job: str, timeout: float, disable: Iterable[str] = (), **options: Any
) -> Tuple[Optional[Report], str, str]:
    """Do a job in a fresh interpreter.

    Returns
    -------
    report : dict or None
        The first; None if there was none.
    ending : str
        How the process ended, in words.
    printed : str
        What it printed.
    """
    command, environment = start(job, disable, timeout=timeout, **options)
    with tempfile.TemporaryFile() as printed:
        with subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=printed,
        ) as process:
            try:
                # One second more: one that hangs says where first.
                lines, _ = process.communicate(timeout=timeout + 1)
                how = ending(process.returncode)
            except subprocess.TimeoutExpired:
                process.kill()
                lines, _ = process.communicate()
                how = f"the process was not done within {timeout:g} seconds"
            except BaseException:
                process.kill()
                raise
        printed.seek(0)
        words = printed.read().decode("utf-8", "backslashreplace").strip()
    reports = [report for report in map(parsed, lines.splitlines()) if report is not None]
    return (reports[0] if reports else None), how, words


def parsed(line: bytes) -> Optional[Report]:
    """Return the report in a line, None for a line of another origin."""
    words = line.decode("ascii", "replace")
    if not words.startswith(MARK):
        return None
    report: Report = json.loads(words[len(MARK) :])
    return report


def ending(code: int) -> str:
    """Say how a process ended that should have gone on.

    Examples
    --------
    >>> ending(3)
    'the process exited with status 3'
    >>> ending(-signal.SIGSEGV)
    'the process was killed by SIGSEGV'
    """
    if code >= 0:
        return f"the process exited with status {code}"
    try:
        return f"the process was killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name
        return f"the process was killed by signal {-code}"


def at_once(function: Callable[[T], U], items: Iterable[T]) -> List[U]:
    """Call a function with each item, a few at a time."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(function, items))


def discover() -> Report:
    """Discover the plugins in a fresh interpreter.

    A plugin that takes the process along is found by discovering each one alone, and is a
    failure of the stage ``"discovery"``.

    Returns
    -------
    dict
        The report of `revgrad._cli.worker.discover`, and ``"fatal"``: the names of the plugins that no
        process survives.
    """
    report, how, printed = run("discover", DISCOVERY)
    if report is not None:
        return {**report, "fatal": []}
    plugins = {name: where for name, where, _ in _plugins.entry_points()}
    plugins = {name: where for name, where in plugins.items() if name not in _plugins.disabled()}

    def alone(plugin: str) -> Tuple[Optional[Report], str, str]:
        return run("discover", DISCOVERY, [name for name in plugins if name != plugin])

    fatal: List[Report] = [
        {
            "plugin": plugin,
            "distribution": plugins[plugin],
            "stage": "discovery",
            "error": f"{how} while the plugin was discovered",
            "traceback": printed,
        }
        for plugin, (report, how, printed) in zip(plugins, at_once(alone, plugins))
        if report is None
    ]
    names = [failure["plugin"] for failure in fatal]
    report, how, printed = run("discover", DISCOVERY, names)
    if report is None:  # only together, then
        together: Report = {"plugin": ", ".join(plugins), "distribution": None}
        error = f"{how} while the plugins were discovered"
        fatal.append({**together, "stage": "discovery", "error": error, "traceback": printed})
        return {"backends": [], "failures": fatal, "fatal": names}
    return {**report, "failures": report["failures"] + fatal, "fatal": names}


def is_installed(claims: Iterable[str]) -> bool:
    """Say whether the package of a claim is there, without importing it."""
    return any(_is_found(claim.partition(":")[0]) for claim in claims)


def _is_found(module: str) -> bool:
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        try:
            found = importlib.util.find_spec(name)
        except Exception:  # whatever is there, loading it will tell
            return True
        if found is None:
            return False
        # A folder without __init__.py may be any folder of that name: only what is in it tells.
        if found.origin is not None or found.submodule_search_locations is None:
            return True
    return False


def version_of(requires: str, claims: Iterable[str]) -> Optional[str]:
    """Return the version in the metadata of what a record requires, None if there is none."""
    names = [requires.split(";")[0].strip()] if requires else []
    names += [claim.partition(":")[0].partition(".")[0] for claim in claims]
    for name in names:
        try:
            return metadata.version(_distribution(name))
        except Exception:  # not installed, or its metadata is broken
            continue
    return None


def _distribution(requirement: str) -> str:
    end = (i for i, letter in enumerate(requirement) if not (letter.isalnum() or letter in "._-"))
    return requirement[: next(end, len(requirement))]
