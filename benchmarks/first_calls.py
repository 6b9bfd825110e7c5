"""Make the first call from 64 threads at the same moment, in many fresh processes.

Run ``python benchmarks/first_calls.py``, or with ``--processes 20 --theano`` for the real Theano.
In each process one plugin is slow to import, its backend is slow to construct, and another plugin
is broken. Prints how many processes were right, and what went wrong in the others: a second backend
that was used, a second warning, an error, or a deadlock.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections import Counter

TESTS = pathlib.Path(__file__).parents[1] / "tests" / "testing"
PLUGINS = {
    "slow": """
import time
time.sleep(0.05)
import revgrad

@revgrad.hookimpl
def revgrad_backends():
    time.sleep(0.05)
    return SPEC
""",
    "broken": "import time\ntime.sleep(0.01)\nraise RuntimeError('no such driver')\n",
}
SPEC = 'revgrad.BackendSpec("tape", ("tape:Tensor",), "slow_backend:SlowBackend")'
BACKEND = """
import time
time.sleep(0.05)
import tape

class SlowBackend(tape.TapeBackend):
    def __init__(self):
        time.sleep(0.01)  # so that many threads construct one before the first is stored
"""
CHILD = """
import json, sys, threading, warnings
import revgrad

served = []  # the backend of each call, seen independently of the registry

def watch(cls):
    if cls.__name__ in ("SlowBackend", "TheanoBackend"):
        reverse = cls.reverse
        def watched(self, x, lam):
            served.append(self)
            return reverse(self, x, lam)
        cls.reverse = watched

revgrad.Backend.__init_subclass__ = classmethod(watch)
if sys.argv[1] == "theano":
    import revgrad_theano.compat
    import theano.tensor
    xs = [theano.tensor.dscalar() for _ in range(64)]
else:
    import tape
    xs = [tape.source((), "float64") for _ in range(64)]
assert "pluggy" not in sys.modules
barrier, found = threading.Barrier(64), [None] * 64

def call(number):
    barrier.wait()
    try:
        found[number] = revgrad.reverse(xs[number], float(number))
    except Exception as error:
        found[number] = error

with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    threads = [threading.Thread(target=call, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

def factor(number, y):
    if sys.argv[1] == "theano":
        import theano
        return float(theano.grad(y, xs[number]).eval({xs[number]: 1.0}))
    one = tape.constant(1.0)
    run = tape.compile([xs[number]], tape.gradient(y, [xs[number]], one))
    return float(run(tape.np.asarray(1.0))[0])

errors = [repr(each) for each in found if isinstance(each, Exception)]
pulled = [] if errors else [factor(number, y) for number, y in enumerate(found)]
print(json.dumps({
    "errors": errors,
    "right": pulled == [-float(number) for number in range(64)],
    "calls": len(served),
    "backends": len(set(map(id, served))),
    "warnings": sum(issubclass(each.category, revgrad.PluginWarning) for each in warned),
}))
"""


def install(folder: pathlib.Path) -> None:
    """Write the two plugins, their metadata and the slow backend into a folder."""
    for name, code in PLUGINS.items():
        info = folder / f"{name}_plugin-1.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {name}-plugin\nVersion: 1\n"
        (info / "METADATA").write_text(metadata)
        (info / "entry_points.txt").write_text(f"[revgrad]\n{name} = {name}_plugin\n")
        (folder / f"{name}_plugin.py").write_text(code.replace("SPEC", SPEC))
    (folder / "slow_backend.py").write_text(BACKEND)


def run(framework: str, folder: pathlib.Path) -> str:
    """Run one process, and return ``"right"`` or what went wrong."""
    path = [str(folder), str(TESTS), *sys.path]
    try:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, framework],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=120,
        )
    except subprocess.TimeoutExpired:
        return "hung"
    if done.returncode != 0:
        return f"failed: {done.stderr.decode().strip().splitlines()[-1]}"
    found = json.loads(done.stdout)
    right = {"errors": [], "right": True, "calls": 64, "backends": 1, "warnings": 1}
    return "right" if found == right else json.dumps(found)


def main() -> None:
    """Run the processes and count the outcomes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=200)
    parser.add_argument("--theano", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        install(pathlib.Path(folder))
        framework = "theano" if args.theano else "tape"
        counts = Counter(run(framework, pathlib.Path(folder)) for _ in range(args.processes))
    for what, count in counts.most_common():
        print(f"{count} of {args.processes} processes, 64 threads each: {what}")


if __name__ == "__main__":
    main()
