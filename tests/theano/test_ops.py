"""`ReverseGradient` in every mode and construct of Theano that people meet."""

import copy
import pickle
import re

import numpy as np
import pytest
import scipy.sparse
import theano
import theano.sparse
import theano.tensor as T
from theano.compile.builders import OpFromGraph
from theano.compile.debugmode import DebugMode
from theano.compile.nanguardmode import NanGuardMode
from theano.ifelse import ifelse
from theano.typed_list import TypedListType

from support.examples import assert_public
from support.processes import python

import revgrad
from revgrad_theano import ReverseGradient, ScaleGradient, reverse_gradient, scale_gradient
from revgrad_theano.native import native

PY, PLAIN = theano.Mode("py", "fast_run"), theano.Mode("py", None)
MODES = {
    "FAST_COMPILE": "FAST_COMPILE",
    "FAST_RUN": "FAST_RUN",
    "DebugMode": DebugMode(check_py_code=True, stability_patience=1),
    "NanGuardMode": NanGuardMode(nan_is_error=True, inf_is_error=True, big_is_error=False),
    "C without rewrites": theano.Mode("c|py", None),
    "Python without rewrites": PLAIN,
}


def nodes(function):
    ops = ReverseGradient, ScaleGradient
    return [n for n in function.maker.fgraph.toposort() if isinstance(n.op, ops)]


@pytest.mark.parametrize("mode", MODES)
def test_a_small_network_in_every_mode(mode):
    rng = np.random.RandomState(0)
    w, v = (theano.shared(rng.randn(3, 4).astype("float64")) for _ in range(2))
    x, lam = T.dmatrix("x"), revgrad.LambdaVariable(0.5)

    def gradients(reversal):
        return theano.grad((reversal(x * w) * v).sum(), [w, v])

    plain = theano.function([x], gradients(lambda h: h), mode="FAST_COMPILE")
    run = theano.function([x], gradients(lambda h: revgrad.reverse(h, lam)), mode=MODES[mode])
    value = rng.randn(3, 4).astype("float64")
    for strength in (0.5, 2.0):
        lam.value = strength
        for actual, expected in zip(run(value), [-strength * plain(value)[0], plain(value)[1]]):
            assert actual.dtype == "float64"
            np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)
    assert bool(nodes(run)) == ("without rewrites" in mode)


def test_the_c_code_passes_a_view():
    x = T.fmatrix("x")
    y = theano.Out(reverse_gradient(x, 0.5), borrow=True)
    mode = theano.Mode(linker="c", optimizer=None)
    function = theano.function([theano.In(x, borrow=True)], y, mode=mode)
    assert nodes(function)
    value = np.asfortranarray(np.ones((3, 2), "float32"))
    assert np.shares_memory(function(value), value)


def test_neither_a_compiled_function_nor_the_op_needs_a_registered_backend():
    lam, x = revgrad.LambdaVariable(1.0), T.fvector("x")
    run = theano.function([x], theano.grad(revgrad.reverse(x, lam).sum(), x))
    spec = revgrad.unregister("theano")
    try:
        gradient = theano.grad(reverse_gradient(x, revgrad.LambdaVariable(2.0)).sum(), x)
        assert gradient.eval({x: np.ones(1, "float32")}) == [-2.0]
    finally:
        revgrad.register(spec)
    lam.value = 5.0
    assert run(np.ones(1, "float32")) == [-5.0]


@pytest.mark.parametrize("op", [reverse_gradient, scale_gradient])
@pytest.mark.parametrize("rewrites", ["fast_run", "fast_compile", "fast_run_stable", "stabilize"])
def test_nothing_is_left_in_any_mode_that_rewrites(op, rewrites):
    x = T.fvector("x")
    assert not nodes(theano.function([x], op(x, 0.5) + 1, mode=theano.Mode("py", rewrites)))


def test_one_variable_has_one_cell_for_all_reversals():
    lam, x = revgrad.LambdaVariable(0.5), T.fvector("x")
    one, two = revgrad.reverse(x, lam), revgrad.reverse(2 * x, lam)
    assert [each.owner.inputs[1].owner.inputs[0] for each in (one, two)] == [lam.cell(native)] * 2
    g = theano.function([x], theano.grad((one + two).sum(), x))
    lam.value = 2.0
    np.testing.assert_array_equal(g(np.ones(2, "float32")), [-6.0, -6.0])


