"""The contract on Theano: our reversal keeps every clause, and each check can fail.

The second half holds reversals that are wrong on purpose, each with the clause whose check must
catch it. C10 (schedules in the graph) is tested in test_in_graph; C18 and C19 are at the end.
"""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import theano
import theano.sparse
import theano.tensor as T
from theano_clauses import CLAUSES

import revgrad
import revgrad_theano
from revgrad_theano.ops import Apply, Op, ReverseGradient, as_lambda


def op_reversal(x, lam):
    return revgrad_theano.ReverseGradient()(x, lam)


@pytest.mark.parametrize("reverse", [revgrad.reverse, op_reversal], ids=["reverse", "Op"])
@pytest.mark.parametrize("clause", CLAUSES)
def test_clause(clause, reverse):
    CLAUSES[clause](reverse)


# --- reversals that are wrong on purpose ----------------------------------------------------------


class Wrong(ReverseGradient):
    """The true Op with the factor of its gradient replaced."""

    def factor(self, x, lam, g):
        return -lam * g

    def L_op(self, inputs, outputs, output_gradients):
        (g,) = output_gradients
        return [self.factor(*inputs, g), theano.gradient.DisconnectedType()()]

    def R_op(self, inputs, eval_points):
        return [self.factor(*inputs, eval_points[0])]


class SignLost(Wrong):
    def factor(self, x, lam, g):
        return lam * g


class LamSquared(Wrong):
    def factor(self, x, lam, g):
        return -(lam**2) * g


class CotangentIgnored(Wrong):
    def factor(self, x, lam, g):
        return -lam * T.ones_like(g)


class WrongForNonFinite(Wrong):
    def factor(self, x, lam, g):
        return T.switch(T.isinf(g), 0, -lam * g)


class DtypeRaised(Wrong):
    def factor(self, x, lam, g):
        return -T.cast(lam, "float64") * g


class DisconnectedAtZero(Wrong):
    def L_op(self, inputs, outputs, output_gradients):
        lam = inputs[1]
        if getattr(lam, "data", None) == 0:
            return [theano.gradient.DisconnectedType()()] * 2
        return super().L_op(inputs, outputs, output_gradients)

    def connection_pattern(self, node):
        return [[getattr(node.inputs[1], "data", None) != 0], [False]]


class LearnableLam(Wrong):
    def connection_pattern(self, node):
        return [[True], [True]]

    def L_op(self, inputs, outputs, output_gradients):
        return [-inputs[1] * output_gradients[0], T.zeros_like(inputs[1])]


class ForwardModeIsIdentity(Wrong):
    def R_op(self, inputs, eval_points):
        return [eval_points[0]]


class ForwardModeIsZero(Wrong):
    def R_op(self, inputs, eval_points):
        return [T.zeros_like(eval_points[0])]


class SecondOrderWrong(Wrong):
    """The gradient hides how it depends on x, as a rule written on values does."""

    def factor(self, x, lam, g):
        return -theano.gradient.disconnected_grad(lam * g)


class NotTransparent(Wrong):
    """Adds and takes away: not the identity bit for bit."""

    def perform(self, node, inputs, output_storage):
        x, lam = inputs
        output_storage[0][0] = np.asarray((1 + lam) * x - lam * x, dtype=x.dtype)


class Copies(Wrong):
    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = inputs[0].copy()


class NotRemoved(Op):
    """The Op without the rewrite: it stays in the compiled function."""

    __props__ = ()
    view_map = {0: [0]}
    make_node = ReverseGradient.make_node
    perform = ReverseGradient.perform
    L_op = ReverseGradient.L_op
    grad = ReverseGradient.grad
    R_op = ReverseGradient.R_op
    connection_pattern = ReverseGradient.connection_pattern


class LamInTheOp(ReverseGradient):
    """λ is a property of the Op that does not tell two Ops apart, as in Theano's GradScale."""

    def __init__(self, lam):
        self.lam = lam

    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def connection_pattern(self, node):
        return [[True]]

    def L_op(self, inputs, outputs, output_gradients):
        return [-self.lam * output_gradients[0]]

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = inputs[0]


class LostByPickle(Wrong):
    """An Op that keeps what it needs outside its state."""

    strength = -1

    def factor(self, x, lam, g):
        return self.strength * lam * g

    def __getstate__(self):
        return {}

    def __setstate__(self, state):
        self.strength = 1


class AnyShape(ReverseGradient):
    def make_node(self, x, lam):
        return Apply(self, [x, T.as_tensor_variable(lam)], [x.type()])


class AnyDtype(ReverseGradient):
    def make_node(self, x, lam):
        return Apply(self, [x, T.as_tensor_variable(np.float32(lam))], [x.type()])


class VectorsOnly(ReverseGradient):
    def make_node(self, x, lam):
        return Apply(self, [x, as_lambda(lam, x)], [T.TensorType(x.dtype, [False])()])


def grad_scale(x, lam):
    return theano.gradient.grad_scale(x, -lam)


