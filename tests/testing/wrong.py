"""Backends that are wrong on purpose, each with the checks that must fail on it, and no others."""

import threading

import numpy as np
import tape
from tape import Op, Reverse, TapeBackend, TapeHarness, cast, constant, stop_gradient

import revgrad

WRONG = {}
"""By name: the harness of a wrong backend, and the names of the checks that fail on it."""


def fails(*checks, harness=TapeHarness, claims=("tape:Tensor",)):
    """Register a backend class, and say which checks it fails."""

    def decorate(backend):
        WRONG[backend.__name__] = (
            revgrad.BackendSpec("tape", claims, f"wrong:{backend.__name__}"),
            harness,
            set(checks),
        )
        return backend

    return decorate


class Factor(Reverse):
    """The true Op with another factor in the pullback; the forward mode is kept right."""

    def pullback(self, inputs, g):
        return [self.factor(*inputs, g), None]


class Everywhere(Factor):
    def push_forward(self, inputs, tangents):
        return self.factor(*inputs, tangents[0])


class Scale(Op):
    """-λ times the cotangent, as one operation."""

    def compute(self, g, lam):
        with np.errstate(all="ignore"):
            return -lam * g

    def pullback(self, inputs, g):
        return [-inputs[1] * g, None]


class ByScale(Factor):
    """A reversal whose pullback is one operation of its own."""

    def __init__(self, scale):
        self.scale = scale

    def factor(self, x, lam, g):
        return self.scale(g, lam)


VALUES = {
    "any_cotangent",
    "dtype_of_x",
    "dtype_of_graph_lambda",
    "half_precision",
    "stay_apart",
    "survives_rewriting",
    "variable_shows",
    "variable_at_forward",
    "second_order",
    "copies_reverse",
    "any_shape",
    "lambda_array",
    "graph_lambda_array",
    "threads_agree",
}
"""The checks that look at the gradient of a reversal at a λ that is neither 0 nor 1."""


# --- the faults of public code, which show in many places ----------------------------------------


class SignLostOp(Everywhere):
    def factor(self, x, lam, g):
        return lam * g


@fails(*VALUES, "forward_mode")
class SignLost(TapeBackend):
    op = SignLostOp()


class LamSquaredOp(Everywhere):
    def factor(self, x, lam, g):
        return -(lam * lam) * g


@fails(*VALUES, "forward_mode", "twice")
class LamSquared(TapeBackend):
    op = LamSquaredOp()


class CotangentIgnoredOp(Factor):
    def factor(self, x, lam, g):
        return -lam * constant(np.ones(g.shape), g.dtype)


@fails(*VALUES - {"threads_agree"}, "twice")
class CotangentIgnored(TapeBackend):
    op = CotangentIgnoredOp()


@fails("identity", "no_copy", "half_precision", "no_trace", "forward_mode", "copies_reverse")
class Folklore(TapeBackend):
    """(1 + λ)·stop(x) - λ·x, as it is pasted."""

    def reverse(self, x, lam):
        lam = super().reverse(x, lam).inputs[1]
        return (1.0 + lam) * stop_gradient(x) - lam * x


@fails("variable_shows")
class VariableFrozen(TapeBackend):
    """λ is frozen when the program is built."""

    def reverse(self, x, lam):
        return super().reverse(x, getattr(lam, "value", lam))


# --- one fault for each check, which nothing else sees --------------------------------------------


class Through32(Reverse):
    """Written for float32: other numbers go through it. It stays when programs are compiled."""

    removable = False

    def compute(self, x, lam):
        with np.errstate(over="ignore"):
            return x.astype("float32").astype(x.dtype)


class Copies(Through32):
    def compute(self, x, lam):
        return x.copy()


class For64(TapeBackend):
    """The Op `wrong` for float64, where the checks on programs do not look."""

    wrong = Reverse()

    def reverse(self, x, lam):
        y = super().reverse(x, lam)
        return self.wrong(*y.inputs) if x.dtype == "float64" else y


@fails("identity")
class RoundsFloat64(For64):
    capabilities = TapeBackend.capabilities - {"views"}
    wrong = Through32()


@fails("no_copy")
class CopiesFloat64(For64):
    wrong = Copies()


class ScaleInPlace(Scale):
    """Multiplies in place, as an Op that does not say so."""

    def compute(self, g, lam):
        if not g.flags.writeable:
            return super().compute(g, lam)
        np.multiply(g, -lam, out=g)
        return g


@fails("nothing_written")
class WritesCotangent(TapeBackend):
    op = ByScale(ScaleInPlace())


class WritesX(Reverse):
    removable = False

    def compute(self, x, lam):
        y = x.copy()
        x *= 2
        return y


@fails("nothing_written", "no_copy")
class WritesFloat64(For64):
    wrong = WritesX()


class ScaleFinite(Scale):
    def compute(self, g, lam):
        return np.where(np.isfinite(g), super().compute(g, lam), np.zeros_like(g))


