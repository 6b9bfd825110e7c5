"""The Op under every linker, with the rewrites on and off, and in graphs that are changed."""

import copy
import inspect
import pickle

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.builders import OpFromGraph
from pytensor.compile.mode import Mode
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.sparse import csr_matrix as sparse_matrix
from pytensor.tensor.rewriting.shape import ShapeFeature
from support.examples import assert_public
from support.processes import installed

import revgrad
import revgrad_pytensor
from revgrad.schedules import Dann, progress
from revgrad_pytensor import ReverseGradient, reverse_gradient

VALUE = np.array([0.5, -1.0, 2.0])
SPARSE = sparse_matrix("x", dtype="float64")
LINKERS = ["py", "cvm", *["numba"] * installed("numba")]
vectorize_graph = getattr(pytensor.graph.replace, "vectorize_graph", None)
# What PyTensor before 2.13 has for JAX does not suit the JAX versions that are supported.
LINKERS += ["jax"] * (installed("jax") and vectorize_graph is not None)


def test_public_names():
    assert_public(revgrad_pytensor)


def loss(x, lam):
    return (revgrad.reverse(pt.sin(x), lam) ** 2).sum()


@pytest.mark.parametrize("rewrites", ["fast_run", "fast_compile", None])
@pytest.mark.parametrize("linker", LINKERS)
def test_every_linker(linker, rewrites):
    x, lam, variable = pt.dvector("x"), pt.dscalar("lam"), revgrad.LambdaVariable(0.3)
    gradients = [pytensor.grad(loss(x, each), x) for each in (lam, variable)]
    outputs = [revgrad.reverse(x, lam), *gradients]
    run = pytensor.function([x, lam], outputs, mode=Mode(linker, rewrites))
    assert ("ReverseGradient" in pytensor.dprint(run, file="str")) == (rewrites is None)
    # That for JAX takes the value of a shared variable when it compiles.
    for value in [0.3] if linker == "jax" else [0.3, 0.7]:
        variable.value = value
        y, *found = run(VALUE, value)
        np.testing.assert_array_equal(y, VALUE)
        np.testing.assert_allclose(found, [-value * np.sin(2 * VALUE)] * 2)


SLOW = {"numba": pytest.mark.slow}


@pytest.mark.parametrize(
    "linker", [pytest.param(each, marks=SLOW.get(each, ())) for each in LINKERS]
)
def test_scan(linker):
    xs, lam = pt.dmatrix("xs"), pt.dscalar("lam")
    found = pytensor.scan(
        lambda x, state, lam: 2 * state + revgrad.reverse(pt.sin(x), lam),
        sequences=xs,
        outputs_info=pt.zeros((2,)),
        non_sequences=lam,
        n_steps=3,
    )
    ys = found[0] if isinstance(found, tuple) else found  # with the updates, or without
    gradient = pytensor.grad(ys[-1].sum(), xs)
    run = pytensor.function([xs, lam], gradient, mode=Mode(linker, "fast_run"))
    value = np.random.RandomState(0).randn(3, 2)
    np.testing.assert_allclose(run(value, 0.7), -0.7 * np.cos(value) * [[4], [2], [1]])


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
@pytest.mark.parametrize("lam_shape", [(), (3,), (4, 1), (4, 3)])
@pytest.mark.parametrize("x_batch, lam_batch", [((2,), ()), ((), (2,)), ((2,), (2,))])
def test_vectorized_graphs(x_batch, lam_batch, lam_shape):
    tensor = lambda *shape: pt.TensorType("float64", shape=shape)()
    x, lam = tensor(4, 3), tensor(*lam_shape)
    xs, lams, gs = tensor(*x_batch, 4, 3), tensor(*lam_batch, *lam_shape), tensor(2, 4, 3)
    ys = vectorize_graph(revgrad.reverse(x, lam), {x: xs, lam: lams})
    assert ys.type.shape == (2, 4, 3)
    gradient = pytensor.grad((ys * gs).sum(), xs)
    run = pytensor.function([xs, lams, gs], [ys, gradient], mode=Mode("py"))
    assert "ReverseGradient" not in pytensor.dprint(run, file="str")
    rng = np.random.RandomState(0)
    x, lam, g = (rng.rand(*each.type.shape) for each in (xs, lams, gs))
    value, found = run(x, lam, g)
    np.testing.assert_array_equal(value, np.broadcast_to(x, (2, 4, 3)))
    expected = -np.reshape(lam, lam_batch + (1,) * (2 - len(lam_shape)) + lam_shape) * g
    np.testing.assert_allclose(found, expected if x_batch else expected.sum(axis=0))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("first", ["lam", "program"])
