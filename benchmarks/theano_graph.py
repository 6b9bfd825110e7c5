"""Nodes and time of the reversal in Theano graphs, compared with `theano.gradient.grad_scale`.

Run ``python benchmarks/theano_graph.py``. Prints the gradient of
``2 * f(reverse(x, 1)) + 3 * f(reverse(x, 5))``, which is -17, for graphs that are rewritten before
the gradient is taken; then the nodes and the time of the compiled training step of the moons
network, and the number of compilations over 20 values of λ. The functions are timed alternately,
and the ratio is the median of the ratios of consecutive times.
"""

import statistics
import time

import revgrad_theano.compat  # noqa: F401  before Theano

import numpy as np
import theano
import theano.tensor as T

import revgrad
from revgrad_theano import ReverseGradient

try:  # Theano-PyMC 1.1 renamed theano.gof
    from theano.graph.fg import FunctionGraph
    from theano.graph.opt import MergeOptimizer
except ImportError:
    from theano.gof import FunctionGraph, MergeOptimizer


def grad_scale(x, lam):
    """Reverse with Theano's own function."""
    return theano.gradient.grad_scale(x, -lam)


def gradient_after(reverse, rewrite):
    """Return the value and the dtype of the gradient of a rewritten graph."""
    x = T.fscalar("x")
    graph = FunctionGraph([x], [2 * reverse(x, 1) + 3 * reverse(x, 5)])
    if rewrite is not None:
        rewrite.optimize(graph)
    x, cost = graph.inputs[0], graph.outputs[0]
    value = theano.grad(cost, x).eval({x: np.float32(0.5)})
    return f"{float(value):g} ({value.dtype})"


def training_step(reverse, lam, rng):
    """Compile a training step of the moons network: 2 inputs, 15 hidden units, two linear heads."""
    shapes = [(2, 15), (15,), (15, 2), (2,), (15, 1), (1,)]
    w, b, v, c, u, d = [theano.shared(rng.randn(*shape).astype("float32")) for shape in shapes]
    xs, ys, xt = T.fmatrix("xs"), T.ivector("ys"), T.fmatrix("xt")
    hs, ht = (T.nnet.sigmoid(T.dot(x, w) + b) for x in (xs, xt))
    label_loss = T.nnet.categorical_crossentropy(T.nnet.softmax(T.dot(hs, v) + c), ys).mean()
    ds, dt = (T.dot(reverse(h, lam), u) + d for h in (hs, ht))
    loss = label_loss + T.nnet.softplus(ds).mean() + T.nnet.softplus(-dt).mean()
    parameters = [w, b, v, c, u, d]
    gradients = theano.grad(loss, parameters)
    updates = [(p, p - np.float32(0.01) * g) for p, g in zip(parameters, gradients)]
    return theano.function([xs, ys, xt], loss, updates=updates)


def nodes(function):
    """Return the number of nodes of a compiled function, and of those that are reversals."""
    found = function.maker.fgraph.toposort()
    return len(found), sum(isinstance(node.op, ReverseGradient) for node in found)


def main():
    """Print the three parts."""
    canonicalize = theano.compile.mode.optdb.query("+canonicalize")
    print(f"{'gradient, -17 expected':24s} {'revgrad':16s} grad_scale")
    for name, rewrite in (
        ("directly", None),
        ("after merging", MergeOptimizer()),
        ("after canonicalising", canonicalize),
    ):
        ours, theirs = (gradient_after(each, rewrite) for each in (revgrad.reverse, grad_scale))
        print(f"{name:24s} {ours:16s} {theirs}")

    lam = revgrad.LambdaVariable(0.5)
    functions = {
        "revgrad, constant λ": training_step(revgrad.reverse, 0.5, np.random.RandomState(0)),
        "revgrad, LambdaVariable": training_step(revgrad.reverse, lam, np.random.RandomState(0)),
        "grad_scale": training_step(grad_scale, np.float32(0.5), np.random.RandomState(0)),
    }
    rng = np.random.RandomState(1)
    batch = [rng.randn(150, 2).astype("float32") for _ in range(2)]
    batch.insert(1, rng.randint(0, 2, 150).astype("int32"))
    times = {name: [] for name in functions}
    for _ in range(400):
        for name, function in functions.items():
            start = time.perf_counter()
            for _ in range(5):
                function(*batch)
            times[name].append(time.perf_counter() - start)
    print(f"\n{'training step':24s} {'nodes':>6s} {'reversals':>10s} {'time / grad_scale':>18s}")
    for name, function in functions.items():
        ratio = statistics.median(a / b for a, b in zip(times[name], times["grad_scale"]))
        print(f"{name:24s} {nodes(function)[0]:6d} {nodes(function)[1]:10d} {ratio:18.3f}")

    compilations = []
    original = theano.compile.FunctionMaker.__init__

    def counting(self, *args, **kwargs):
        compilations.append(1)
        original(self, *args, **kwargs)

    theano.compile.FunctionMaker.__init__ = counting
    x = T.fvector("x")
    run = theano.function([x], theano.grad(revgrad.reverse(x, lam).sum(), x))
    seen = set()
    for value in np.linspace(0, 2, 20):
        lam.value = value
        seen.add(float(run(np.ones(1, "float32"))[0]))
    print(f"\n20 values of λ: {len(seen)} gradients, {len(compilations)} compilation")


if __name__ == "__main__":
    main()
