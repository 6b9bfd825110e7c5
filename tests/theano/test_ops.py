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
import revgrad_theano
from revgrad import InvalidLambdaError, UnsupportedTypeError
from revgrad_theano import ReverseGradient, ScaleGradient, reverse_gradient, scale_gradient

PY, PLAIN = theano.Mode("py", "fast_run"), theano.Mode("py", None)


def nodes(function):
    ops = ReverseGradient, ScaleGradient
    return [n for n in function.maker.fgraph.toposort() if isinstance(n.op, ops)]


@pytest.mark.parametrize(
    "mode",
    [
        DebugMode(check_py_code=True, stability_patience=1),
        NanGuardMode(nan_is_error=True, inf_is_error=True, big_is_error=False),
        theano.Mode("c|py", None),
    ],
)
def test_modes_that_compile_c_code(mode):
    """The suite has the modes of the Python linker."""
    lam, value, a, b = revgrad.LambdaVariable(0.5), *np.random.RandomState(0).randn(3, 3, 4)
    x, w, v = T.dmatrix("x"), theano.shared(a), theano.shared(b)
    cost = (revgrad.reverse(x * w, lam) * v).sum()
    run = theano.function([x], theano.grad(cost, [w, v]), mode=mode)
    for strength in (0.5, 2.0):
        lam.value = strength
        np.testing.assert_allclose(run(value), [-strength * value * b, value * a], rtol=1e-9)


def test_the_c_code_passes_a_view():
    x = T.fmatrix("x")
    y = theano.Out(reverse_gradient(x, 0.5), borrow=True)
    function = theano.function([theano.In(x, borrow=True)], y, mode=theano.Mode("c", None))
    assert nodes(function)
    value = np.asfortranarray(np.ones((3, 2), "float32"))
    assert np.shares_memory(function(value), value)


def test_the_op_needs_no_registered_backend():
    lam, x = revgrad.LambdaVariable(1.0), T.dvector("x")
    spec = revgrad.unregister("theano")
    try:
        run = theano.function([x], theano.grad(reverse_gradient(x, lam).sum(), x))
        lam.value = 5.0
        assert run([1.0]) == [-5.0]
    finally:
        revgrad.register(spec)


@pytest.mark.parametrize("op", [reverse_gradient, scale_gradient])
@pytest.mark.parametrize("rewrites", ["fast_run", "fast_compile", "fast_run_stable", "stabilize"])
def test_nothing_is_left_in_any_mode_that_rewrites(op, rewrites):
    for x in (T.fvector("x"), theano.sparse.csr_matrix("x", "float32")):
        assert not nodes(theano.function([x], op(x, 0.5), mode=theano.Mode("py", rewrites)))


def test_a_lam_of_the_right_dtype_is_an_input_of_the_node_as_it_is():
    x, lam = T.fvector("x"), T.fscalar("lam")
    node = reverse_gradient(x, lam).owner
    assert node.inputs == [x, lam] and str(node) == "ReverseGradient(x, lam)"


@pytest.mark.parametrize(
    "x, lam, error, words",
    [
        (T.fvector(), T.cscalar(), InvalidLambdaError, "λ must be real; .* of dtype complex64"),
        (T.fvector(), T.eq(T.fscalar(), 0), InvalidLambdaError, "of dtype bool"),
        (T.fvector(), theano.sparse.csr_matrix(), InvalidLambdaError, "theano.sparse.basic.Sparse"),
        (T.fvector(), T.cast(-1.0, "float32"), InvalidLambdaError, "pass 1.0, not -1.0"),
        (theano.scalar.float32(), 1, UnsupportedTypeError, "Expected a tensor or a sparse matrix"),
        (TypedListType(T.fvector)(), 1, UnsupportedTypeError, "Expected a tensor or a sparse mat"),
        (T.cvector(), 1, UnsupportedTypeError, "dtype complex64"),
        (None, 1, UnsupportedTypeError, "Theano makes no tensor of a NoneType"),
    ],
)
def test_what_is_rejected(x, lam, error, words):
    with pytest.raises(error, match=words):
        revgrad.reverse(x, lam, backend="theano")


def test_an_array_becomes_a_variable_where_the_backend_is_named():
    y = revgrad.reverse(np.ones(2, "float32"), 1.0, backend="theano")
    assert y.owner.op == reverse_gradient and y.dtype == "float32"


@pytest.mark.parametrize("pattern", [(True, False), (False, True), (True,), (False, True, False)])
def test_the_broadcast_pattern_is_kept(pattern):
    x = T.TensorType("float32", pattern)("x")
    y = reverse_gradient(x, 0.5)
    assert x.type == y.type == theano.grad(y.sum(), x).type


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
    # too, so this is compiled without rewrites.
    out, gradient = theano.function([x], [y, g], mode=PLAIN)(value)
    assert (out.format, out.dtype, gradient.dtype) == (format, "float32", "float32")
    np.testing.assert_array_equal(out.toarray(), value.toarray())
    np.testing.assert_allclose(gradient.toarray(), 2 * factor * value.toarray(), rtol=1e-6)
    with pytest.raises(InvalidLambdaError, match="A sparse x takes a scalar λ or factor"):
        change(x, np.ones((5, 1)))