def test_a_variable_drives_the_program_that_it_is_copied_with(copied, compiled, first):
    lam, x = revgrad.LambdaVariable(0.5), pytensor.shared(np.ones(1))
    program = pytensor.grad(revgrad.reverse(x, lam).sum(), x)
    if compiled:
        program = pytensor.function([], program, mode=Mode("py"))
    own = {first: None, "lam": lam, "program": program}
    other = copied(own)
    for lams in ((0.5, 2.0), (0.25, 2.0)):
        for each, value in zip((own, other), lams):
            each["lam"].value = value
        programs = own["program"], other["program"]
        assert [run() if compiled else run.eval() for run in programs] == [-each for each in lams]


def gradient_of_sum(x, lam, linker="py", rewrites="fast_run"):
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
        (pt.dtensor3, pt.dtensor3, (2, 4, 4), (2, 3, 4)),
    ],
)
def test_a_length_that_is_learned_at_run_time_is_checked(
    x_type, lam_type, wrong, fitting, rewrites
):
    """C16: the gradient of a sum is a broadcast number, which a rewrite may drop."""
    run = gradient_of_sum(x_type(), lam_type(), rewrites=rewrites)
    x = np.ones({pt.drow: (1, 3), pt.dtensor3: (2, 3, 4)}.get(x_type, (2, 3)))
    with pytest.raises((AssertionError, ValueError)):
        run(x, np.ones(wrong))
    np.testing.assert_array_equal(run(x, np.full(fitting, 2.0)), -2 * x)


@pytest.mark.parametrize("linker", LINKERS)
def test_every_linker_checks_the_lengths(linker):
    run = gradient_of_sum(pt.dmatrix(), np.full((2, 1), 2.0), linker)
    np.testing.assert_array_equal(run(np.ones((2, 3))), np.full((2, 3), -2.0))
    with pytest.raises((AssertionError, ValueError)):
        run(np.ones((1, 3)))


def test_the_op_itself_in_forward_mode():
    x, lam, t, s = pt.dvector("x"), pt.dscalar("lam"), pt.dvector("t"), pt.dscalar("s")
    by_op = "use_op_rop_implementation"  # older versions have no other way
    options = {by_op: True} if by_op in inspect.signature(pytensor.gradient.Rop).parameters else {}
    y = revgrad.reverse(pt.sin(x), 2 * lam)
    along = [pytensor.gradient.Rop(y, *each, **options) for each in ((x, t), (lam, s))]
    found = pytensor.function([x, lam, t, s], along, on_unused_input="ignore")(VALUE, 0.3, VALUE, 1)
    np.testing.assert_allclose(found, [-0.6 * VALUE * np.cos(VALUE), 0 * VALUE])


def test_the_shape_and_equality_of_ops():
    x, lam = pt.dmatrix(), pt.dscalar()
    y = revgrad.reverse(x, lam)
    op = ReverseGradient(x.type, lam.type)
    assert op == y.owner.op != ReverseGradient(x.type, x.type)
    shapes = FunctionGraph([x, lam], [y], features=[ShapeFeature()], clone=False).shape_feature
    assert shapes.shape_of[y] == shapes.shape_of[x]


def test_a_gather_from_a_reversal_with_an_array():
    x, rows = pt.dmatrix("x"), pt.lvector("rows")
    y = revgrad.reverse(x, np.array([[0.5], [2.0], [3.0]]))
    gradient = pytensor.grad(y[rows].sum(), x)
    run = pytensor.function([x, rows], gradient, mode=Mode("cvm", "fast_run"))
    np.testing.assert_array_equal(run(np.ones((3, 2)), [1, 1, 0]), [[-0.5] * 2, [-4] * 2, [0] * 2])


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
