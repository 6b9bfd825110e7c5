"""The checks on the record and the choice by type: C18 to C20."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict
from typing import Any, List

import numpy as np

import revgrad
from revgrad._registry import registry
from revgrad.testing._cases import run_of
from revgrad.testing._check import check, mismatch
from revgrad.testing.harness import Harness

THREADS = 16

_CHOOSE = """
import json, sys
import revgrad
spec = json.loads(sys.argv[1])
if spec["name"] not in revgrad.backends:
    spec["claims"] = tuple(spec["claims"])
    revgrad.register(revgrad.BackendSpec(**spec))
try:
    revgrad.reverse(object(), 1.0)
except revgrad.UnsupportedTypeError:
    pass
roots = {claim.partition(":")[0].partition(".")[0] for claim in spec["claims"]}
print(json.dumps(sorted(roots & set(sys.modules))))
"""


@check("C18")
def claims_resolve(harness: Harness) -> None:
    """The claims resolve type(x) to the right backend, traced values included."""
    backend = revgrad.get_backend(harness.backend)
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
        except revgrad.UnsupportedTypeError as error:
            raise mismatch(given, f"the backend {harness.backend!r}", error) from error
        if chosen is not backend:
            name = type(chosen).__qualname__
            raise mismatch(given, f"the backend {harness.backend!r}", f"a {name}")


@check("C19")
def discovery_is_light(harness: Harness) -> None:
    """Discovering and choosing a backend imports no framework, that is, nothing that it claims."""
    spec = asdict(revgrad.backends[harness.backend])
    done = subprocess.run(
        [sys.executable, "-c", _CHOOSE, json.dumps(spec)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    given = f"a new process, in which {harness.backend!r} is discovered and not chosen"
    if done.returncode != 0:
        raise mismatch(given, "no error", done.stderr.strip())
    imported = json.loads(done.stdout.strip().splitlines()[-1])
    if imported:
        advice = "a plugin module that imports revgrad only, outside the framework's own package"
        raise mismatch(given, advice, f"{', '.join(imported)} is imported")


@check("C20", needs="threads")
def threads_agree(harness: Harness) -> None:
    """Concurrent first calls from many threads give the same answers as one thread."""
    # A record that is taken out and put back is chosen and loaded anew.
    revgrad.register(revgrad.unregister(harness.backend))
    barrier = threading.Barrier(THREADS, timeout=60)
    answers: List[Any] = [None] * THREADS
    errors: List[Exception] = []
    dtype = harness.dtypes[0]
    one = np.ones((1,), dtype)

    def work(number: int) -> None:
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
            gradient = run_of(harness.program(fn, (1,), dtype))(one, one)[1]
            answers[number] = float(gradient[0])
        except threading.BrokenBarrierError:
            pass  # another thread has failed, and says why
        except Exception as error:
            errors.append(error)
            barrier.abort()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    expected = [-1.0 - number for number in range(THREADS)]
    if answers != expected:
        raise mismatch(f"x = g = [1.], λ = 1 to {THREADS} on {THREADS} threads", expected, answers)


__all__ = [name for name, value in list(globals().items()) if hasattr(value, "clause")]