def test_infer_shape_does_not_compute_x():
    x, mode = T.fmatrix("x"), PY.excluding("remove_gradient_op")
    function = theano.function([x], reverse_gradient(T.exp(x), 0.5).shape, mode=mode)
    assert all("Elemwise" not in type(n.op).__name__ for n in function.maker.fgraph.toposort())
    np.testing.assert_array_equal(function(np.ones((2, 3), "float32")), [2, 3])


def test_scan_holds_no_reversal_and_gives_the_gradient():
    x, lam = T.dvector("x"), T.dscalar("lam")
    step = lambda state, lam: T.tanh(revgrad.reverse(state, lam))
    states, _ = theano.scan(step, outputs_info=x, non_sequences=lam, n_steps=3)
    function = theano.function([x, lam], [states, theano.grad(states[-1].sum(), x)])
    scans = [n.op for n in function.maker.fgraph.toposort() if type(n.op).__name__ == "Scan"]
    assert scans and not any(nodes(scan.fn) for scan in scans)
    found, gradient = function([0.3, -1.0], 2.0)
    np.testing.assert_allclose(found, np.tanh([[0.3, -1.0], *found[:2]]), rtol=1e-12)
    np.testing.assert_allclose(gradient, (-2.0) ** 3 * np.prod(1 - found**2, axis=0), rtol=1e-12)


def test_op_from_graph():
    x, lam = T.dvector("x"), T.dscalar("lam")
    op = OpFromGraph([x, lam], [revgrad.reverse(x**2, lam)], on_unused_input="ignore")
    function = theano.function([x], theano.grad(op(x, T.constant(np.float64(0.5))).sum(), x))
    np.testing.assert_allclose(function([3.0]), [-3.0])


def test_ifelse():
    x, on = T.dvector("x"), T.bscalar("on")
    y = ifelse(on, revgrad.reverse(x, 0.5), x)
    function = theano.function([x, on], theano.grad((y**2).sum(), x))
    assert (function([3.0], 1), function([3.0], 0)) == ([-3.0], [6.0])


def test_a_cotangent_that_is_disconnected_stays_so():
    y, disconnected = revgrad.reverse(T.dvector("x"), 0.5), theano.gradient.DisconnectedType
    for gradient in y.owner.op.L_op(y.owner.inputs, [y], [disconnected()()]):
        assert isinstance(gradient.type, disconnected)


def test_rop_without_a_tangent_for_x():
    x, t = T.dvector("x"), T.dvector("t")
    y = revgrad.reverse(theano.gradient.disconnected_grad(x), 0.5) * x
    assert theano.function([x, t], theano.Rop(y, x, t))([3.0], [2.0]) == [6.0]


def test_rewrites_see_through_it():
    """log(softmax) behind a reversal is still recognised and computed without overflow."""
    x = T.dmatrix("x")
    y = T.log(revgrad.reverse(T.nnet.softmax(x), 1.0))
    assert np.isfinite(theano.function([x], y)([[0.0, 2000.0]])).all()


# --- λ whose lengths Theano learns at run time ----------------------------------------------------


MISFITS = [
    *[theano.shared(np.ones(shape)) for shape in [(2, 4), (3, 1), (1, 4), (1,), (3,)]],
    theano.shared(np.ones((2, 1)), broadcastable=(False, True)),
    theano.shared(np.ones((1, 3)), broadcastable=(True, False)),
    np.ones((2, 1)),
]


@pytest.mark.parametrize("mode", [PY, PLAIN, "FAST_RUN"], ids=["py", "plain", "C"])
@pytest.mark.parametrize("lam", MISFITS)
def test_a_lam_that_does_not_fit_the_x_of_a_run_is_an_error_of_the_run(mode, lam):
    """A cotangent of ones is rewritten to λ alone: the gradient would have the shape of λ."""
    x = T.dmatrix("x")
    y = revgrad.reverse(x, lam)
    for pulled in (theano.grad(y.sum(), x), theano.Rop(y, x, T.ones_like(x))):
        run = theano.function([x], pulled, mode=mode)
        with pytest.raises(InvalidLambdaError, match="does not broadcast to x: expected"):
            run(np.ones((3, 4)))


@pytest.mark.parametrize(
    "kind, part, more",
    [
        (T.dscalar, np.s_[0, 0], 0),
        (T.dcol, np.s_[:, :1], 2),
        (T.drow, np.s_[:1], 2),
        (T.dvector, np.s_[0], 2),
        (T.dmatrix, np.s_[:], 3),
    ],
)
def test_what_the_check_of_lengths_costs(kind, part, more):
    """One node, and one for each length of x; none for a scalar."""
    x, lam, g = T.dmatrix("x"), kind("lam"), T.dmatrix("g")
    pulled = theano.Lop(revgrad.reverse(x, lam), x, g)
    run, plain = (
        theano.function([x, lam, g], output, mode=PY, on_unused_input="ignore")
        for output in (pulled, -lam * g)
    )
    value = np.arange(12.0).reshape(3, 4)
    arrays = value, value[part], value
    np.testing.assert_array_equal(run(*arrays), plain(*arrays))
    assert len(run.maker.fgraph.toposort()) - len(plain.maker.fgraph.toposort()) == more


