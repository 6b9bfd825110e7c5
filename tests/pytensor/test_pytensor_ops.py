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
SPARSE = sparse_matrix("x", dtype="float64")
LINKERS = ["py", "cvm"]
vectorize_graph = getattr(pytensor.graph.replace, "vectorize_graph", None)
LINKERS += ["numba"] * installed("numba")
# What PyTensor before 2.13 has for JAX does not suit the JAX versions that are supported.
LINKERS += ["jax"] * (installed("jax") and vectorize_graph is not None)


def loss(x, lam):
    return (pt.tanh(revgrad.reverse(pt.sin(x), lam)) ** 2).sum()


T = np.tanh(np.sin(VALUE))
SLOPE = 2 * T * (1 - T**2) * np.cos(VALUE)
"""The derivative of the loss without a reversal, by hand."""


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
    np.testing.assert_allclose(gradient, -0.3 * SLOPE)
    assert (ReverseGradient in ops_of(run)) == (rewrites is None)
    if linker == "jax":
        return  # it takes the value of a shared variable when it compiles
    run = pytensor.function([x], pytensor.grad(loss(x, variable), x), mode=mode)
    for value in (0.3, 0.7):
        variable.value = value
        np.testing.assert_allclose(run(VALUE), -value * SLOPE)


SLOW = {"numba": pytest.mark.slow}


@pytest.mark.parametrize(
    "linker", [pytest.param(each, marks=SLOW.get(each, ())) for each in LINKERS]
)
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
    x, lam, z = pt.dvector("x"), pt.dscalar("lam"), pt.dvector("z")
    outer = OpFromGraph([x, lam], [pt.sin(revgrad.reverse(x, lam))])
    found = pytensor.grad(outer(z, lam).sum(), z).eval({z: VALUE, lam: 0.3})
    np.testing.assert_allclose(found, -0.3 * np.cos(VALUE))


def test_clone_replace():
    x, lam = pt.dvector("x"), pt.dscalar("lam")
    twice = clone_replace(revgrad.reverse(x, lam), {lam: 2 * lam})
    found = pytensor.grad(twice.sum(), x).eval({x: VALUE, lam: 0.3})
    np.testing.assert_allclose(found, np.full(3, -0.6))


@pytest.mark.skipif(vectorize_graph is None, reason="this PyTensor does not vectorise graphs")
@pytest.mark.parametrize("lam_shape", [(), (4, 1), (4, 3)])
@pytest.mark.parametrize("batched", ["x", "lam", "both"])
def test_vectorized_graphs(batched, lam_shape):
    def tensor(*shape):
        return pt.TensorType("float64", shape=shape)()

    x, lam = tensor(4, 3), tensor(*lam_shape)
    new = {
        x: tensor(2, 4, 3) if batched != "lam" else x,
        lam: tensor(2, *lam_shape) if batched != "x" else lam,
    }
    replace = {old: each for old, each in new.items() if each is not old}
    ys = vectorize_graph(revgrad.reverse(x, lam), replace)
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


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("first", ["lam", "program"])
def test_a_variable_drives_the_program_that_it_is_copied_with(copied, compiled, first):
    lam, x = revgrad.LambdaVariable(0.5), pt.dvector("x")
    program = pytensor.grad(revgrad.reverse(x, lam).sum(), x)
    if compiled:
        program = pytensor.function([x], program, mode=Mode("py"))

    def gradient(each):
        run = each["program"]
        return run([1.0]) if compiled else run.eval({each["x"]: [1.0]})

    own = {first: None, "lam": lam, "program": program, "x": x}
    other = copied(own)
    other["lam"].value = 2.0
    assert (gradient(other), gradient(own)) == (-2.0, -0.5)
    lam.value = 0.25
    assert (gradient(other), gradient(own)) == (-2.0, -0.25)


def gradient_of_sum(x_type, lam, linker="py", rewrites="fast_run"):
    x = x_type("x")
    inputs = [x] if isinstance(lam, np.ndarray) else [x, lam]
    gradient = pytensor.grad(revgrad.reverse(x, lam).sum(), x)
    return pytensor.function(inputs, gradient, mode=Mode(linker, rewrites))


@pytest.mark.parametrize("rewrites", ["fast_run", None])
@pytest.mark.parametrize(
    "x_type, lam_type, wrong, fitting",
    [
        (pt.dmatrix, pt.dmatrix, (1, 3), (2, 3)),
        (pt.dmatrix, pt.dmatrix, (3, 3), (2, 3)),
        (pt.dmatrix, pt.dcol, (4, 1), (2, 1)),
        (pt.dmatrix, pt.dvector, (1,), (3,)),
        (pt.drow, pt.drow, (1, 2), (1, 3)),
    ],
)
def test_a_length_that_is_learned_at_run_time_is_checked(
    x_type, lam_type, wrong, fitting, rewrites
):
    """C16: the gradient of a sum is a broadcast number, which a rewrite may drop."""
    run = gradient_of_sum(x_type, lam_type("lam"), rewrites=rewrites)
    x = np.ones((1, 3) if x_type is pt.drow else (2, 3))
    with pytest.raises((AssertionError, ValueError)):
        run(x, np.ones(wrong))
    np.testing.assert_array_equal(run(x, np.full(fitting, 2.0)), -2 * x)


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
    found = run(np.ones((3, 2)), [1, 1, 0])
    np.testing.assert_array_equal(found, [[-0.5, -0.5], [-4.0, -4.0], [0.0, 0.0]])


def test_a_schedule_from_a_step_counter():
    x, step = pt.dvector("x"), pytensor.shared(np.asarray(0), name="step")
    lam = Dann()(progress(step, 10))
    gradient = pytensor.grad(revgrad.reverse(x, lam).sum(), x)
    run = pytensor.function([x], gradient, updates=[(step, step + 1)], mode=Mode("py"))
    for k in range(12):
        np.testing.assert_allclose(run(VALUE), np.full(3, -Dann()(min(k / 10, 1))), rtol=1e-12)


@pytest.mark.parametrize(
    "x, lam, error, words",
    [
        (pt.cvector(), 1.0, revgrad.UnsupportedTypeError, "of dtype complex64, which carries no"),
        (SPARSE, 1.0, revgrad.UnsupportedTypeError, "Expected a dense tensor; got .* type Sparse"),
        (object(), 1.0, revgrad.UnsupportedTypeError, "PyTensor makes no tensor of a object"),
        (pt.fscalar(), pt.zscalar(), revgrad.InvalidLambdaError, "value of dtype complex128"),
        (pt.fscalar(), SPARSE, revgrad.InvalidLambdaError, "got an object of type pytensor.sparse"),
    ],
)
def test_what_is_rejected(x, lam, error, words):
    with pytest.raises(error, match=words):
        reverse_gradient(x, lam)