def test_a_lam_of_the_right_dtype_is_an_input_of_the_node_as_it_is():
    x, lam = T.fvector("x"), T.fscalar("lam")
    node = reverse_gradient(x, lam).owner
    assert node.inputs == [x, lam] and str(node) == "ReverseGradient(x, lam)"
    assert reverse_gradient(x, 0.5).owner.inputs[1].dtype == "float32"


@pytest.mark.parametrize(
    "lam, words",
    [
        (T.cscalar("z"), "λ must be real; got a value of dtype complex64. Cast it to a float dty"),
        (T.eq(T.fscalar(), 0), "of dtype bool"),
        (theano.sparse.csr_matrix(), "got an object of type theano.sparse.basic.Sparse"),
    ],
)
def test_what_is_not_a_lambda_is_rejected(lam, words):
    with pytest.raises(revgrad.InvalidLambdaError, match=words):
        revgrad.reverse(T.fvector("x"), lam)


@pytest.mark.parametrize(
    "x, words",
    [
        (theano.scalar.float32("s"), "Expected a tensor or a sparse matrix"),
        (TypedListType(T.fvector)("list"), "Expected a tensor or a sparse matrix"),
        (T.cvector("z"), "dtype complex64"),
        (np.arange(2, dtype="int64"), "dtype int64"),
        (None, "Theano makes no tensor of a NoneType"),
    ],
)
def test_what_carries_no_gradient_is_rejected(x, words):
    with pytest.raises(revgrad.UnsupportedTypeError, match=words):
        revgrad.reverse(x, 1.0, backend="theano")


def test_theano_differentiates_nothing_complex():
    z = T.cvector("z")
    with pytest.raises(TypeError):
        theano.grad(abs(z).sum(), z)


def test_an_array_becomes_a_variable_where_the_backend_is_named():
    y = revgrad.reverse(np.ones(2, "float32"), 1.0, backend="theano")
    assert y.owner.op == reverse_gradient and y.dtype == "float32"


@pytest.mark.parametrize("pattern", [(True, False), (False, True), (True,), (False, True, False)])
def test_the_broadcast_pattern_is_kept(pattern):
    x = T.TensorType("float32", pattern)("x")
    y = reverse_gradient(x, 0.5)
    assert y.type == x.type
    assert theano.grad(y.sum(), x).type == x.type


@pytest.mark.parametrize("format", ["csr", "csc"])
@pytest.mark.parametrize(
    "change, lam, factor",
    [(revgrad.reverse, revgrad.LambdaVariable(0.5), -0.5), (scale_gradient, -2.0, -2)],
)
def test_sparse(format, change, lam, factor):
    x = theano.sparse.matrix(format, name="x", dtype="float32")
    y = change(x, lam)
    g = theano.grad((theano.sparse.dense_from_sparse(y) ** 2).sum(), x)
    assert y.type == g.type == x.type
    value = scipy.sparse.random(5, 4, 0.5, format, "float32", random_state=0)
    # Theano 1.0.5's rewrite of sparse times dense gives wrong numbers for csc, without a reversal
    # too, so this is compiled without rewrites; the one of ours is run in the test below.
    out, gradient = theano.function([x], [y, g], mode=PLAIN)(value)
    assert out.dtype == gradient.dtype == "float32" and out.format == format
    np.testing.assert_array_equal(out.toarray(), value.toarray())
    np.testing.assert_allclose(gradient.toarray(), 2 * factor * value.toarray(), rtol=1e-6)
    with pytest.raises(revgrad.InvalidLambdaError, match="A sparse x takes a scalar λ or factor"):
        change(x, np.ones((5, 1)))


def test_nothing_sparse_is_left_in_a_compiled_function():
    x = theano.sparse.csr_matrix("x", "float32")
    function = theano.function([x], theano.sparse.dense_from_sparse(revgrad.reverse(x, 0.5)))
    assert not nodes(function)


def test_infer_shape_does_not_compute_x():
    x = T.fmatrix("x")
    function = theano.function([x], reverse_gradient(T.exp(x), 0.5).shape)
    assert all("Elemwise" not in type(n.op).__name__ for n in function.maker.fgraph.toposort())
    np.testing.assert_array_equal(function(np.ones((2, 3), "float32")), [2, 3])