def test_the_second_derivative_through_a_lam_with_lengths():
    x, lam = T.dvector("x"), T.dvector("lam")
    gradient = theano.grad((revgrad.reverse(x, lam) ** 3).sum(), x)
    run = theano.function([x, lam], theano.grad(gradient.sum(), x), mode=PY)
    np.testing.assert_allclose(run([1.0, 2.0], [0.5, 3.0]), [0.25 * 6, 9 * 12])


def test_a_gradient_of_the_gradient_by_a_lam_with_lengths():
    x, lam = T.dvector(), T.dvector()
    gradient = theano.grad((reverse_gradient(x, lam) ** 2).sum(), x)
    found = theano.grad(gradient.sum(), lam).eval({x: [1.0, 2.0], lam: [0.5, 3.0]})
    assert found.tolist() == [-2, -4]


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
    found = found if shape else found.toarray()  # with a scalar it stays sparse
    np.testing.assert_array_equal(found, sign * lam * np.array([[1, 10], [0, 0], [2, 20]]))


# --- copies that take λ along ---------------------------------------------------------------------


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each, 2))])
def test_a_copy_follows_the_variable_that_was_copied_with_it(twin):
    lam, x = revgrad.LambdaVariable(0.5), T.dvector("x")
    gradient = theano.grad(revgrad.reverse(x, lam).sum(), x)
    function = theano.function([x], gradient, mode=PY)
    alone = twin(function)
    other, together, x, gradient = twin((lam, function, x, gradient))
    graph = theano.function([x], gradient, mode=PY)
    lam.value, other.value = 7.0, 3.0
    found = [run([1.0]) for run in (function, alone, together, graph)]
    assert found == [-7.0, -0.5, -3.0, -3.0]


def test_a_pickle_names_no_private_module_and_loads_in_a_fresh_process(tmp_path):
    lam, x = revgrad.LambdaVariable(0.5), T.dvector("x")
    y = revgrad.scale_gradient(revgrad.reverse(x, lam), 3.0)
    function = theano.function([x], theano.grad(y.sum(), x), mode="FAST_COMPILE")
    saved = pickle.dumps((lam, x, y, function), 2)
    named = set(re.findall(rb"c(revgrad[\w.]*)\n", saved))
    assert named == {b"revgrad", b"revgrad_theano", b"revgrad_theano.native"}
    (tmp_path / "saved.pkl").write_bytes(saved)
    program = """
    import pickle, sys
    import revgrad_theano.compat, theano
    lam, x, y, function = pickle.load(open(sys.argv[1], "rb"))
    lam.value = 2.0
    loaded = theano.function([x], theano.grad(y.sum(), x), mode="FAST_COMPILE")
    print(*function([1.0]), *loaded([1.0]))
    """
    assert python(tmp_path / "saved.pkl", code=program).stdout.split() == ["-6.0", "-6.0"]


# --- several outputs ------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["fast_run", None])
@pytest.mark.parametrize("linker", ["py", "c|py"])
def test_outputs_that_are_equal_do_not_share_memory(linker, optimizer):
    x, shared, value = T.dvector("x"), theano.shared(np.ones(3)), np.ones(3)
    h = x * 2
    outputs = [x, revgrad.reverse(h, 1.0), h, revgrad.reverse(x, 5.0)]
    updates = [(shared, revgrad.reverse(h, 2.0))]
    run = theano.function([x], outputs, mode=theano.Mode(linker, optimizer), updates=updates)
    arrays = [value, *run(value), shared.get_value(borrow=True)]
    for i, one in enumerate(arrays):
        assert not any(np.shares_memory(one, other) for other in arrays[:i])
    arrays[2][:] = -100
    np.testing.assert_array_equal([shared.get_value(), run(value)[1]], np.full((2, 3), 2.0))


@pytest.mark.parametrize("optimizer", ["fast_run", None])
def test_a_parameter_that_is_reversed_and_updated(optimizer):
    """The new value of a shared variable is computed from the old one, reversed or not."""
    w = theano.shared(np.array([1.0, 2.0]))
    y = revgrad.reverse(w, 0.5)
    gradient = theano.grad((y**2).sum() + (w**2).sum(), w)  # is w: -0.5 * 2w + 2w
    updates = [(w, y - 0.1 * gradient)]
    train = theano.function([], [w, y], updates=updates, mode=theano.Mode("py", optimizer))
    for step in range(3):
        np.testing.assert_allclose(train(), [0.9**step * np.array([1.0, 2.0])] * 2)
    np.testing.assert_allclose(w.get_value(), [0.9**3, 2 * 0.9**3])


def test_the_names_of_the_package_and_their_examples():
    assert_public(revgrad_theano)
    with pytest.raises(AttributeError, match="has no attribute 'Reverse'; it has ReverseGradient"):
        revgrad_theano.Reverse
