"""The Op under every linker, with the rewrites on and off, and in graphs that are changed."""

import copy
import pickle

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.builders import OpFromGraph
from pytensor.compile.mode import Mode
from pytensor.graph.replace import clone_replace
from pytensor.sparse import csr_matrix as sparse_matrix
from support.processes import installed

import revgrad
from revgrad.schedules import Dann, progress
from revgrad_pytensor import ReverseGradient, reverse_gradient

VALUE = np.array([0.5, -1.0, 2.0])
LINKERS = ["py", "cvm"]
# What PyTensor before 2.13 has for JAX does not suit the JAX versions that are supported.
for name in ("numba", "jax"):
    if installed(name) and (name != "jax" or hasattr(pytensor.graph.replace, "vectorize_graph")):
        LINKERS.append(name)


def loss(x, lam):
    return (pt.tanh(revgrad.reverse(pt.sin(x), lam)) ** 2).sum()


def slope(value):
    """The derivative of the loss without a reversal, by hand."""
    t = np.tanh(np.sin(value))
    return 2 * t * (1 - t**2) * np.cos(value)


def ops_of(function):
    found = []
    for node in function.maker.fgraph.toposort():
        found.append(type(node.op))
        inner = getattr(node.op, "fgraph", None)
        if inner is not None and not isinstance(node.op, ReverseGradient):
            found += [type(each.op) for each in inner.toposort()]
    return found


@pytest.mark.parametrize("rewrites", ["fast_run", "fast_compile", None])
@pytest.mark.parametrize("linker", LINKERS)
def test_every_linker(linker, rewrites):
    x, lam = pt.dvector("x"), pt.dscalar("lam")
    variable = revgrad.LambdaVariable(0.3)
    mode = Mode(linker=linker, optimizer=rewrites)
    outputs = [revgrad.reverse(x, lam), pytensor.grad(loss(x, lam), x)]
    run = pytensor.function([x, lam], outputs, mode=mode)
    y, gradient = run(VALUE, 0.3)
    np.testing.assert_array_equal(y, VALUE)
    np.testing.assert_allclose(gradient, -0.3 * slope(VALUE))
    assert (ReverseGradient in ops_of(run)) == (rewrites is None)
    if linker == "jax":
        return  # it takes the value of a shared variable when it compiles
    run = pytensor.function([x], pytensor.grad(loss(x, variable), x), mode=mode)
    for value in (0.3, 0.7):
        variable.value = value
        np.testing.assert_allclose(run(VALUE), -value * slope(VALUE))


@pytest.mark.parametrize("linker", LINKERS)
def test_scan(linker):
    xs, lam = pt.dmatrix("xs"), pt.dscalar("lam")
    found = pytensor.scan(
        lambda x, state, lam: pt.tanh(state + revgrad.reverse(x, lam)),
        sequences=xs,
        outputs_info=pt.zeros((2,)),
        non_sequences=lam,
        n_steps=3,
    )
    ys = found[0] if isinstance(found, tuple) else found  # with the updates, or without
    mode = Mode(linker=linker, optimizer="fast_run")
    run = pytensor.function([xs, lam], pytensor.grad(ys[-1].sum(), xs), mode=mode)
    state = pt.zeros((2,))
    for step in range(3):
        state = pt.tanh(state + xs[step])
    plain = pytensor.function([xs], pytensor.grad(state.sum(), xs), mode=Mode("py"))
    value = np.random.RandomState(0).randn(3, 2)
    np.testing.assert_allclose(run(value, 0.7), -0.7 * plain(value), rtol=1e-10)


def test_inside_an_op_from_graph():
    x, lam = pt.dvector("x"), pt.dscalar("lam")
    outer = OpFromGraph([x, lam], [pt.sin(revgrad.reverse(x, lam))])
    z = pt.dvector("z")
    gradient = pytensor.grad(outer(z, lam).sum(), z)
    found = pytensor.function([z, lam], gradient, mode=Mode("py"))(VALUE, 0.3)
    np.testing.assert_allclose(found, -0.3 * np.cos(VALUE))


def test_clone_replace():
    x, lam = pt.dvector("x"), pt.dscalar("lam")
    y = revgrad.reverse(x, lam)
    twice = clone_replace(y, {lam: 2 * lam})
    found = pytensor.grad(twice.sum(), x).eval({x: VALUE, lam: 0.3})
    np.testing.assert_allclose(found, np.full(3, -0.6))