def test_scan_holds_no_reversal_and_gives_the_gradient():
    x, lam = T.dvector("x"), T.dscalar("lam")
    step = lambda state, lam: T.tanh(revgrad.reverse(state, lam))
    states, _ = theano.scan(step, outputs_info=x, non_sequences=lam, n_steps=3)
    function = theano.function([x, lam], [states[-1], theano.grad(states[-1].sum(), x)])
    scans = [n.op for n in function.maker.fgraph.toposort() if type(n.op).__name__ == "Scan"]
    assert scans and not any(nodes(scan.fn) for scan in scans)

    y = T.tanh(T.tanh(T.tanh(x)))
    plain = theano.function([x], [y, (-2.0) ** 3 * theano.grad(y.sum(), x)])
    value = np.array([0.3, -1.0])
    np.testing.assert_allclose(function(value, 2.0), plain(value), rtol=1e-12)


def test_op_from_graph():
    x, lam = T.dvector("x"), T.dscalar("lam")
    op = OpFromGraph([x, lam], [revgrad.reverse(x**2, lam)], on_unused_input="ignore")
    function = theano.function([x], theano.grad(op(x, T.constant(np.float64(0.5))).sum(), x))
    np.testing.assert_allclose(function([3.0]), [-3.0])


def test_ifelse():
    x, on = T.dvector("x"), T.bscalar("on")
    y = ifelse(on, revgrad.reverse(x, 0.5), x)
    function = theano.function([x, on], theano.grad((y**2).sum(), x))
    np.testing.assert_allclose(function([3.0], 1), [-3.0])
    np.testing.assert_allclose(function([3.0], 0), [6.0])


@pytest.mark.skipif(not hasattr(theano, "clone"), reason="Theano-PyMC 1.1 has no theano.clone")
def test_clone_replaces_lam():
    x, lam = T.dvector("x"), T.dscalar("lam")
    y = theano.clone(revgrad.reverse(x, lam), replace={lam: T.constant(np.float64(3.0))})
    np.testing.assert_array_equal(theano.grad(y.sum(), x).eval({x: [1.0]}), [-3.0])


def test_a_cotangent_that_is_disconnected_stays_so():
    x = T.dvector("x")
    y = revgrad.reverse(x, 0.5)
    disconnected = theano.gradient.DisconnectedType()()
    for gradient in y.owner.op.L_op(y.owner.inputs, [y], [disconnected]):
        assert isinstance(gradient.type, theano.gradient.DisconnectedType)
    blocked = theano.gradient.disconnected_grad(y).sum() + x.sum()
    np.testing.assert_array_equal(theano.grad(blocked, x).eval({x: [2.0]}), [1.0])


def test_rop_without_a_tangent_for_x():
    x, z, t = T.dvector("x"), T.dvector("z"), T.dvector("t")
    pushed = theano.function([x, z, t], theano.Rop(revgrad.reverse(x, 0.5) * z, z, t))
    np.testing.assert_array_equal(pushed([3.0], [5.0], [2.0]), [6.0])


def test_rewrites_see_through_it():
    """log(softmax) behind a reversal is still recognised and computed without overflow."""
    x = T.dmatrix("x")
    y = T.log(revgrad.reverse(T.nnet.softmax(x), 1.0))
    assert np.isfinite(theano.function([x], y)([[0.0, 2000.0]])).all()


def test_a_compiled_function_and_a_graph_load_in_a_fresh_process(tmp_path):
    x, lam = T.dvector("x"), T.dscalar("lam")
    y = revgrad.reverse(x, lam)
    function = theano.function([x, lam], theano.grad((y**2).sum(), x), mode="FAST_COMPILE")
    with open(tmp_path / "saved.pkl", "wb") as file:
        pickle.dump((function, x, lam, y), file, 2)
    program = """
    import pickle, sys
    import revgrad_theano.compat, theano
    function, x, lam, y = pickle.load(open(sys.argv[1], "rb"))
    gradient, mode = theano.grad(y.sum(), x), "FAST_COMPILE"
    loaded = theano.function([x, lam], gradient, mode=mode, on_unused_input="ignore")
    print(*function([3.0], 0.5), *loaded([1.0], 0.25))
    """
    done = python(tmp_path / "saved.pkl", code=program)
    assert done.stdout.split() == ["-3.0", "-0.25"]


