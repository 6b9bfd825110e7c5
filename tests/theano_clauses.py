"""The clauses of the contract as checks on a reversal of Theano variables.

Each takes ``reverse(x, lam) -> y`` and raises `AssertionError` where the clause is not kept, so
the tests can hand in reversals that are wrong on purpose and see that each check can fail.
"""

import contextlib
import copy
import pickle
import threading
from collections import Counter

import numpy as np
import theano
import theano.tensor as T
from theano.compile.function_module import FunctionMaker

import revgrad
from revgrad import reference

try:  # Theano-PyMC 1.1 renamed theano.gof
    from theano.graph.fg import FunctionGraph
    from theano.graph.opt import MergeOptimizer
except ImportError:
    from theano.gof import FunctionGraph, MergeOptimizer

# The Python linker with all rewrites: nothing is compiled, so many small programs stay cheap. The
# C code has tests of its own.
PY = theano.Mode(linker="py", optimizer="fast_run")

FLOATS = ["float32", "float64"]
SPECIAL = [1.5, -2.25, 0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40]


def tensor(name, dtype, ndim):
    return T.TensorType(dtype, (False,) * ndim)(name)


def program(fn, ndim, dtype, mode=PY):
    """Compile ``run(x, g) -> fn(x), pullback of g``."""
    x, g = tensor("x", dtype, ndim), tensor("g", dtype, ndim)
    y = fn(x)
    outputs = [y, theano.Lop(y, x, g)]
    return theano.function([x, g], outputs, mode=mode, on_unused_input="ignore")


def compiled(inputs, outputs):
    return theano.function(inputs, outputs, mode=PY, on_unused_input="ignore")


@contextlib.contextmanager
def compilations():
    """Collect what Theano compiles meanwhile."""
    made, true = [], FunctionMaker.__init__

    def noted(self, *args, **kwargs):
        made.append(self)
        true(self, *args, **kwargs)

    FunctionMaker.__init__ = noted
    try:
        yield made
    finally:
        FunctionMaker.__init__ = true