@fails("any_cotangent")
class WrongForNonFinite(TapeBackend):
    capabilities = TapeBackend.capabilities - {"half_precision"}
    op = ByScale(ScaleFinite())


@fails("dtype_of_x")
class NarrowCell(TapeBackend):
    """A LambdaVariable is held in float32, whatever it meets."""

    def set_cell(self, cell, value):
        cell.op.value = np.asarray(np.float32(value), "float64")


@fails("dtype_of_graph_lambda")
class DtypeRaised(TapeBackend):
    def as_lambda(self, lam, x):
        checked = super().as_lambda(lam, x)
        return lam if isinstance(lam, tape.Tensor) and lam.dtype == "float64" else checked


class ScaleTwice(Scale):
    def compute(self, g, lam):
        if g.dtype.name not in tape.HALF:
            return super().compute(g, lam)
        with np.errstate(all="ignore"):
            return super().compute(g, lam / np.asarray(3, g.dtype)) * np.asarray(3, g.dtype)


@fails("half_precision")
class RoundsTwice(TapeBackend):
    op = ByScale(ScaleTwice())


@fails("zero_lambda")
class DisconnectedAtZero(TapeBackend):
    def reverse(self, x, lam):
        y = super().reverse(x, lam)
        return stop_gradient(x) if isinstance(lam, float) and lam == 0 else y


class Learnable(Reverse):
    def pullback(self, inputs, g):
        x, lam = inputs
        return [-lam * g, -x * g if lam.shape == x.shape else tape.sum_to(-x * g, lam.shape)]


@fails("no_gradient_for_lambda")
class LearnableLam(TapeBackend):
    op = Learnable()


@fails("twice")
class TwiceIsOnce(TapeBackend):
    """Takes a reversal of a reversal for the same one."""

    def reverse(self, x, lam):
        inner = x.inputs[0] if isinstance(x.op, Reverse) else x
        return super().reverse(inner, lam)


@fails("stay_apart")
class CachedByWholeLam(TapeBackend):
    """Remembers the reversal of an x by the whole part of λ."""

    def reverse(self, x, lam):
        y = super().reverse(x, lam)
        if not isinstance(lam, float):
            return y
        if not hasattr(x, "reversals"):
            x.reversals = {}
        return x.reversals.setdefault(int(lam), y)


class LamInTheOp(Reverse):
    """λ is an attribute that does not tell two Ops apart, as in Theano's GradScale."""

    def __init__(self, lam):
        self.lam = lam

    def __eq__(self, other):
        return type(self) is type(other)

    __hash__ = Op.__hash__

    def compute(self, x):
        return x

    def pullback(self, inputs, g):
        return [-self.lam * g]

    def push_forward(self, inputs, tangents):
        return -self.lam * tangents[0]


@fails("survives_rewriting")
class Merged(TapeBackend):
    def reverse(self, x, lam):
        return LamInTheOp(self.as_lambda(lam, super().reverse(x, lam)))(x)


@fails("judged")
class OverflowsToInf(TapeBackend):
    def as_lambda(self, lam, x):
        if isinstance(lam, float):
            with np.errstate(over="ignore"):
                return constant(lam, x.dtype)
        return super().as_lambda(lam, x)


@fails("judged")
class UnknownIsOne(TapeBackend):
    """Takes whatever it does not know for 1."""

    def reverse(self, x, lam):
        try:
            return super().reverse(x, lam)
        except revgrad.InvalidLambdaError:
            return super().reverse(x, 1.0 if type(lam) is object else lam)


class UnjudgedHarness(TapeHarness):
    """Puts the native form to the checks."""

    def reverse(self, x, lam):
        return revgrad.get_backend("tape").native(x, lam)


@fails("judged", harness=UnjudgedHarness)
class NativeFormUnjudged(TapeBackend):
    def native(self, x, lam):
        if isinstance(lam, (int, float, np.generic)):
            lam = abs(float(lam)) if np.isfinite(lam) else 1.0
        return self.reverse(x, lam)


@fails("variable_shows", "variable_at_forward")
class CellLags(TapeBackend):
    """The cell holds the value before the last."""

    def set_cell(self, cell, value):
        before, cell.next = getattr(cell, "next", value), value
        super().set_cell(cell, before)


class EagerHarness(TapeHarness):
    """Builds the graph anew in each run, as a framework that compiles nothing."""

    def program(self, fn, shape, dtype):
        def run(x, g):
            dtype = x.dtype
            leaf, cotangent = tape.source(shape, dtype), tape.source(shape, dtype)
            y = fn(leaf)
            value = tape.evaluate([leaf], y)(x)
            (gradient,) = tape.gradient(y, [leaf], cotangent)
            back = gradient and tape.evaluate([leaf, cotangent], gradient)
            return value, back and back(x, g)

        return run


