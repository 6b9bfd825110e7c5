"""Modules that `import revgrad` loads, and the overhead of `revgrad.reverse` over a backend's call.

Run ``python benchmarks/warm_path.py``. The overhead is the difference of two loops that are timed
alternately, so that a drift of the machine's speed does not favour one; the median is printed.
"""

import statistics
import subprocess
import sys
import timeit

import numpy as np

import revgrad

PROBE = """
import sys, numpy
before = set(sys.modules)
import revgrad
print(*sorted(name for name in set(sys.modules) - before if not name.startswith("revgrad")))
"""
HEAVY = ("pluggy", "importlib.metadata", "theano", "lasagne")


def main() -> None:
    """Print the modules, then the overhead."""
    loaded = subprocess.check_output([sys.executable, "-c", PROBE]).decode().split()
    print("import revgrad, beside numpy and its own modules, loads:", " ".join(loaded) or "nothing")
    print("of these, heavy:", " ".join(name for name in loaded if name in HEAVY) or "none")

    class Direct(revgrad.Backend):
        def reverse(self, x, lam):
            return x

        def multiply_gradient(self, x, factor):
            return x

    class Value:
        pass

    Value.__module__, Value.__qualname__ = __name__, "Value"
    globals().update(Direct=Direct, Value=Value)
    claims, factory = (f"{__name__}:Value",), f"{__name__}:Direct"
    revgrad.register(revgrad.BackendSpec("direct", claims, factory))
    backend, loops = revgrad.get_backend("direct"), 20_000
    for name, x, lam in (
        ("float λ", Value(), 0.3),
        ("int λ", Value(), 1),
        ("LambdaVariable", Value(), revgrad.LambdaVariable(0.3)),
    ):
        added = []
        for _ in range(41):
            through = timeit.timeit(lambda: revgrad.reverse(x, lam), number=loops)
            direct = timeit.timeit(lambda: backend.reverse(x, lam), number=loops)
            added.append((through - direct) / loops * 1e6)
        print(f"reverse() on a warm type adds, {name:14s}: {statistics.median(added):.2f} µs")
    array = np.ones(3)
    assert revgrad.reverse(array, 0.3) is array


if __name__ == "__main__":
    main()