@pytest.mark.parametrize("lam_shape", [(), (4, 1), (4, 3)])
@pytest.mark.parametrize("batched", ["x", "lam", "both"])
def test_vectorized_graphs(batched, lam_shape):
    vectorize = pytest.importorskip("pytensor.graph.replace")
    if not hasattr(vectorize, "vectorize_graph"):
        pytest.skip("this PyTensor does not vectorise graphs")

    def tensor(*shape):
        return pt.TensorType("float64", shape=shape)()

    x, lam = tensor(4, 3), tensor(*lam_shape)
    y = revgrad.reverse(x, lam)
    new = {
        x: tensor(2, 4, 3) if batched != "lam" else x,
        lam: tensor(2, *lam_shape) if batched != "x" else lam,
    }
    replace = {old: each for old, each in new.items() if each is not old}
    ys = vectorize.vectorize_graph(y, replace)
    assert ys.type.shape == (2, 4, 3)
    g = tensor(2, 4, 3)
    gradient = pytensor.grad((ys * g).sum(), new[x])
    run = pytensor.function([new[x], new[lam], g], [ys, gradient], mode=Mode("py"))
    rng = np.random.RandomState(0)
    values = [rng.rand(*each.type.shape) for each in (new[x], new[lam], g)]
    value, found = run(*values)
    np.testing.assert_array_equal(value, np.broadcast_to(values[0], (2, 4, 3)))
    lams = values[1]
    if batched != "x":
        lams = lams.reshape((2,) + (1,) * (2 - len(lam_shape)) + lam_shape)
    expected = -lams * values[2]
    np.testing.assert_allclose(found, expected if batched != "lam" else expected.sum(axis=0))


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("compiled", [False, True])
def test_a_variable_drives_the_program_that_it_is_copied_with(how, compiled):
    lam, x = revgrad.LambdaVariable(0.5), pt.dvector("x")
    program = pytensor.grad(revgrad.reverse(x, lam).sum(), x)
    if compiled:
        program = pytensor.function([x], program, mode=Mode("py"))

    def gradient(x, program):
        return program([1.0]) if compiled else program.eval({x: [1.0]})

    for order in (0, 1):  # whichever comes first
        both = (program, lam, x) if order else (lam, program, x)
        copied = COPIES[how](both)
        other, own = (copied[0], copied[1]) if order else (copied[1], copied[0])
        own.value = 2.0
        assert gradient(copied[2], other) == -2.0
        assert gradient(x, program) == -0.5
        lam.value, before = 0.25, lam.value
        assert gradient(copied[2], other) == -2.0 and gradient(x, program) == -0.25
        lam.value = before


def gradient_of_sum(x_type, lam, linker="py", rewrites="fast_run"):
    x = x_type("x")
    inputs = [x] if isinstance(lam, np.ndarray) else [x, lam]
    gradient = pytensor.grad(revgrad.reverse(x, lam).sum(), x)
    return pytensor.function(inputs, gradient, mode=Mode(linker, rewrites))


LENGTHS = [
    (pt.dmatrix, pt.dmatrix("lam"), (1, 3)),
    (pt.dmatrix, pt.dmatrix("lam"), (3, 3)),
    (pt.dmatrix, pt.dcol("lam"), (4, 1)),
    (pt.dmatrix, pt.dvector("lam"), (1,)),
    (pt.drow, pt.drow("lam"), (1, 2)),
]


@pytest.mark.parametrize("rewrites", ["fast_run", None])
@pytest.mark.parametrize("x_type, lam, wrong", LENGTHS)
def test_a_length_that_is_learned_at_run_time_is_checked(x_type, lam, wrong, rewrites):
    """C16: the gradient of a sum is a broadcast number, which a rewrite may drop."""
    run = gradient_of_sum(x_type, lam, rewrites=rewrites)
    shape = (1, 3) if x_type is pt.drow else (2, 3)
    with pytest.raises((AssertionError, ValueError)):
        run(np.ones(shape), np.ones(wrong))
    fitting = [1 if length == 1 else n for length, n in zip(lam.type.shape[::-1], shape[::-1])]
    found = run(np.ones(shape), np.full(fitting[::-1], 2.0))
    np.testing.assert_array_equal(found, np.full(shape, -2.0))


@pytest.mark.parametrize("linker", LINKERS)
def test_every_linker_checks_the_lengths(linker):
    run = gradient_of_sum(pt.dmatrix, np.full((2, 1), 2.0), linker)
    np.testing.assert_array_equal(run(np.ones((2, 3))), np.full((2, 3), -2.0))
    with pytest.raises((AssertionError, ValueError)):
        run(np.ones((1, 3)))


def test_a_gather_from_a_reversal_with_an_array():
    x, rows = pt.dmatrix("x"), pt.lvector("rows")
    y = revgrad.reverse(x, np.array([[0.5], [2.0], [3.0]]))
    gradient = pytensor.grad(y[rows].sum(), x)
    run = pytensor.function([x, rows], gradient, mode=Mode("cvm", "fast_run"))
    np.testing.assert_array_equal(
        run(np.ones((3, 2)), [1, 1, 0]), [[-0.5, -0.5], [-4.0, -4.0], [0.0, 0.0]]
    )


def test_a_schedule_from_a_step_counter():
    x, step = pt.dvector("x"), pytensor.shared(np.asarray(0), name="step")
    lam = Dann()(progress(step, 10))
    gradient = pytensor.grad(revgrad.reverse(x, lam).sum(), x)
    run = pytensor.function([x], gradient, updates=[(step, step + 1)], mode=Mode("py"))
    for k in range(12):
        np.testing.assert_allclose(run(VALUE), np.full(3, -Dann()(min(k / 10, 1))), rtol=1e-12)


def test_complex_and_sparse_values_are_rejected():
    with pytest.raises(revgrad.UnsupportedTypeError, match="of dtype complex64, which carries no"):
        revgrad.reverse(pt.TensorType("complex64", shape=(None,))("x"), 1.0)
    with pytest.raises(
        revgrad.UnsupportedTypeError,
        match="Expected a dense tensor; got a PyTensor variable of type Sparse",
    ):
        revgrad.reverse(sparse_matrix("x", dtype="float64"), 1.0)
    with pytest.raises(revgrad.UnsupportedTypeError, match="PyTensor makes no tensor of a object"):
        reverse_gradient(object(), 1.0)


@pytest.mark.parametrize(
    "lam, words",
    [
        (pt.zscalar(), "λ must be real; got a value of dtype complex128"),
        (sparse_matrix("lam", dtype="float32"), r"got an object of type pytensor.sparse"),
    ],
)
def test_an_invalid_lam(lam, words):
    with pytest.raises(revgrad.InvalidLambdaError, match=words):
        reverse_gradient(pt.fscalar(), lam)
