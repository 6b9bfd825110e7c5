"""Theano's own tests, those in its installed package, through revgrad_theano.compat.

Run ``python benchmarks/theano_own_tests.py [part ...]``. A part is a folder or a file of theano/,
such as ``gof`` or ``tensor/tests/test_sort.py``; without any, it runs those of PARTS. The tests
need nose (pynose) and parameterized. theano_own_tests.txt lists the tests that are known to fail,
grouped by reason. It exits with 1 if another one fails, or if one of them passes.
"""

import collections
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import types
import unittest
from typing import Any, Dict, List

KNOWN = pathlib.Path(__file__).with_suffix(".txt")

# About 15 minutes on one core, with nothing compiled before. The rest takes hours.
PARTS = [
    "tests/test_gradient.py",
    "tests/test_record.py",
    "tests/test_determinism.py",
    "gof",
    "compile",
    "typed_list",
    "misc",
    "tensor/signal/tests/test_conv.py",
    "tensor/tests/test_sort.py",
    "tensor/tests/test_extra_ops.py",
    "tensor/tests/test_inc_subtensor.py",
    "tensor/tests/test_keepdims.py",
    "tensor/tests/test_complex.py",
    "tensor/tests/test_sharedvar.py",
]


def main() -> int:
    """Run the parts, each in a process of its own, and print what differs from the known list."""
    outcomes: Dict[str, str] = {}
    for part in sys.argv[1:] or PARTS:
        of_part = run(part)
        counts = collections.Counter(outcome.split(":")[0] for outcome in of_part.values())
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = f"{usage.ru_utime + usage.ru_stime:6.0f} s of processor time"
        print(f"{part:40} {seconds}", *(f"{n} {what}" for what, n in counts.items()), flush=True)
        outcomes.update(of_part)
    differences = compare(outcomes, read_known(KNOWN.read_text(encoding="utf-8")))
    print(*differences, sep="\n")
    return int(bool(differences))


def read_known(text: str) -> Dict[str, str]:
    """Return {test: reason}. Comment lines give the reason of the tests that follow them."""
    known: Dict[str, str] = {}
    reason: List[str] = []
    for before, line in zip(["", *text.splitlines()], text.splitlines()):
        if line.startswith("#"):
            reason = [*reason, line[1:].strip()] if before.startswith("#") else [line[1:].strip()]
        elif line.strip():
            if not reason:
                raise ValueError(f"{line!r} has no reason: a comment must come before it")
            known[line.strip()] = " ".join(reason)
    return known


def compare(outcomes: Dict[str, str], known: Dict[str, str]) -> List[str]:
    """Return a line for each test that fails and is not known to, or is and does not."""
    modules = {test.split(":")[0] for test in outcomes}
    lines = [
        f"{test} {outcome}"
        for test, outcome in outcomes.items()
        if outcome.startswith("failed") and test not in known
    ]
    for test, reason in known.items():
        if test.split(":")[0] in modules and not outcomes.get(test, "").startswith("failed"):
            lines.append(f"{test} {outcomes.get(test, 'did not run')}, but is listed: {reason}")
    return lines


def run(part: str) -> Dict[str, str]:
    """Run a part in a process of its own and return {test: outcome}."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "outcomes")
        process = subprocess.run(
            [sys.executable, "-W", "ignore", __file__, "--in", part, str(path)],
            cwd=folder,  # some tests write files
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        if process.returncode or not path.exists():
            raise SystemExit(
                f"{process.stdout}\nThe process of {part} ended with {process.returncode}."
            )
        return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def in_process(part: str, path: str) -> None:
    """Run a part with nose and write the outcomes to a file."""
    import revgrad_theano.compat  # noqa: F401

    supply_what_the_tests_use()
    import nose
    import theano

    class Outcomes(nose.plugins.Plugin):  # type: ignore[misc]
        name, enabled, outcomes = "outcomes", True, {}

        def configure(self, options: Any, conf: Any) -> None:
            pass  # else it would have to be enabled with an option

        def addSuccess(self, test: Any) -> None:
            self.outcomes.setdefault(identifier(test), "passed")

        def addError(self, test: Any, error: Any) -> None:
            text = " ".join(str(error[1]).split())
            self.outcomes[identifier(test)] = f"failed: {error[0].__name__}: {text[:200]}"

        addFailure = addError  # noqa: N815  nose calls it by this name

    folder = os.path.dirname(theano.__file__)
    nose.run(argv=["nosetests", "--quiet", os.path.join(folder, part)], addplugins=[Outcomes()])
    pathlib.Path(path).write_text(json.dumps(Outcomes.outcomes), encoding="utf-8")


def identifier(test: Any) -> str:
    """Return module:Class.test. The tests that a generator yields have its name."""
    _, module, name = test.address()
    return f"{module}:{name or ''}"


def supply_what_the_tests_use() -> None:
    """Define names of NumPy 1 that Theano's tests use and Theano does not."""
    import numpy as np

    for module, name, value in (
        (np.testing, "dec", types.SimpleNamespace(skipif=unittest.skipIf)),
        (np, "MAXDIMS", 32),
        (np, "in1d", np.isin),
        (np, "find_common_type", lambda arrays, scalars: np.result_type(*arrays, *scalars)),
    ):
        if not hasattr(module, name):
            setattr(module, name, value)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--in"]:
        in_process(*sys.argv[2:])
    else:
        sys.exit(main())
