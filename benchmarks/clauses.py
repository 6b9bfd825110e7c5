"""Each clause of the contract, by backend and version.

Run ``python benchmarks/clauses.py`` for every backend that is installed, or
``python benchmarks/clauses.py torch jax``. Each is checked with `revgrad check`. With ``--pages``
the tables of docs/reference are read in place of a run; tests compare those with a run of every
backend. Prints for each clause how many checks passed, and in parentheses how many were skipped
because the framework cannot do what they need. The exit code is 1 if a check failed.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
from typing import Counter, Dict, List, Tuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
BACKENDS = (
    "torch tensorflow keras jax pytensor autograd theano lasagne mlx paddle mindspore".split()
)
Table = Dict[str, Dict[str, Counter[str]]]  # by clause and backend


def checked(names: List[str]) -> Tuple[Table, Dict[str, str]]:
    """Run the checks on backends; return the outcomes, and the version of each."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
    table: Table = collections.defaultdict(lambda: collections.defaultdict(collections.Counter))
    versions: Dict[str, str] = {}
    for name in names:
        done = subprocess.run(
            [sys.executable, "-m", "revgrad", "check", name, "--json"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        (entry,) = json.loads(done.stdout)["backends"]
        if entry["state"] == "checked":
            versions[name] = version(name)
            for each in entry["checks"]:
                table[each["clause"]][name][each["outcome"]] += 1
    return table, versions


def of_pages() -> Tuple[Table, Dict[str, str]]:
    """Read the tables of the pages."""
    table: Table = collections.defaultdict(lambda: collections.defaultdict(collections.Counter))
    for page in sorted((ROOT / "docs" / "reference").glob("check*.txt")):
        heading, *lines = page.read_text(encoding="utf-8").splitlines()
        names = heading.split()[2:]
        for line in lines:
            cells = line.split()
            if line.startswith("C") and len(cells) == 2 + len(names):
                for name, outcome in zip(names, cells[2:]):
                    table[cells[0]][name][outcome] += 1
    return table, {name: "" for name in BACKENDS if any(name in row for row in table.values())}


def version(name: str) -> str:
    """Return the version of the framework of a backend."""
    from importlib import metadata

    project = {"theano": "Theano", "lasagne": "Lasagne", "paddle": "paddlepaddle"}.get(name, name)
    for each in (project, f"{project}-cpu", f"{project}_cpu"):
        try:
            return metadata.version(each)
        except metadata.PackageNotFoundError:
            pass
    return ""


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("backends", nargs="*", metavar="BACKEND")
    parser.add_argument("--pages", action="store_true")
    args = parser.parse_args()
    if args.pages:
        table, versions = of_pages()
    else:
        names = args.backends or [name for name in BACKENDS if version(name)]
        table, versions = checked(names)
    widths = {name: max(len(name), len(versions[name]), 8) + 2 for name in versions}
    print("clause" + "".join(f"{name:>{widths[name]}}" for name in versions))
    if any(versions.values()):
        print(" " * 6 + "".join(f"{versions[name]:>{widths[name]}}" for name in versions))
    failed = 0
    for clause in sorted(table, key=lambda clause: int(clause[1:])):
        cells = ""
        for name in versions:
            counts = table[clause][name]
            failed += counts["failed"]
            cell = "FAILED" if counts["failed"] else str(counts["passed"] or "-")
            skipped = counts["skipped"] + counts["expected"]
            cells += f"{cell + (f' ({skipped})' if skipped else ''):>{widths[name]}}"
        print(f"{clause:6}{cells}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
