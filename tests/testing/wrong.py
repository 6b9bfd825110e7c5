"""Backends that are wrong on purpose, each with the checks that must fail on it, and no others."""

import threading

import numpy as np
import tape
from tape import Op, Scale, TapeBackend, TapeHarness, TapeNative, constant, stop_gradient

import revgrad
from revgrad.backend import normalize_lambda, resolve

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


class WrongReversal(TapeBackend):
    """Reverses by an Op or an adapter of its own; `scale_gradient` stays right."""

    wrong = Scale()
    adapter = tape.native

    def reverse(self, x, lam):
        return self.wrong(x, -resolve(x, lam, self.adapter))


class WrongFactor(TapeBackend):
    """Scales by an Op of its own; `reverse` stays right."""

    wrong = Scale()

    def scale_gradient(self, x, factor):
        return self.wrong(x, resolve(x, factor, self.native, signed=True))


class Rule(Scale):
    """The true Op with another rule for the pullback; the forward mode is kept right."""

    def pullback(self, inputs, g):
        return [self.rule(*inputs, g), None]


class Everywhere(Rule):
    def push_forward(self, inputs, tangents):
        return self.rule(*inputs, tangents[0])


class Product(Op):
    """The factor times the cotangent, as one operation."""

    def compute(self, g, factor):
        with np.errstate(all="ignore"):
            return factor * g

    def pullback(self, inputs, g):
        return [inputs[1] * g, None]


class ByProduct(Rule):
    """A reversal whose pullback is one operation of its own."""

    def __init__(self, product):
        self.product = product

    def rule(self, x, factor, g):
        return self.product(g, factor)


VALUES = set(
    """
    any_cotangent dtype_of_x dtype_of_graph_lambda half_precision stay_apart survives_rewriting
    variable_shows variable_at_forward second_order copies_reverse any_shape lambda_array
    graph_lambda_array thread_safe several_outputs subclasses_reversed mode_independent
    layers_keep_lambda assigned_lambda
    """.split()
)
"""The checks that look at the gradient of a reversal at a λ that is neither 0 nor 1."""


# --- the faults of public code, which show in many places ----------------------------------------


class SignLostOp(Everywhere):
    def rule(self, x, factor, g):
        return -factor * g


@fails(*VALUES, "forward_mode")
class SignLost(WrongReversal):
    wrong = SignLostOp()


class LamSquaredOp(Everywhere):
    def rule(self, x, factor, g):
        return -(factor * factor) * g


@fails(*VALUES, "forward_mode", "double_reversal")
class LamSquared(WrongReversal):
    wrong = LamSquaredOp()


class CotangentIgnoredOp(Rule):
    def rule(self, x, factor, g):
        return factor * constant(np.ones(g.shape), g.dtype)


@fails(*VALUES - {"thread_safe"}, "double_reversal")
class CotangentIgnored(WrongReversal):
    wrong = CotangentIgnoredOp()


FOLKLORE = """
    identity no_copy half_precision zero_overhead forward_mode copies_reverse layers_keep_lambda
    assigned_lambda mode_independent subclasses_reversed
"""


@fails(*FOLKLORE.split())
class Folklore(TapeBackend):
    """(1 + λ)·stop(x) - λ·x, as it is pasted."""

    def reverse(self, x, lam):
        lam = resolve(x, lam, self.native)
        return (1.0 + lam) * stop_gradient(x) - lam * x


@fails("variable_shows")
class VariableFrozen(TapeBackend):
    """λ is frozen when the program is built."""

    def reverse(self, x, lam):
        return super().reverse(x, getattr(lam, "value", lam))


# --- one fault for each check, which nothing else sees --------------------------------------------


class Through32(Scale):
    """Written for float32: other numbers go through it. It stays when programs are compiled."""

    removable = view = False

    def compute(self, x, factor):
        with np.errstate(over="ignore"):
            return x.astype("float32").astype(x.dtype)


class Copies(Through32):
    def compute(self, x, factor):
        return x.copy()


class For64(TapeBackend):
    """The Op `wrong` for float64, where the checks on programs do not look."""

    wrong = Scale()

    def reverse(self, x, lam):
        y = super().reverse(x, lam)
        return self.wrong(*y.inputs) if x.dtype == "float64" else y


class NoViewsHarness(TapeHarness):
    unsupported = {"views": "it copies"}


@fails("identity", harness=NoViewsHarness)
class RoundsFloat64(For64):
    capabilities = TapeBackend.capabilities - {"views"}
    wrong = Through32()


@fails("no_copy")
class CopiesFloat64(For64):
    wrong = Copies()


