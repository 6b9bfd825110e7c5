"""Nodes of the reversal in a compiled PyTensor graph, and the effect of rewriting on the gradient.

Run ``python benchmarks/pytensor_graph.py``. The gradient of 2·reverse(x, 1) + 3·reverse(x, 5) is
-17.
"""

from collections import Counter

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.mode import Mode, optdb
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.basic import MergeOptimizer

import revgrad
from revgrad_pytensor.testing import PytensorHarness

REWRITES = {
    "directly": [],
    "after merging": [MergeOptimizer()],
    "after canonicalising": [optdb.query("+canonicalize")],
}


def grad_scale(x, lam):
    """Reverse with PyTensor's own function."""
    return pytensor.gradient.grad_scale(x, -lam)


def gradient(reverse, rewrites) -> float:
    """Return the gradient of the two reversals, taken after the rewrites."""
    x = pt.dscalar("x")
    graph = FunctionGraph([x], [2 * reverse(x, 1.0) + 3 * reverse(x, 5.0)], clone=False)
    for rewrite in rewrites:
        rewrite.rewrite(graph)
    return float(pytensor.grad(graph.outputs[0], x).eval({x: 0.5}))


def main() -> None:
    """Print the gradients, the operations and the compilations."""
    print(f"{'gradient, -17 expected':24}{'revgrad':>10}{'grad_scale':>12}")
    for how, rewrites in REWRITES.items():
        ours, theirs = (gradient(each, rewrites) for each in (revgrad.reverse, grad_scale))
        print(f"{how:24}{ours:10.0f}{theirs:12.0f}")
    harness = PytensorHarness()
    print("\noperations of the compiled graphs: sigmoid and sum forward, the pullback backward")
    for name, lam in {"no reversal": None, "revgrad": 0.5}.items():

        def fn(x, lam=lam):
            return x if lam is None else revgrad.reverse(x, lam)

        forward, backward = harness.operations(fn, (2, 3), "float64")
        print(f"  {name:12} forward {dict(Counter(forward))}, backward {dict(Counter(backward))}")
    x, lam = pt.dvector("x"), revgrad.LambdaVariable(0.0)
    before = harness.compilations()
    slope = pytensor.grad(revgrad.reverse(x, lam).sum(), x)
    run = pytensor.function([x], slope, mode=Mode(linker="py"))
    found = set()
    for value in np.linspace(0, 2, 20):
        lam.value = value
        found.add(float(run([1.0])[0]))
    count = harness.compilations() - before
    print(f"\n20 values of λ: {len(found)} gradients, {count} compilation")


if __name__ == "__main__":
    main()