@fails("variable_at_forward", harness=EagerHarness)
class ReadsLate(TapeBackend):
    """The cell is read when the gradient is computed."""

    capabilities = TapeBackend.capabilities - {"compilations"}


@fails("compiled_once")
class CompilesAgain(TapeBackend):
    def set_cell(self, cell, value):
        super().set_cell(cell, value)
        tape.compile([], [])


@fails("schedule_in_graph")
class RoundsSchedules(TapeBackend):
    def constant(self, value, like):
        return float(np.float16(value))


class IdentityForward(Reverse):
    def push_forward(self, inputs, tangents):
        return tangents[0]


@fails("forward_mode")
class ForwardModeIsIdentity(TapeBackend):
    op = IdentityForward()


class ZeroForward(Reverse):
    def push_forward(self, inputs, tangents):
        return 0.0 * tangents[0]


@fails("forward_mode")
class ForwardModeIsZero(TapeBackend):
    op = ZeroForward()


class ScaleOfValues(Scale):
    def pullback(self, inputs, g):
        return [None, None]


@fails("second_order")
class OnlyFirstOrder(TapeBackend):
    """The gradient hides what it depends on, as a rule written on values does."""

    op = ByScale(ScaleOfValues())


@fails("vectorised")
class LostInBatches(TapeBackend):
    def reverse(self, x, lam):
        y = super().reverse(x, lam)
        return x if isinstance(x.op, tape.Slice) else y


class Stays(Reverse):
    removable = False


@fails("no_trace")
class NotRemoved(TapeBackend):
    op = Stays()


class Forgetful(Reverse):
    """What it needs is not in its state."""

    def __init__(self):
        self.strength = -1.0

    def pullback(self, inputs, g):
        return [self.strength * inputs[1] * g, None]

    def __getstate__(self):
        return {"strength": 1.0}


@fails("copies_reverse")
class LostByCopies(TapeBackend):
    op = Forgetful()


class WrongFor4dOp(Factor):
    def factor(self, x, lam, g):
        return -lam * g if len(g.shape) < 4 else lam * g


@fails("any_shape")
class WrongFor4d(TapeBackend):
    op = WrongFor4dOp()


@fails("lambda_array")
class MeanOfLam(TapeBackend):
    def reverse(self, x, lam):
        y = super().reverse(x, lam)
        return super().reverse(x, float(lam.mean())) if isinstance(lam, np.ndarray) else y


@fails("lambda_array")
class EnlargedByLam(TapeBackend):
    def as_lambda(self, lam, x):
        if isinstance(lam, np.ndarray):
            return constant(lam, x.dtype)
        return super().as_lambda(lam, x)


@fails("lambda_array")
class LamAliased(TapeBackend):
    def as_lambda(self, lam, x):
        checked = super().as_lambda(lam, x)
        if isinstance(lam, np.ndarray):
            checked.op.value = lam
            checked = cast(checked, "float64")
            checked.dtype = np.dtype("float64")
            return cast(checked, x.dtype) if x.dtype == "float64" else CastOf(x.dtype)(checked)
        return checked


class CastOf(Op):
    def __init__(self, dtype):
        self.dtype = dtype

    def __call__(self, x):
        return tape.Tensor(self, (x,), x.shape, self.dtype)

    def compute(self, value):
        return value.astype(self.dtype)


@fails("graph_lambda_array")
class MeanOfGraphLam(TapeBackend):
    def as_lambda(self, lam, x):
        checked = super().as_lambda(lam, x)
        if isinstance(lam, tape.Tensor) and lam.shape:
            return tape.sum_to(checked) / np.prod(lam.shape)
        return checked


@fails("integers_refused")
class TakesIntegers(TapeBackend):
    def reverse(self, x, lam):
        if x.dtype.kind in "ib":
            return self.op(x, constant(1, x.dtype))
        return super().reverse(x, lam)


@fails("integers_refused")
class SpeechlessAboutIntegers(TapeBackend):
    def reverse(self, x, lam):
        try:
            return super().reverse(x, lam)
        except revgrad.UnsupportedTypeError:
            raise revgrad.UnsupportedTypeError("no") from None


class NarrowHarness(TapeHarness):
    def values(self):
        return [tape.Parameter(tape.Source(), (), (2,), "float32"), object()]


@fails("claims_resolve", harness=NarrowHarness)
class ClaimsTooNarrow(TapeBackend):
    pass


class OfTheBackend(Factor):
    def __init__(self, backend):
        self.backend = backend

    def factor(self, x, lam, g):
        return -self.backend.lam * g


@fails("threads_agree")
class OfTheLastThread(TapeBackend):
    """Keeps λ in an attribute, where another thread overwrites it."""

    seen = threading.main_thread()

    def reverse(self, x, lam):
        y = super().reverse(x, lam)
        if threading.current_thread() is self.seen:
            return y
        self.lam = y.inputs[1]
        return OfTheBackend(self)(*y.inputs)