# --- what is known of λ when the graph is built ---------------------------------------------------


@pytest.mark.parametrize("made", [float, T.constant])
@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_a_constant_of_the_graph_is_validated_like_a_number(made, value):
    x, constant = T.fvector("x"), T.cast(made(value), "float32")
    with pytest.raises(revgrad.InvalidLambdaError, match="must be a real, finite number >= 0; got"):
        revgrad.reverse(x, constant)
    if value == -1.0:
        assert revgrad.scale_gradient(x, constant).type == x.type
    else:
        with pytest.raises(revgrad.InvalidLambdaError, match="The factor must be a real, finite"):
            revgrad.scale_gradient(x, constant)


# --- λ whose lengths Theano learns at run time ----------------------------------------------------


MISFITS = [
    (T.dmatrix("lam"), (2, 4)),
    (T.dmatrix("lam"), (3, 1)),
    (T.dmatrix("lam"), (1, 4)),
    (T.dcol("lam"), (2, 1)),
    (T.drow("lam"), (1, 3)),
    (T.dvector("lam"), (1,)),
    (T.dvector("lam"), (3,)),
    (np.ones((2, 1)), None),
]


@pytest.mark.parametrize("mode", [PY, PLAIN, "FAST_RUN"], ids=["py", "plain", "C"])
@pytest.mark.parametrize("lam, shape", MISFITS)
def test_a_lam_that_does_not_fit_the_x_of_a_run_is_an_error_of_the_run(mode, lam, shape):
    """A cotangent of ones is rewritten to λ alone: the gradient would have the shape of λ."""
    x = T.dmatrix("x")
    inputs, values = ([x, lam], [np.ones(shape)]) if shape else ([x], [])
    y = revgrad.reverse(x, lam)
    for pulled in (theano.grad(y.sum(), x), theano.Rop(y, x, T.ones_like(x))):
        run = theano.function(inputs, pulled, mode=mode)
        with pytest.raises(revgrad.InvalidLambdaError, match="does not broadcast to x: expected"):
            run(np.ones((3, 4)), *values)


@pytest.mark.parametrize(
    "kind, shape, more",
    [
        (T.dscalar, (), 0),
        (T.dcol, (3, 1), 2),
        (T.drow, (1, 4), 2),
        (T.dvector, (4,), 2),
        (T.dmatrix, (3, 4), 3),
    ],
)
def test_what_the_check_of_lengths_costs(kind, shape, more):
    """One node, and one for each length of x; none for a scalar."""
    x, lam, g = T.dmatrix("x"), kind("lam"), T.dmatrix("g")
    pulled = theano.Lop(revgrad.reverse(x, lam), x, g)
    run = theano.function([x, lam, g], pulled, mode=PY, on_unused_input="ignore")
    plain = theano.function([lam, g], -lam * g, mode=PY)
    value = np.arange(12.0).reshape(3, 4)
    strength = np.arange(np.prod(shape)).reshape(shape)
    np.testing.assert_array_equal(run(value, strength, value), -strength * value)
    assert len(run.maker.fgraph.toposort()) - len(plain.maker.fgraph.toposort()) == more


def test_the_second_derivative_through_a_lam_with_lengths():
    x, lam = T.dvector("x"), T.dvector("lam")
    gradient = theano.grad((revgrad.reverse(x, lam) ** 3).sum(), x)
    run = theano.function([x, lam], theano.grad(gradient.sum(), x), mode=PY)
    np.testing.assert_allclose(run([1.0, 2.0], [0.5, 3.0]), [0.25 * 6, 9 * 12])


@pytest.mark.parametrize("linker", ["cvm", "py"])
@pytest.mark.parametrize("change, sign", [(revgrad.reverse, -1), (revgrad.scale_gradient, 1)])
@pytest.mark.parametrize("shape", [(), (3, 1), (2,), (1, 2), (3, 2)])
def test_the_sparse_gradient_of_a_gather(linker, change, sign, shape):
    """The C code of sparse * dense checks no shapes: it gave wrong numbers for a λ per row."""
    w, index = T.dmatrix("w"), T.ivector("index")
    lam = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    rows = theano.sparse_grad(change(w, lam)[index])
    gradient = theano.grad((rows * T.constant([[1.0, 10.0]])).sum(), w)
    run = theano.function([w, index], gradient, mode=theano.Mode(linker, "fast_run"))
    found = run(np.ones((3, 2)), np.array([0, 2, 2], "int32"))
    if shape == ():
        found = found.toarray()  # it stays sparse
    np.testing.assert_array_equal(found, sign * lam * np.array([[1, 10], [0, 0], [2, 20]]))