class ProductInPlace(Product):
    """Multiplies in place, as an Op that does not say so."""

    def compute(self, g, factor):
        if not g.flags.writeable:
            return super().compute(g, factor)
        np.multiply(g, factor, out=g)
        return g


@fails("no_inplace_write")
class WritesCotangent(WrongReversal):
    wrong = ByProduct(ProductInPlace())


class WritesX(Scale):
    removable = view = False

    def compute(self, x, factor):
        y = x.copy()
        x *= 2
        return y


@fails("no_inplace_write", "no_copy")
class WritesFloat64(For64):
    wrong = WritesX()


class WritableView(Scale):
    """A view that does not say so, such that the framework lets people write to it."""

    view = False


@fails("in_place_writes")
class WritableAlias(WrongReversal):
    wrong = WritableView()


class ProductFinite(Product):
    def compute(self, g, factor):
        return np.where(np.isfinite(g), super().compute(g, factor), np.zeros_like(g))


class NoHalfHarness(TapeHarness):
    unsupported = {"*": "it computes in float32 and float64 alone"}


@fails("any_cotangent", harness=NoHalfHarness)
class WrongForNonFinite(WrongReversal):
    capabilities = TapeBackend.capabilities - {"half_precision"}
    wrong = ByProduct(ProductFinite())


class NarrowCells(TapeNative):
    def set_cell(self, cell, value):
        cell.op.value = np.asarray(np.float32(value), "float64")


@fails("dtype_of_x")
class NarrowCell(WrongReversal):
    """A LambdaVariable is held in float32, whatever it meets."""

    adapter = NarrowCells()


class KeepsFloat64(TapeNative):
    def cast(self, value, x):
        return value if value.dtype == "float64" else super().cast(value, x)


@fails("dtype_of_graph_lambda")
class DtypeRaised(WrongReversal):
    """A cell is cast, as it should be; what the user gives is not."""

    adapter = KeepsFloat64()

    def reverse(self, x, lam):
        if isinstance(lam, revgrad.LambdaVariable):
            return TapeBackend.reverse(self, x, lam)
        return super().reverse(x, lam)


class ProductTwice(Product):
    def compute(self, g, factor):
        if g.dtype.name not in tape.HALF:
            return super().compute(g, factor)
        with np.errstate(all="ignore"):
            return super().compute(g, factor / np.asarray(3, g.dtype)) * np.asarray(3, g.dtype)


@fails("half_precision")
class RoundsTwice(WrongReversal):
    wrong = ByProduct(ProductTwice())


@fails("zero_lambda")
class DisconnectedAtZero(TapeBackend):
    def reverse(self, x, lam):
        y = super().reverse(x, lam)
        return stop_gradient(x) if isinstance(lam, (int, float)) and lam == 0 else y


class Learnable(Scale):
    def pullback(self, inputs, g):
        x, factor = inputs
        return [factor * g, x * g if factor.shape == x.shape else tape.sum_to(x * g, factor.shape)]


@fails("no_gradient_for_lambda")
class LearnableLam(WrongReversal):
    wrong = Learnable()


@fails("double_reversal", "several_outputs")
class TwiceIsOnce(TapeBackend):
    """Takes a reversal of a reversal for the same one."""

    def reverse(self, x, lam):
        inner = x.inputs[0] if isinstance(x.op, Scale) else x
        return super().reverse(inner, lam)


@fails("double_reversal")
class TwiceIsPositive(TapeBackend):
    """Takes a reversal of a reversal with the same λ for the identity."""

    def reverse(self, x, lam):
        y = super().reverse(x, lam)
        same = isinstance(x.op, Scale) and x.inputs[1].inputs == y.inputs[1].inputs
        if isinstance(x.op, Scale) and _number(x.inputs[1]) == _number(y.inputs[1]) != -1.0:
            same = True
        return x.inputs[0] if same else y


def _number(factor):
    """Return the number in a constant factor."""
    node = factor.inputs[0] if factor.inputs else factor
    return getattr(node.op, "value", None)


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


class FactorInTheOp(Scale):
    """The factor is an attribute that does not tell two Ops apart, as in Theano's GradScale."""

    def __init__(self, factor):
        self.factor = factor

    def __eq__(self, other):
        return type(self) is type(other)

    __hash__ = Op.__hash__

    def compute(self, x):
        return x

    def pullback(self, inputs, g):
        return [self.factor * g]

    def push_forward(self, inputs, tangents):
        return self.factor * tangents[0]


@fails("survives_rewriting")
class Merged(TapeBackend):
    def reverse(self, x, lam):
        return FactorInTheOp(-resolve(x, lam, self.native))(x)


class Overflows(TapeNative):
    def constant(self, value, x):
        if isinstance(value, float):
            with np.errstate(over="ignore"):
                return constant(value, x.dtype)
        return super().constant(value, x)


