"""Make the first call from 64 threads at the same moment, in many fresh processes.

Run ``python benchmarks/first_calls.py``, or with ``--processes 20 --theano`` for the real Theano.
In each process one plugin is slow to import, its backend is slow to construct, and another plugin
is broken. Prints how many processes were right, and what went wrong in the others: a second backend
that was used, a second warning, an error, or a deadlock.

With ``--installed 0 50 100 200`` it times the first call of one thread instead, with so many more
distributions installed, a good plugin and one plugin that is broken at each of the four stages, in
whatever order the folder has them. Prints the medians of the processor time over ``--processes``
processes.
"""

import argparse
import json
import os
import pathlib
import statistics
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


def write_plugin(folder: pathlib.Path, name: str, code: str) -> None:
    """Write a plugin and its metadata into a folder."""
    info = folder / f"{name}_plugin-1.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {name}-plugin\nVersion: 1\n"
    (info / "METADATA").write_text(metadata)
    (info / "entry_points.txt").write_text(f"[revgrad]\n{name} = {name}_plugin\n")
    (folder / f"{name}_plugin.py").write_text(code)


def install(folder: pathlib.Path) -> None:
    """Write the two plugins, their metadata and the slow backend into a folder."""
    for name, code in PLUGINS.items():
        write_plugin(folder, name, code.replace("SPEC", SPEC))
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


GOOD = """
import revgrad

@revgrad.hookimpl
def revgrad_backends():
    return [revgrad.BackendSpec("good", ("good_plugin:Tensor",), "good_plugin:Backend")]

class Tensor:
    pass

class Backend(revgrad.Backend):
    def multiply_gradient(self, x, factor):
        return x

    reverse = multiply_gradient
"""
HOOK = "import revgrad\n\n@revgrad.hookimpl\ndef revgrad_backends({}):\n    {}\n"
STAGES = {
    "import": "raise RuntimeError('no such driver')",
    "registration": HOOK.format("session", "return []"),
    "hook": HOOK.format("", "raise KeyError('version')"),
    "spec": HOOK.format("", "return [revgrad.BackendSpec('bad', ('nonsense',), 'a:B')]"),
}
TIMED = """
import importlib.metadata, json, sys, time, warnings
import good_plugin, revgrad  # as a model has imported its framework
before = set(sys.modules)
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    x, times = good_plugin.Tensor(), []
    for _ in range(3):
        began = time.process_time()
        assert revgrad.reverse(x, 1.0) is x
        times.append(time.process_time() - began)
stages = sorted(str(each.message).split("at stage ")[1].split(":")[0] for each in warned)
assert stages == ["'hook'", "'import'", "'registration'", "'spec'"], stages
installed = len(list(importlib.metadata.distributions()))
print(json.dumps([times[0] * 1e3, times[2] * 1e6, installed]))
"""


def time_first_call(others: int, processes: int) -> None:
    """Print the time of the first call with so many more distributions."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for number in range(others):
            info = folder / f"other_{number}-1.dist-info"
            info.mkdir()
            metadata = (
                f"Metadata-Version: 2.1\nName: other-{number}\nVersion: 1\n\n" + "text\n" * 500
            )
            (info / "METADATA").write_text(metadata)
            if number % 2:
                (info / "entry_points.txt").write_text(f"[console_scripts]\na{number} = a:b\n")
        for stage, code in {"good": GOOD, **STAGES}.items():
            write_plugin(folder, stage, code)
        path = os.pathsep.join([name, str(TESTS.parents[1]), os.environ.get("PYTHONPATH", "")])
        found = []
        for _ in range(processes):
            command = [sys.executable, "-c", TIMED]
            environment = {**os.environ, "PYTHONPATH": path}
            done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
            found.append(json.loads(done.stdout))
    first, third, installed = (statistics.median(each) for each in zip(*found))
    print(f"{others:6} {installed:9.0f} {first:13.1f} {third:13.2f}", flush=True)


def main() -> None:
    """Run the processes and count the outcomes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=200)
    parser.add_argument("--theano", action="store_true")
    parser.add_argument("--installed", type=int, nargs="+", metavar="N")
    args = parser.parse_args()
    if args.installed:
        print("  more installed  first call, ms  later, µs")
        for others in args.installed:
            time_first_call(others, args.processes)
        return
    with tempfile.TemporaryDirectory() as folder:
        install(pathlib.Path(folder))
        framework = "theano" if args.theano else "tape"
        counts = Counter(run(framework, pathlib.Path(folder)) for _ in range(args.processes))
    for what, count in counts.most_common():
        print(f"{count} of {args.processes} processes, 64 threads each: {what}")


if __name__ == "__main__":
    main()