# --- copies that take λ along ---------------------------------------------------------------------


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each, 2))])
def test_a_variable_copied_with_its_graph_and_its_function_drives_the_copies(twin):
    lam, x = revgrad.LambdaVariable(0.5), T.dvector("x")
    y = revgrad.reverse(x, lam)
    function = theano.function([x], theano.grad(y.sum(), x), mode=PY)
    other, copied, x, y = twin((lam, function, x, y))
    graph = theano.function([x], theano.grad(y.sum(), x), mode=PY)

    def slopes():
        return [run([1.0])[0] for run in (copied, graph, function)]

    for value in (3.0, 4.0):
        other.value = value
        assert slopes() == [-value, -value, -0.5]
    lam.value = 7.0
    assert slopes() == [-4.0, -4.0, -7.0]


def test_a_function_copied_alone_keeps_the_value_of_that_moment():
    lam, x = revgrad.LambdaVariable(0.5), T.dvector("x")
    function = theano.function([x], theano.grad(revgrad.reverse(x, lam).sum(), x), mode=PY)
    alone, variable = copy.deepcopy(function), copy.deepcopy(lam)
    lam.value, variable.value = 2.0, 3.0
    assert alone([1.0]) == [-0.5] and function([1.0]) == [-2.0]


def test_pickles_name_no_private_module():
    lam, x = revgrad.LambdaVariable(0.5), T.dvector("x")
    y = revgrad.scale_gradient(revgrad.reverse(x, lam), -1)
    named = set(re.findall(rb"c(revgrad[\w.]*)\n", pickle.dumps((lam, y), 2)))
    assert named == {b"revgrad", b"revgrad_theano", b"revgrad_theano.native"}


# --- several outputs ------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["fast_run", None])
@pytest.mark.parametrize("linker", ["py", "c|py"])
def test_outputs_that_are_equal_do_not_share_memory(linker, optimizer):
    x, shared = T.dvector("x"), theano.shared(np.ones(3))
    h = x * 2
    outputs = [x, revgrad.reverse(h, 1.0), h, revgrad.reverse(x, 5.0)]
    updates = [(shared, revgrad.reverse(h, 2.0))]
    run = theano.function([x], outputs, mode=theano.Mode(linker, optimizer), updates=updates)
    value = np.ones(3)
    arrays = [value, *run(value), shared.get_value(borrow=True)]
    for i, one in enumerate(arrays):
        assert not any(np.shares_memory(one, other) for other in arrays[:i])
    arrays[2][:] = -100
    np.testing.assert_array_equal(shared.get_value(), [2.0, 2.0, 2.0])
    np.testing.assert_array_equal(run(value)[1], [2.0, 2.0, 2.0])


@pytest.mark.parametrize("optimizer", ["fast_run", None])
def test_a_parameter_that_is_reversed_and_updated(optimizer):
    """The new value of a shared variable is computed from the old one, reversed or not."""
    w = theano.shared(np.array([1.0, 2.0]))
    y = revgrad.reverse(w, 0.5)
    cost = (y**2).sum() + (w**2).sum()
    updates = [(w, y - 0.1 * theano.grad(cost, w))]
    train = theano.function([], [w, y, cost], updates=updates, mode=theano.Mode("py", optimizer))
    expected = np.array([1.0, 2.0])
    for _ in range(3):
        old, same, value = train()
        np.testing.assert_allclose([old, same], [expected, expected])
        np.testing.assert_allclose(value, 2 * (expected**2).sum())
        expected = expected - 0.1 * (2 - 0.5 * 2) * expected
    np.testing.assert_allclose(w.get_value(), expected)


# --- the factor -----------------------------------------------------------------------------------


def test_the_names_of_the_package_and_their_examples():
    import revgrad_theano

    assert_public(revgrad_theano)
    with pytest.raises(AttributeError, match="has no attribute 'Reverse'; it has ReverseGradient"):
        revgrad_theano.Reverse