@fails("invalid_lambda_rejected")
class OverflowsToInf(WrongReversal):
    adapter = Overflows()


@fails("invalid_lambda_rejected")
class UnknownIsOne(TapeBackend):
    """Takes whatever it does not know for 1."""

    def reverse(self, x, lam):
        return super().reverse(x, 1.0 if type(lam) is object else lam)


class NotValidatedHarness(TapeHarness):
    """Puts the native form to the checks."""

    def reverse(self, x, lam):
        return revgrad.get_backend("tape").native_form(x, lam)


@fails("invalid_lambda_rejected", harness=NotValidatedHarness)
class NativeFormNotValidated(TapeBackend):
    def native_form(self, x, lam):
        if isinstance(lam, (int, float, np.generic)):
            lam = abs(float(lam)) if np.isfinite(lam) else 1.0
        return self.reverse(x, lam)


class Unread(TapeNative):
    def known_number(self, value):
        super().known_number(value)
        return None


@fails("known_lambda_rejected")
class ConstantsUnread(WrongReversal):
    """A constant of the framework is not validated."""

    adapter = Unread()


class Lagging(TapeNative):
    def set_cell(self, cell, value):
        before, cell.next = getattr(cell, "next", value), value
        super().set_cell(cell, before)


@fails("variable_shows", "variable_at_forward")
class CellLags(WrongReversal):
    """The cell holds the value before the last."""

    adapter = Lagging()


class EagerHarness(TapeHarness):
    """Builds the graph anew in each run, as a framework that compiles nothing."""

    unsupported = {"compilations": "nothing is compiled"}

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


class CompilingCells(TapeNative):
    def set_cell(self, cell, value):
        super().set_cell(cell, value)
        tape.compile([], [])


@fails("compiled_once")
class CompilesAgain(WrongReversal):
    adapter = CompilingCells()


@fails("schedule_in_graph")
class RoundsSchedules(TapeBackend):
    def constant(self, value, like):
        return float(np.float16(value))


class IdentityForward(Scale):
    def push_forward(self, inputs, tangents):
        return tangents[0]


@fails("forward_mode")
class ForwardModeIsIdentity(WrongReversal):
    wrong = IdentityForward()


class ZeroForward(Scale):
    def push_forward(self, inputs, tangents):
        return 0.0 * tangents[0]


@fails("forward_mode")
class ForwardModeIsZero(WrongReversal):
    wrong = ZeroForward()


class ProductOfValues(Product):
    def pullback(self, inputs, g):
        return [None, None]


@fails("second_order")
class OnlyFirstOrder(WrongReversal):
    """The gradient hides what it depends on, as a rule written on values does."""

    wrong = ByProduct(ProductOfValues())


@fails("vectorised")
class LostInBatches(TapeBackend):
    def reverse(self, x, lam):
        y = super().reverse(x, lam)
        return x if isinstance(x.op, tape.Slice) else y


class Stays(Scale):
    removable = False


@fails("zero_overhead")
class NotRemoved(WrongReversal):
    wrong = Stays()


class Forgetful(Scale):
    """What it needs is not in its state."""

    def __init__(self):
        self.sign = 1.0

    def pullback(self, inputs, g):
        return [self.sign * inputs[1] * g, None]

    def __getstate__(self):
        return {"sign": -1.0}


@fails("copies_reverse")
class LostByCopies(WrongReversal):
    wrong = Forgetful()


class MergedOutput(Scale):
    """The framework takes it for its input where both are outputs."""

    merged = True


@fails("several_outputs")
class LostAmongOutputs(WrongReversal):
    wrong = MergedOutput()


@fails("mode_independent")
class TrainingOnly(TapeBackend):
    def reverse(self, x, lam):
        y = super().reverse(x, lam)
        return y if tape.training[0] else x


@fails("subclasses_reversed")
class NotParameters(TapeBackend):
    """A parameter is reversed only in that its value is passed on."""

    def reverse(self, x, lam):
        y = super().reverse(x, lam)
        return x if isinstance(x, tape.Parameter) else y


class ForgetsWhenCopied(tape.Reversal):
    def __reduce__(self):
        return type(self), (1.0,)


@fails("layers_keep_lambda")
class LayerForgets(TapeBackend):
    layer = ForgetsWhenCopied


class TakesAnything(tape.Reversal):
    """Assigning an invalid λ is ignored without a word."""

    @property
    def lam(self):
        return self._lam

    @lam.setter
    def lam(self, lam):
        try:
            self._lam = normalize_lambda(lam)
        except revgrad.InvalidLambdaError:
            pass


