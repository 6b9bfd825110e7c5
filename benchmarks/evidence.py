"""Make the page docs/explanation/evidence.md: run everything that it shows, and write the tables.

Run ``tox run -e evidence``, or ``python benchmarks/evidence.py`` for all the sections whose
packages are installed, ``python benchmarks/evidence.py fuzz faults`` for some. Each section is a
command with a limit of time, an hour for all of them but those in LONG. What a command prints is
written to docs/explanation/evidence/ with the command, the date and the versions above it; the page
includes these files. The file of a section that was not run stays as it was. The exit code is 1 if
a command failed; its file says so.
"""

import argparse
import datetime
import importlib.util
import os
import pathlib
import platform
import subprocess
import sys
import time
from importlib import metadata
from typing import List, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "explanation" / "evidence"


class Section(NamedTuple):
    """A command, the modules without which it is left out, and how many minutes it may take."""

    command: str
    needs: str
    minutes: float


SECTIONS = {
    "clauses": Section("clauses.py", "pluggy torch jax", 7),
    "clauses-pages": Section("clauses.py --pages", "", 1),
    "fuzz": Section("fuzz.py --seconds 25", "hypothesis", 6),
    "soak": Section("soak.py --reversals 20000", "torch jax", 4),
    "mutation-sample": Section(
        "mutation.py --jobs 2 --minutes 10 --sample 2 revgrad/*.py _cli/*.py schedules/*.py"
        " testing/*.py testing/*/*.py",
        "cosmic_ray",
        12,
    ),
    "faults": Section("faults.py --kills 5", "theano lasagne sklearn", 8),
    "first-call": Section("first_calls.py --processes 5 --installed 0 50 100 200", "pluggy", 1),
    "first-calls": Section("first_calls.py --processes 20", "pluggy", 1),
    # The checkouts: see published_graph_tests.py.
    "peers": Section(
        "published_graph_tests.py treeano={0}treeano tfu={0}tfu tensorflow-models={0}models".format(
            "../results/checkouts/"
        ),
        "theano tensorflow results/checkouts/treeano",
        3,
    ),
    "peers-torch": Section("published_tests.py", "pytorch_revgrad skada skorch", 4),
    "modes": Section("torch_modes.py", "pytorch_revgrad gradient_reversal", 6),
    "gpu": Section("gpu.py", "torch jax tensorflow", 1),
    "soak-whole": Section("soak.py", "torch jax", 600),
    "mutation-core": Section("mutation.py --jobs 2 revgrad/*.py schedules/*.py", "cosmic_ray", 60),
    "mutation-suite": Section(
        "mutation.py --jobs 2 testing/*.py testing/*/*.py", "cosmic_ray", 180
    ),
    "mutation-backends": Section(
        "mutation.py --jobs 2 revgrad_[ajklpt]*/*.py", "cosmic_ray torch jax theano", 300
    ),
    # Each in the environment of the same name, with cosmic-ray beside it.
    "mutation-mlx": Section("mutation.py revgrad_mlx/*.py", "cosmic_ray mlx", 60),
    "mutation-paddle": Section("mutation.py revgrad_paddle/*.py", "cosmic_ray paddle", 60),
    "mutation-mindspore": Section("mutation.py revgrad_mindspore/*.py", "cosmic_ray mindspore", 60),
}
# Run only where they are named.
LONG = {
    "soak-whole",
    *(f"mutation-{of}" for of in "core suite backends mlx paddle mindspore".split()),
}


def main() -> int:
    """Run the sections and write their files."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    words = "multiply the limits of time, on a machine that does other things as well"
    parser.add_argument("--patience", type=float, default=1, metavar="X", help=words)
    parser.add_argument("--add", default="", metavar="ARGUMENTS", help="more for the commands")
    args = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    failed = [
        name
        for name in args.sections or [each for each in SECTIONS if each not in LONG]
        if not written(name, bool(args.sections), args.patience, args.add)
    ]
    if failed:
        print("failed:", ", ".join(failed))
    return int(bool(failed))


def written(name: str, asked: bool, patience: float = 1, add: str = "") -> bool:
    """Run a section and write its file; return whether the command succeeded."""
    section = SECTIONS[name]
    missing = [each for each in section.needs.split() if not is_here(each)]
    if missing:
        print(f"{name}: left out, without {', '.join(missing)}", flush=True)
        return not asked
    command = f"{section.command} {add}".strip()
    began = time.monotonic()
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", *command.split()],
            cwd=ROOT / "benchmarks",
            env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=60 * section.minutes * patience,
        )
        printed, status = done.stdout, f"exit code {done.returncode}"
        errors = done.stderr.decode("utf-8", "replace")
        sys.stderr.write(errors if done.returncode else errors[-2000:])
    except subprocess.TimeoutExpired as error:
        printed, status = (
            error.stdout or b"",
            f"stopped after {section.minutes * patience:g} minutes",
        )
    good = status == "exit code 0"
    lines = [
        f"$ python benchmarks/{command}",
        *([] if good else [status]),
        f"{datetime.date.today()}, {time.monotonic() - began:.0f} s; {'; '.join(versions())}",
        "",
        printed.decode("utf-8", "replace").rstrip(),
    ]
    text = "\n".join(line.rstrip() for line in "\n".join(lines).splitlines()) + "\n"
    (FOLDER / f"{name}.txt").write_text(text, encoding="utf-8")
    print(f"{name}: {status}, {time.monotonic() - began:.0f} s", flush=True)
    return good


def is_here(what: str) -> bool:
    """Say whether a module is installed, or a path exists in the repository."""
    if "/" in what:
        return (ROOT / what).exists()
    return importlib.util.find_spec(what) is not None


def versions() -> List[str]:
    """Return the versions of Python, the machine, and the frameworks."""
    found = [f"Python {platform.python_version()}", f"{platform.machine()}, {os.cpu_count()} cores"]
    names = "numpy torch tensorflow-cpu keras jax pytensor autograd Theano mlx paddlepaddle"
    for name in (*names.split(), "mindspore"):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            pass
    return found


if __name__ == "__main__":
    sys.exit(main())
