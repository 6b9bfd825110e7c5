"""Run jobs in subprocesses, so that a crash cannot take the caller down.

A backend may crash, exit, hang or print when it is loaded, and two frameworks may conflict in one
process. So the commands load each one in a process of its own; see `revgrad._cli.worker`.
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Callable, Iterable, List, Tuple

from revgrad import _plugins
from revgrad._cli.worker import Entry, Outcome, left_out

# The same path as here: `revgrad` and `python -m revgrad` differ in whether the working directory
# is on it.
_START = (
    "import os, sys; sys.path[:] = sys.argv.pop().split(os.pathsep); "
    "from revgrad._cli.worker import main; main(*sys.argv[1:])"
)
# The seconds that discovery may take: it imports light modules only.
DISCOVERY = 60.0


@dataclass(frozen=True)
class Done:
    """What a process reported, how it ended, as a clause, and what it printed."""

    reports: List[Any]
    how: str
    printed: str


def run(job: str, timeout: float, disable: Iterable[str] = (), **options: Any) -> Done:
    """Do a job in a subprocess; with a timeout of 0, none, what it prints is not kept but shown."""
    began, how = time.monotonic(), ""
    disabled = ",".join([*_plugins.disabled(), *disable])
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as printed:
        reports = pathlib.Path(folder, "reports")
        reports.touch()
        argument = json.dumps({"path": str(reports), "timeout": timeout, **options})
        output: Any = printed if timeout else 2
        with contextlib.suppress(subprocess.TimeoutExpired):
            process = subprocess.run(
                [sys.executable, "-c", _START, job, argument, os.pathsep.join(sys.path)],
                env={**os.environ, "REVGRAD_DISABLE": disabled},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=timeout + 10 if timeout else None,  # it prints where it hangs, and exits
            )
            how = ending(process.returncode)
        if timeout and time.monotonic() - began > timeout:
            how = f"the process did not finish within {timeout:g} seconds"
        printed.seek(0)
        text = printed.read().decode("utf-8", "backslashreplace").strip()
        kind = Outcome if job == "check" else Entry
        found = [kind(**json.loads(line)) for line in reports.read_text().splitlines()]
    return Done(found, how, text)


def ending(code: int) -> str:
    """Say how a process ended.

    Examples
    --------
    >>> ending(3)
    'the process exited with status 3'
    >>> ending(-signal.SIGSEGV)
    'the process was killed by SIGSEGV'
    """
    if code >= 0:
        return f"the process exited with status {code}"
    names = {number.value: number.name for number in signal.Signals}  # a real-time one has none
    return f"the process was killed by {names.get(-code, f'signal {-code}')}"


def in_parallel(function: Callable[[Any], Any], items: Iterable[Any]) -> List[Any]:
    """Call a function with each item, a few at a time."""
    with ThreadPoolExecutor(max(2, min(4, os.cpu_count() or 1))) as pool:
        return list(pool.map(function, items))


def discover() -> Tuple[List[Entry], List[str]]:
    """Discover the plugins; where that kills the process, discover each one alone first.

    Returns
    -------
    entries : list of Entry
        The backends, and the plugins that were left out.
    fatal : list of str
        The plugins that no process survives.
    """
    done = run("discover", DISCOVERY)
    fatal: List[Entry] = []
    if not done.reports:
        where = {name: where for name, where, _ in _plugins.entry_points()}
        names = [name for name in where if name not in _plugins.disabled()]
        alone = in_parallel(lambda name: run("discover", DISCOVERY, {*names} - {name}), names)
        lost = [(name, where[name], each) for name, each in zip(names, alone) if not each.reports]
        done = run("discover", DISCOVERY, [name for name, _, _ in lost])
        if not done.reports:  # they are fatal only together
            lost.append((",".join(names), "", done))
        for plugin, distribution, each in lost:
            error = f"{each.how} while the plugin was discovered"
            fatal.append(left_out(plugin, distribution, "discovery", error, each.printed))
    return done.reports + fatal, [str(entry.plugin) for entry in fatal]
