"""The checks on the spec and the choice by type: C18 to C20."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, List, Tuple

import numpy as np

from revgrad._registry import registry
from revgrad.exceptions import UnsupportedTypeError
from revgrad.testing._cases import run_of
from revgrad.testing._check import check, mismatch
from revgrad.testing.harness import Harness

THREADS = 16

# The seconds that importing a plugin and calling its hook may take; it is some milliseconds.
LIGHT = 1.0

_DISCOVER = """
import contextlib, json, sys, sysconfig, time, warnings
import importlib.metadata, pluggy, revgrad
from revgrad import _plugins
warnings.simplefilter("ignore")
spec, seconds, imported = json.loads(sys.argv[1]), 0.0, set()
for name, _, load in _plugins.entry_points():
    started, before = time.perf_counter(), set(sys.modules)
    try:
        plugin = load()
        names = [each.name for each in plugin.revgrad_backends()]
    except BaseException:
        continue
    if spec["name"] in names:
        seconds = time.perf_counter() - started
        ours = "revgrad", plugin.__name__.partition(".")[0]
        standard = tuple({sysconfig.get_paths()[each] for each in ("stdlib", "platstdlib")})
        for each in set(sys.modules) - before:
            root, file = each.partition(".")[0], getattr(sys.modules[each], "__file__", None) or ""
            inside = file.startswith(standard) and "site-packages" not in file
            if root not in ours and file and not inside:
                imported.add(root)
if spec["name"] not in revgrad.backends:
    spec["claims"] = tuple(spec["claims"])
    revgrad.register(revgrad.BackendSpec(**spec))
with contextlib.suppress(revgrad.UnsupportedTypeError):
    revgrad.reverse(object(), 1.0)
roots = {claim.partition(":")[0].partition(".")[0] for claim in spec["claims"]}
imported |= roots & set(sys.modules)
print(json.dumps([sorted(imported), seconds]))
"""


@check("C18")
def claims_resolve(harness: Harness) -> None:
    """The claims resolve type(x) to the right backend, traced values included, which reverses."""
    backend = registry.get_backend(harness.backend)
    seen: List[Any] = list(harness.values())

    def fn(x: Any) -> Any:
        seen.append(x)
        return x

    one = np.ones((1,), harness.dtypes[0])
    run_of(harness.program(fn, (1,), harness.dtypes[0]))(one, one)
    for value in seen:
        kind = type(value)
        given = f"a value of {kind.__module__}.{kind.__qualname__}"
        try:
            chosen = registry.find(kind)
        except UnsupportedTypeError as error:
            raise mismatch(given, f"the backend {harness.backend!r}", error) from error
        if chosen is not backend:
            came = f"a {type(chosen).__qualname__}"
            raise mismatch(given, f"the backend {harness.backend!r}", came)
    for value in harness.values():
        harness.reverse(value, 0.3)


@check("C19")
def light_discovery(harness: Harness) -> None:
    """Discovering and choosing a backend imports no framework, and takes no time to speak of."""
    given = f"a new process, in which {harness.backend!r} is discovered and not chosen"
    for _ in range(3):  # a machine that is busy may be slow once
        imported, seconds = _discovered(harness, given)
        if imported:
            advice = "a plugin module that imports revgrad only, outside the framework's package"
            raise mismatch(given, advice, f"{', '.join(imported)} is imported")
        if seconds < LIGHT:
            return
    raise mismatch(given, f"importing the plugin takes less than {LIGHT:g} s", f"{seconds:.2g} s")


def _discovered(harness: Harness, given: str) -> Tuple[List[str], float]:
    """Return the packages that the plugin imports in a new process, and the seconds it takes."""
    command = [sys.executable, "-c", _DISCOVER, json.dumps(asdict(registry.spec(harness.backend)))]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode != 0:
        raise mismatch(given, "no error", done.stderr.strip())
    imported, seconds = json.loads(done.stdout.strip().splitlines()[-1])
    return imported, seconds


@check("C20", needs="threads")
def thread_safe(harness: Harness) -> None:
    """Concurrent first calls from many threads give the same answers as one thread."""
    # A spec that is taken out and put back is chosen and loaded anew.
    registry.register(registry.unregister(harness.backend))
    barrier = threading.Barrier(THREADS, timeout=60)
    dtype = harness.dtypes[0]
    one = np.ones((1,), dtype)

    def work(number: int) -> float:
        together = [True]

        def fn(x: Any) -> Any:
            first = together.pop() if together else False
            if first:
                barrier.wait()
            y = harness.reverse(x, 1.0 + number)
            if first:
                barrier.wait()  # all have reversed before any differentiates
            return y

        try:
            return float(run_of(harness.program(fn, (1,), dtype))(one, one)[1][0])
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(work, number) for number in range(THREADS)]
    for error in [future.exception() for future in futures]:
        # A broken barrier says only that another thread has failed.
        if error and not isinstance(error, threading.BrokenBarrierError):
            raise error
    answers = [None if future.exception() else future.result() for future in futures]
    expected = [-1.0 - number for number in range(THREADS)]
    if answers != expected:
        raise mismatch(f"x = g = [1.], λ = 1 to {THREADS} on {THREADS} threads", expected, answers)


__all__ = [name for name, value in list(globals().items()) if hasattr(value, "clause")]