def unjudged(x, lam):
    return ReverseGradient().make_node(x, abs(float(lam or 1))).outputs[0]


def baked(x, lam):
    return revgrad.reverse(x, lam.value if isinstance(lam, revgrad.LambdaVariable) else lam)


_last = []


def last_lam_of_any_thread(x, lam):
    _last[:] = [lam]

    class Shared(Wrong):
        def factor(self, x, lam, g):
            return -as_lambda(_last[0], x) * g

    return Shared()(x, lam)


def folklore(x, lam):
    lam = as_lambda(lam, x)
    return (1 + lam) * theano.gradient.disconnected_grad(x) - lam * x


def twice_is_once(x, lam):
    """Takes a reversal of a reversal for the same one."""
    if x.owner and isinstance(x.owner.op, ReverseGradient):
        return revgrad.reverse(x.owner.inputs[0], lam)
    return revgrad.reverse(x, lam)


def not_in_scan(x, lam):
    """Loses the reversal of a slice that scan hands in."""
    return x if (x.name or "").startswith("xs[") else revgrad.reverse(x, lam)


WRONG = [
    ("C1", folklore),
    ("C1", NotTransparent()),
    ("C1", Copies()),
    ("C2", SignLost()),
    ("C2", LamSquared()),
    ("C2", CotangentIgnored()),
    ("C2", WrongForNonFinite()),
    ("C3", DtypeRaised()),
    ("C4", DisconnectedAtZero()),
    ("C5", LearnableLam()),
    ("C6", twice_is_once),
    ("C7", grad_scale),
    ("C7", lambda x, lam: LamInTheOp(lam)(x)),
    ("C8", unjudged),
    ("C9", baked),
    ("C11", ForwardModeIsIdentity()),
    ("C11", ForwardModeIsZero()),
    ("C12", SecondOrderWrong()),
    ("C13", not_in_scan),
    ("C14", NotRemoved()),
    ("C14", folklore),
    ("C15", LostByPickle()),
    ("C16", VectorsOnly()),
    ("C16", AnyShape()),
    ("C17", AnyDtype()),
    ("C20", last_lam_of_any_thread),
]


def name_of(wrong):
    return getattr(wrong, "__name__", type(wrong).__name__)


@pytest.mark.parametrize(
    "clause, wrong", WRONG, ids=[f"{clause}-{name_of(wrong)}" for clause, wrong in WRONG]
)
def test_a_wrong_reversal_is_caught(clause, wrong):
    with pytest.raises(AssertionError):
        CLAUSES[clause](wrong)


def test_every_clause_has_a_wrong_reversal():
    assert {clause for clause, _ in WRONG} == set(CLAUSES)


# --- C18 and C19: about the record and the plugin, not about the reversal


def check_c18(variables):
    """The claims resolve every kind of Theano variable to the backend of Theano."""
    for x in variables:
        try:
            y = revgrad.reverse(x, 1.0)
        except revgrad.UnsupportedTypeError as error:
            raise AssertionError(str(error)) from error
        assert isinstance(y.owner.op, ReverseGradient)


class UsersVariable(T.TensorVariable):
    pass


def variables():
    return [
        T.fvector(),
        T.constant(np.ones(2)),
        theano.shared(np.ones(2)),
        theano.sparse.csr_matrix(dtype="float32"),
        UsersVariable(T.dvector),
        T.exp(T.fvector()),
    ]


def test_c18():
    check_c18(variables())


def test_c18_catches_a_claim_that_is_too_narrow():
    true = revgrad.unregister("theano")
    try:
        revgrad.register(
            revgrad.BackendSpec("theano", ("theano.tensor:TensorConstant",), true.factory)
        )
        with pytest.raises(AssertionError, match="No backend claims the type theano.tensor"):
            check_c18(variables())
    finally:
        revgrad.unregister("theano")
        revgrad.register(true)


def check_c19(module, path=""):
    """Discovering and choosing a backend imports no framework."""
    program = f"""
    import sys
    sys.path.insert(0, {str(path)!r})
    import {module} as plugin, revgrad
    for spec in plugin.revgrad_backends():
        revgrad.backends.get(spec.name)
    try:
        revgrad.reverse(object(), 1.0)
    except revgrad.UnsupportedTypeError:
        pass
    sys.exit(sorted({{"theano", "lasagne", "scipy"}} & set(sys.modules)))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], stderr=subprocess.PIPE)
    assert done.stderr.decode().strip() == "[]", done.stderr.decode()


@pytest.mark.parametrize("module", ["revgrad_theano.plugin", "revgrad_lasagne.plugin"])
def test_c19(module):
    check_c19(module)


def test_c19_catches_a_heavy_plugin(tmp_path):
    heavy = "import revgrad_theano.compat, theano\nfrom revgrad_theano.plugin import *\n"
    (tmp_path / "heavy_plugin.py").write_text(heavy)
    with pytest.raises(AssertionError, match="theano"):
        check_c19("heavy_plugin", tmp_path)