@fails("assigned_lambda")
class LayerIgnoresInvalid(TapeBackend):
    layer = TakesAnything


class Replaced(tape.Reversal):
    """What is assigned lands beside what is used."""

    def __init__(self, lam):
        self.used = normalize_lambda(lam)

    lam = None

    def __call__(self, x):
        return revgrad.reverse(x, self.used)


@fails("assigned_lambda")
class LayerReplacesLam(TapeBackend):
    layer = Replaced


class WrongFor4dOp(Rule):
    def rule(self, x, factor, g):
        return factor * g if len(g.shape) < 4 else -factor * g


@fails("any_shape")
class WrongFor4d(WrongReversal):
    wrong = WrongFor4dOp()


@fails("lambda_array")
class MeanOfLam(TapeBackend):
    def reverse(self, x, lam):
        y = super().reverse(x, lam)
        return super().reverse(x, float(lam.mean())) if isinstance(lam, np.ndarray) else y


@fails("lambda_array")
class EnlargedByLam(TapeBackend):
    def reverse(self, x, lam):
        if isinstance(lam, np.ndarray):
            return self.op(x, constant(-lam, x.dtype))
        return super().reverse(x, lam)


class Late(Op):
    """An array that is read at each run."""

    def __init__(self, value, dtype):
        self.value, self.dtype = value, dtype

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def compute(self):
        return self.value.astype(self.dtype)


class Aliasing(TapeNative):
    def constant(self, value, x):
        if isinstance(value, np.ndarray):
            return tape.Tensor(Late(value, x.dtype), (), value.shape, x.dtype)
        return super().constant(value, x)


@fails("lambda_array")
class LamAliased(WrongReversal):
    adapter = Aliasing()


class Averaging(TapeNative):
    def cast(self, value, x):
        checked = super().cast(value, x)
        return tape.sum_to(checked) / np.prod(value.shape) if value.shape else checked


@fails("graph_lambda_array")
class MeanOfGraphLam(WrongReversal):
    adapter = Averaging()


@fails("integers_rejected")
class TakesIntegers(TapeBackend):
    def reverse(self, x, lam):
        if x.dtype.kind in "ib":
            return self.op(x, constant(1, x.dtype))
        return super().reverse(x, lam)


@fails("integers_rejected")
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


class OfTheBackend(Rule):
    def __init__(self, backend):
        self.backend = backend

    def rule(self, x, factor, g):
        return self.backend.factor * g


@fails("thread_safe")
class OfTheLastThread(TapeBackend):
    """Keeps λ in an attribute, where another thread overwrites it."""

    seen = threading.main_thread()

    def reverse(self, x, lam):
        y = super().reverse(x, lam)
        if threading.current_thread() is self.seen:
            return y
        self.factor = y.inputs[1]
        return OfTheBackend(self)(*y.inputs)


# --- faults of scale_gradient, which leave the reversal right ------------------------------------


class Magnitude(Rule):
    def rule(self, x, factor, g):
        return tape.maximum(factor, -factor) * g


@fails("scaled_gradient", "scaled_by_array", "scaled_by_graph_value", "scaled_transforms")
class FactorWithoutSign(WrongFactor):
    wrong = Magnitude()


@fails("scaled_gradient")
class FactorInFloat32(TapeBackend):
    """A number is cast to float32 first."""

    def scale_gradient(self, x, factor):
        if type(factor) is float and x.dtype == "float64":
            factor = float(np.float32(factor))
        return super().scale_gradient(x, factor)


@fails("scaled_by_array")
class FactorOfFirstSample(TapeBackend):
    def scale_gradient(self, x, factor):
        y = super().scale_gradient(x, factor)
        if isinstance(factor, np.ndarray) and factor.ndim:
            return super().scale_gradient(x, float(factor.ravel()[0]))
        return y


@fails("scaled_by_graph_value")
class GraphFactorAtLeastZero(TapeBackend):
    def scale_gradient(self, x, factor):
        if isinstance(factor, tape.Tensor) and isinstance(factor.op, tape.Source):
            factor = tape.maximum(factor, 0.0)
        return super().scale_gradient(x, factor)


@fails("invalid_factor_rejected")
class FactorNotValidated(TapeBackend):
    def scale_gradient(self, x, factor):
        if isinstance(factor, float) and not np.isfinite(factor):
            return x
        return super().scale_gradient(x, factor)


@fails("scaled_transforms")
class FactorLostInForwardMode(WrongFactor):
    wrong = IdentityForward()


@fails("scaled_transforms")
class FactorLostInBatches(TapeBackend):
    def scale_gradient(self, x, factor):
        y = super().scale_gradient(x, factor)
        return x if isinstance(x.op, tape.Slice) else y
