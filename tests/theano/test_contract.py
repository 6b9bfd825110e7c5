"""The contract on Theano: our reversal keeps every clause, and each check can fail.

The second half holds reversals that are wrong on purpose, each with a check that must catch it.
"""

import numpy as np
import pytest
import theano
import theano.tensor as T

import revgrad
import revgrad_theano
from revgrad.testing import CHECKS, conformance, run_check
from revgrad.testing._check import Mismatch
from revgrad_theano.ops import Apply, Op, ReverseGradient, as_lambda
from revgrad_theano.testing import TheanoHarness


class OpHarness(TheanoHarness):
    """Puts an Op, or another function of x and λ, to the checks."""

    def __init__(self, reverse):
        self.reverse = reverse


UNOPTIMIZED = theano.Mode(linker="py", optimizer=None)


class UnoptimizedHarness(TheanoHarness):
    """Runs the Op itself, which no rewrite takes away."""

    mode = UNOPTIMIZED
    examples = 5
    expected_failures = {"zero_overhead": "nothing is rewritten"}


@conformance("theano")
def test_reverse(check):
    check()


@conformance(OpHarness(revgrad_theano.ReverseGradient()))
def test_the_op(check):
    check()


@conformance(UnoptimizedHarness())
def test_without_rewrites(check):
    check()


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


class WrongForHalf(Wrong):
    def factor(self, x, lam, g):
        return -lam * g if g.dtype != "float16" else -T.sqr(T.sqrt(lam)) * g


class ScaleInPlace(Op):
    """Multiplies in place and does not say so."""

    __props__ = ()

    def make_node(self, g, lam):
        return Apply(self, [g, lam], [g.type()])

    def perform(self, node, inputs, output_storage):
        g, lam = inputs
        output_storage[0][0] = np.multiply(g, -lam, out=g)


class WritesInPlace(Wrong):
    def factor(self, x, lam, g):
        return ScaleInPlace()(g, lam)


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
        (x, lam), (g,) = inputs, output_gradients
        return [-lam * g, -(x * g).sum()]


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
        if not isinstance(lam, theano.Variable):
            lam = as_lambda(lam, x)
        return Apply(self, [x, T.cast(lam, x.dtype)], [x.type()])


class ScalarsOnly(ReverseGradient):
    def make_node(self, x, lam):
        if isinstance(lam, theano.Variable) and lam.ndim:
            lam = lam.mean()
        return super().make_node(x, lam)


class LamAliased(ReverseGradient):
    def make_node(self, x, lam):
        if type(lam) is np.ndarray and lam.dtype == x.dtype:
            return Apply(self, [x, T.constant(lam, dtype=x.dtype)], [x.type()])
        return super().make_node(x, lam)


class AnyDtype(ReverseGradient):
    def make_node(self, x, lam):
        return Apply(self, [x, T.as_tensor_variable(np.float32(lam))], [x.type()])


class WrongFor4d(Wrong):
    def factor(self, x, lam, g):
        return -lam * g if g.ndim < 4 else -2 * lam * g


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


def by_whole_lam(x, lam):
    """Remembers the reversal of an x by the whole part of λ."""
    if not hasattr(x.tag, "reversals"):
        x.tag.reversals = {}
    return x.tag.reversals.setdefault(int(lam), revgrad.reverse(x, lam))


WRONG = [
    ("identity", folklore),
    ("identity", NotTransparent()),
    ("no_copy", Copies()),
    ("no_inplace_write", WritesInPlace()),
    ("any_cotangent", SignLost()),
    ("any_cotangent", LamSquared()),
    ("any_cotangent", CotangentIgnored()),
    ("any_cotangent", WrongForNonFinite()),
    ("dtype_of_x", DtypeRaised()),
    ("dtype_of_graph_lambda", DtypeRaised()),
    ("half_precision", WrongForHalf()),
    ("zero_lambda", DisconnectedAtZero()),
    ("no_gradient_for_lambda", LearnableLam()),
    ("twice", twice_is_once),
    ("stay_apart", by_whole_lam),
    ("survives_rewriting", grad_scale),
    ("survives_rewriting", lambda x, lam: LamInTheOp(lam)(x)),
    ("judged", unjudged),
    ("variable_shows", baked),
    ("forward_mode", ForwardModeIsIdentity()),
    ("forward_mode", ForwardModeIsZero()),
    ("second_order", SecondOrderWrong()),
    ("vectorised", not_in_scan),
    ("zero_overhead", NotRemoved()),
    ("zero_overhead", folklore),
    ("copies_reverse", LostByPickle()),
    ("any_shape", WrongFor4d()),
    ("lambda_array", LamAliased()),
    ("graph_lambda_array", AnyShape()),
    ("graph_lambda_array", ScalarsOnly()),
    ("integers_rejected", AnyDtype()),
    ("thread_safe", last_lam_of_any_thread),
]


ELSEWHERE = {
    "variable_at_forward",
    "compiled_once",
    "schedule_in_graph",
    "claims_resolve",
    "light_discovery",
}
"""They are about the backend, its record and its plugin: see the wrong backends of the kit."""


def name_of(wrong):
    return getattr(wrong, "__name__", type(wrong).__name__)


@pytest.mark.parametrize("check, wrong", WRONG, ids=[f"{c}-{name_of(w)}" for c, w in WRONG])
def test_a_wrong_reversal_is_caught(check, wrong):
    harness = OpHarness(wrong)
    harness.examples = 0
    if isinstance(wrong, NotTransparent):
        harness.mode = UNOPTIMIZED  # the rewrite would take it away
    result = run_check(check, harness)
    assert result.outcome == "failed"
    # It is the clause that catches it, and no assertion of Theano's own.
    assert isinstance(result.error.__context__, Mismatch), result.reason


def test_every_check_has_a_wrong_reversal():
    assert {check for check, _ in WRONG} == set(CHECKS) - ELSEWHERE


def test_a_claim_that_is_too_narrow_is_caught():
    true = revgrad.unregister("theano")
    try:
        revgrad.register(
            revgrad.BackendSpec("theano", ("theano.tensor:TensorConstant",), true.factory)
        )
        result = run_check("claims_resolve", TheanoHarness())
        assert "a value of theano.tensor" in result.reason
        assert "No backend claims the type theano.tensor" in result.reason
    finally:
        revgrad.unregister("theano")
        revgrad.register(true)