def error_of(kind, call):
    """Return the error that `call` must raise."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def equal_bits(actual, expected):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype == expected.dtype, (actual.dtype, expected.dtype)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    np.testing.assert_array_equal(actual, expected)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(actual)[numbers], np.signbit(expected)[numbers])


def c1(reverse):
    """Forward: the output equals x bit for bit, nan, inf and -0.0 included; nothing is copied."""
    for dtype in FLOATS:
        x = tensor("x", dtype, 1)
        y = reverse(x, 0.3)
        assert y.type == x.type
        value = np.array(SPECIAL, dtype)
        for mode in (PY, theano.Mode(linker="py", optimizer=None)):
            equal_bits(theano.function([x], y, mode=mode)(value), value)
        storage = [None]
        y.owner.op.perform(y.owner, [value, np.asarray(0.3, dtype)], [storage])
        assert storage[0] is value


def c2(reverse):
    """Backward: any cotangent comes back as -λ times it, non-finite values included."""
    for dtype in FLOATS:
        for lam in (1.0, 0.3, 7.0):
            run = program(lambda x: reverse(x, lam), 1, dtype)
            g = np.array(SPECIAL, dtype)
            equal_bits(run(np.ones_like(g), g)[1], reference.pullback(g, lam))


def c3(reverse):
    """The gradient has the dtype of x; λ is cast to it, never the other way."""
    wide = T.dscalar("lam")
    for dtype in FLOATS:
        for lam in (0.1, np.float32(0.1), theano.shared(np.float64(0.1)), wide, T.iscalar()):
            x = tensor("x", dtype, 1)
            y = reverse(x, lam)
            assert y.dtype == dtype
            assert theano.grad(y.sum(), x).dtype == dtype
        x, g = tensor("x", dtype, 1), tensor("g", dtype, 1)
        run = compiled([x, g, wide], theano.Lop(reverse(x, wide), x, g))
        value = np.array([9.0, 13.0], dtype)
        equal_bits(run(value, value, 0.1), reference.pullback(value, 0.1))


def c4(reverse):
    """λ = 0 gives zeros that are still connected."""
    for lam in (0, 0.0, theano.shared(np.float64(0.0))):
        x = T.fvector("x")
        try:
            gradient = theano.grad(reverse(x, lam).sum(), x, disconnected_inputs="raise")
        except theano.gradient.DisconnectedInputError as error:
            raise AssertionError("disconnected") from error
        value = compiled([x], gradient)(np.ones(3, "float32"))
        np.testing.assert_array_equal(value, np.zeros(3, "float32"))


def c5(reverse):
    """λ receives no gradient."""
    x, lam = T.fvector("x"), T.fscalar("lam")
    cost = (reverse(x, lam) ** 2).sum()
    error_of(theano.gradient.DisconnectedInputError, lambda: theano.grad(cost, lam))
    gradients = theano.grad(
        cost, [x, lam], disconnected_inputs="ignore", return_disconnected="None"
    )
    assert gradients[0] is not None and gradients[1] is None


def c6(reverse):
    """reverse(reverse(x, a), b) pulls back +a·b·g."""
    run = program(lambda x: reverse(reverse(x, 2.0), 3.0), 1, "float64")
    g = np.array([1.0, -0.5])
    equal_bits(run(g, g)[1], 6 * g)


def c7(reverse):
    """Reversals with different λ stay apart, also when the graph is rewritten before the grad."""
    rewrites = {
        "directly": [],
        "merged": [MergeOptimizer()],
        "canonicalised": [theano.compile.mode.optdb.query("+canonicalize")],
        "merged and canonicalised": [theano.compile.mode.optdb.query("+merge", "+canonicalize")],
    }
    for how, optimizers in rewrites.items():
        x = T.fscalar("x")
        cost = 2 * reverse(x, 1) + 3 * reverse(x, 5)
        graph = FunctionGraph([x], [cost])
        for optimizer in optimizers:
            optimizer.optimize(graph)
        (x,), (cost,) = graph.inputs, graph.outputs
        value = theano.grad(cost, x).eval({x: np.float32(0.5)})
        assert value.dtype == "float32"
        assert value == -17, f"{how}: {value}"


def c8(reverse):
    """A number given as λ is judged before the framework sees it."""
    for bad in (-1, -0.5, np.nan, np.inf, True, "0.3", None, 1j, lambda p: p, [1.0]):
        error_of(revgrad.InvalidLambdaError, lambda: reverse(T.fvector(), bad))


def c9(reverse):
    """A changed LambdaVariable shows in the next run of a compiled program: one compilation."""
    lam = revgrad.LambdaVariable(0.0)
    g = np.array([1.0, -3.0], "float32")
    with compilations() as made:
        run = program(lambda x: reverse(x, lam), 1, "float32")
        for value in np.linspace(0, 2, 20):
            lam.value = value
            equal_bits(run(g, g)[1], reference.pullback(g, value))
    assert len(made) == 1, f"{len(made)} compilations"


def c11(reverse):
    """Forward mode pushes -λ·t, and raises or is None where nothing arrives."""
    x, t = T.dvector("x"), T.dvector("t")
    run = compiled([x, t], theano.Rop(reverse(x, 0.3), x, t))
    value = np.array([1.0, -2.0])
    equal_bits(run(value, value), -0.3 * value)


def c12(reverse):
    """The second derivative of f(reverse(x)) is λ²·f''."""
    x = T.dvector("x")
    cost = (reverse(x, 3.0) ** 3).sum()  # f'' = 6·x
    hessian = compiled([x], theano.gradient.hessian(cost, x))
    value = np.array([1.0, 2.0])
    np.testing.assert_allclose(hessian(value), np.diag(9 * 6 * value))


def c13(reverse):
    """Scan agrees with a loop, through the gradient."""
    xs, lam = T.dmatrix("xs"), T.dscalar("lam")
    outputs, _ = theano.scan(
        lambda x, state, lam: T.tanh(state + reverse(x, lam)),
        sequences=xs,
        outputs_info=T.zeros((2,)),
        non_sequences=lam,
    )
    run = compiled([xs, lam], theano.grad(outputs[-1].sum(), xs))
    state = T.zeros((2,))
    for step in range(3):
        state = T.tanh(state + reverse(xs[step], lam))
    loop = compiled([xs, lam], theano.grad(state.sum(), xs))
    value = np.random.RandomState(0).randn(3, 2)
    np.testing.assert_allclose(run(value, 0.7), loop(value, 0.7), rtol=1e-12)
    np.testing.assert_allclose(loop(value, 0.7), -0.7 * loop_without(value), rtol=1e-12)


def loop_without(value):
    xs = T.dmatrix("xs")
    state = T.zeros((2,))
    for step in range(3):
        state = T.tanh(state + xs[step])
    return compiled([xs], theano.grad(state.sum(), xs))(value)


def ops_of(function):
    """Count the Ops of a compiled function, those of inner graphs included."""
    found = Counter()
    for node in function.maker.fgraph.toposort():
        found[type(node.op).__name__] += 1
        inner = getattr(node.op, "fn", None)
        if inner is not None:
            found.update(ops_of(inner))
    return found


def c14(reverse):
    """The compiled forward pass has no trace of the reversal, the backward one multiply."""
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        mode = theano.Mode(linker="py", optimizer=mode.lower())
        x = T.fmatrix("x")
        with_, without = (
            theano.function([x], T.nnet.sigmoid(h).sum(), mode=mode) for h in (reverse(x, 0.5), x)
        )
        assert ops_of(with_) == ops_of(without)
    x, g = T.fmatrix("x"), T.fmatrix("g")
    backward = compiled([x, g], theano.Lop(reverse(x, 0.5), x, g))
    assert ops_of(backward) == {"Elemwise": 1}, ops_of(backward)


def c15(reverse):
    """Clone, copy, pickle keep the reversal and its λ."""
    x, lam = T.dvector("x"), T.dscalar("lam")
    y = reverse(x, lam)
    value = np.array([1.0, -2.0])

    def pulled(x, y, lam):
        gradient = theano.grad(y.sum(), x)
        return compiled([x, lam], gradient)(value, 0.3)

    equal_bits(pulled(x, y, lam), np.full(2, -0.3))
    equal_bits(pulled(*copy.deepcopy((x, y, lam))), np.full(2, -0.3))
    equal_bits(pulled(*pickle.loads(pickle.dumps((x, y, lam), 2))), np.full(2, -0.3))
    replaced = theano.clone(y, replace={lam: 2 * lam}) if hasattr(theano, "clone") else None
    if replaced is not None:
        equal_bits(pulled(x, replaced, lam), np.full(2, -0.6))
    function = compiled([x, lam], theano.grad((y**2).sum(), x))
    again = pickle.loads(pickle.dumps(function, 2))
    equal_bits(again(value, 0.3), function(value, 0.3))


def c16(reverse):
    """0-d, empty and up to 4-d shapes work; λ may broadcast to x without enlarging it."""
    for shape in [(), (0,), (3,), (2, 0), (2, 3), (2, 1, 3), (2, 3, 1, 2)]:
        run = program(lambda x: reverse(x, 0.5), len(shape), "float32")
        g = np.arange(np.prod(shape, dtype=int), dtype="float32").reshape(shape)
        y, gradient = run(g, g)
        equal_bits(y, g)
        equal_bits(gradient, reference.pullback(g, 0.5))
    per_sample = np.array([[1.0], [5.0]])
    g = np.ones((2, 3), "float32")
    for lam in (per_sample, theano.shared(per_sample, broadcastable=(False, True))):
        gradient = program(lambda x: reverse(x, lam), 2, "float32")(g, g)[1]
        equal_bits(gradient, reference.pullback(g, per_sample))
    for lam in (1e300, np.array([1e300])):
        error_of(revgrad.InvalidLambdaError, lambda: reverse(T.fvector("x"), lam))
    array, x = np.array([2.0, 3.0]), T.dvector("x")
    gradient = theano.grad(reverse(x, array).sum(), x)
    array[:] = -100  # it was judged before, and is the caller's
    equal_bits(compiled([x], gradient)(np.zeros(2)), np.array([-2.0, -3.0]))
    row, column = T.row("x", "float32"), T.col("lam", "float32")
    error_of(revgrad.InvalidLambdaError, lambda: reverse(row, column))


def c17(reverse):
    """An integer or boolean x is an error that says to cast first."""
    for x in (T.ivector(), T.bvector(), T.eq(T.fvector(), 0)):
        error = error_of(revgrad.UnsupportedTypeError, lambda: reverse(x, 1.0))
        assert f"dtype {x.dtype}" in str(error) and "Cast it" in str(error)


def c20(reverse):
    """Calls from many threads give the answers of one."""
    count = 8
    barrier, found = threading.Barrier(count), [None] * count

    def work(number):
        x = T.dscalar("x")
        y = reverse(x, number)
        barrier.wait()  # all have reversed before any differentiates
        found[number] = x, theano.grad(y, x)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Compiled one after the other: Theano's compiler shares constants between threads, and fails.
    values = [float(compiled([x], gradient)(1.0)) for x, gradient in found]
    assert values == [-float(i) for i in range(count)], values


CLAUSES = {
    name.upper(): check
    for name, check in list(globals().items())
    if name[0] == "c" and name[1:].isdigit()
}
