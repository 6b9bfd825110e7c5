"""Backends that are wrong on purpose, each with the checks that must fail on it, and no others."""

import functools
import threading
import types

import numpy as np
import tape
from tape import Op, Reversal, Scale, TapeBackend, TapeHarness, TapeNative, constant, stop_gradient

import revgrad
from revgrad.backend import normalize_lambda, resolve

WRONG = {}
"""By name: the spec of a wrong backend, its harness, and the names of the checks that fail on it."""

backends = types.SimpleNamespace()
"""The wrong backends, where their specs find them."""


def fails(*checks, method="reverse", lacks=()):
    """Register a wrong backend, and say which checks it fails.

    What is decorated is the one thing that is not the tape's: a harness, a layer, the adapter by
    which `reverse` resolves λ, the Op that `method` uses, or the method itself, as a function of
    the right method, of `x`, and of λ or the factor. `lacks` names the capabilities that are not
    declared.
    """

    def decorate(part):
        right, harness, changes = getattr(TapeBackend, method), TapeHarness, {}
        if not isinstance(part, type):
            changes[method] = lambda self, x, lam: part(functools.partial(right, self), x, lam)
        elif issubclass(part, Op):
            op = part()
            changes[method] = lambda self, x, lam: op(*right(self, x, lam).inputs)
        elif issubclass(part, TapeNative):
            native = part()
            changes[method] = lambda self, x, lam: Scale()(x, -resolve(x, lam, native))
        elif issubclass(part, Reversal):
            harness = type("LayerHarness", (TapeHarness,), {"layer": part})
        else:
            harness = part
        if lacks:
            changes["capabilities"] = TapeBackend.capabilities - set(lacks)
            unsupported = dict.fromkeys(lacks, "another check would fail as well")
            harness = type("SmallHarness", (harness,), {"unsupported": unsupported})
        name = part.__name__
        setattr(backends, name, type(name, (TapeBackend,), changes))
        spec = revgrad.BackendSpec("tape", ("tape:Tensor",), f"wrong:backends.{name}")
        WRONG[name] = spec, harness, set(checks)
        return part

    return decorate


class Rule(Scale):
    """The true Op with another rule for the pullback; the forward mode is kept right."""

    def pullback(self, inputs, g):
        return [self.rule(*inputs, g), None]

    def push_forward(self, inputs, tangents):
        return inputs[1] * tangents[0]


class Everywhere(Rule):
    """The true Op with another rule for both modes."""

    def push_forward(self, inputs, tangents):
        return self.rule(*inputs, tangents[0])


class Product(Op):
    """A product of the cotangent and the factor, as one operation."""

    def __init__(self, multiply):
        self.multiply = multiply

    def compute(self, g, factor):
        with np.errstate(all="ignore"):
            return self.multiply(g, factor)

    def pullback(self, inputs, g):
        return [inputs[1] * g, None]


class ByProduct(Rule):
    """A pullback that is one operation of its own, `multiply` on arrays."""

    def rule(self, x, factor, g):
        return Product(self.multiply)(g, factor)


class For64(Scale):
    """An Op for float64, where the checks on programs do not look; no compiler removes it."""

    removable = view = False

    def __call__(self, x, factor):
        return super().__call__(x, factor) if x.dtype == "float64" else Scale()(x, factor)


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


@fails(*VALUES, "forward_mode")
class SignLost(Everywhere):
    def rule(self, x, factor, g):
        return -factor * g


@fails(*VALUES, "forward_mode", "double_reversal")
class LamSquared(Everywhere):
    def rule(self, x, factor, g):
        return -(factor * factor) * g


@fails(*VALUES - {"thread_safe"}, "double_reversal")
class CotangentIgnored(Rule):
    def rule(self, x, factor, g):
        return factor * constant(np.ones(g.shape), g.dtype)


FOLKLORE = """
    identity no_copy half_precision zero_overhead forward_mode copies_reverse layers_keep_lambda
    assigned_lambda mode_independent subclasses_reversed
"""


@fails(*FOLKLORE.split())
def folklore(right, x, lam):
    """(1 + λ)·stop(x) - λ·x, as it is pasted."""
    lam = resolve(x, lam, tape.native)
    return (1.0 + lam) * stop_gradient(x) - lam * x


@fails("variable_shows")
def variable_frozen(right, x, lam):
    """λ is frozen when the program is built."""
    return right(x, getattr(lam, "value", lam))


# --- one fault for each check, which nothing else sees --------------------------------------------


@fails("identity", lacks=["views"])
class RoundsFloat64(For64):
    """Written for float32: other numbers go through it."""

    def compute(self, x, factor):
        with np.errstate(over="ignore"):
            return x.astype("float32").astype(x.dtype)


@fails("no_copy")
class CopiesFloat64(For64):
    def compute(self, x, factor):
        return x.copy()


@fails("no_inplace_write", "no_copy")
class WritesFloat64(For64):
    def compute(self, x, factor):
        y = x.copy()
        x *= 2
        return y


@fails("no_inplace_write")
class WritesCotangent(ByProduct):
    """Multiplies in place, as an Op that does not say so."""

    def multiply(self, g, factor):
        return np.multiply(g, factor, out=g if g.flags.writeable else None)


@fails("in_place_writes")
class WritableView(Scale):
    """A view that does not say so, such that the framework lets people write to it."""

    view = False


@fails("any_cotangent", lacks=["half_precision"])
class WrongForNonFinite(ByProduct):
    def multiply(self, g, factor):
        return np.where(np.isfinite(g), factor * g, np.zeros_like(g))


@fails("dtype_of_x")
class NarrowCell(TapeNative):
    """A LambdaVariable is held in float32, whatever it meets."""

    def set_cell(self, cell, value):
        cell.op.value = np.asarray(np.float32(value), "float64")


@fails("dtype_of_graph_lambda")
class DtypeRaised(TapeNative):
    """A cell is cast, as it should be; what the user gives is not."""

    def cast(self, value, x):
        return value if value.op.value is None else super().cast(value, x)


@fails("half_precision")
class RoundsTwice(ByProduct):
    def multiply(self, g, factor):
        three = np.asarray(3 if g.dtype.name in tape.HALF else 1, g.dtype)
        return g * (factor / three) * three


@fails("zero_lambda")
def disconnected_at_zero(right, x, lam):
    y = right(x, lam)
    return stop_gradient(x) if isinstance(lam, (int, float)) and lam == 0 else y


@fails("no_gradient_for_lambda")
class LearnableLam(Scale):
    def pullback(self, inputs, g):
        x, factor = inputs
        return [factor * g, tape.sum_to(x * g, factor.shape)]


@fails("double_reversal", "several_outputs")
def twice_is_once(right, x, lam):
    """Takes a reversal of a reversal for the same one."""
    return right(x.inputs[0] if isinstance(x.op, Scale) else x, lam)


@fails("double_reversal")
def twice_is_positive(right, x, lam):
    """Takes a reversal of a reversal with the same λ for the identity."""
    y = right(x, lam)
    y.lam = lam
    return x.inputs[0] if isinstance(lam, float) and getattr(x, "lam", None) == lam else y


@fails("stay_apart")
def cached_by_whole_lam(right, x, lam):
    """Remembers the reversal of an x by the whole part of λ."""
    y = right(x, lam)
    if not isinstance(lam, float):
        return y
    return vars(x).setdefault("reversals", {}).setdefault(int(lam), y)


class FactorInTheOp(Op):
    """The factor is an attribute that does not tell two Ops apart, as in Theano's GradScale."""

    key = "FactorInTheOp"
    removable = view = True

    def __init__(self, factor):
        self.factor = factor

    def compute(self, x):
        return x

    def pullback(self, inputs, g):
        return [self.factor * g]


@fails("survives_rewriting")
def merged(right, x, lam):
    return FactorInTheOp(right(x, lam).inputs[1])(x)


@fails("invalid_lambda_rejected")
class OverflowsToInf(TapeNative):
    def constant(self, value, x):
        with np.errstate(over="ignore"):
            return constant(value, x.dtype)


@fails("invalid_lambda_rejected")
def unknown_is_one(right, x, lam):
    """Takes whatever it does not know for 1."""
    return right(x, 1.0 if type(lam) is object else lam)


@fails("invalid_lambda_rejected")
class NativeFormNotValidated(TapeHarness):
    """Puts a native form to the checks, which makes a λ of every number."""

    def reverse(self, x, lam):
        if isinstance(lam, (int, float, np.generic)):
            lam = abs(float(lam)) if np.isfinite(lam) else 1.0
        return super().reverse(x, lam)


@fails("known_lambda_rejected")
class ConstantsUnread(TapeNative):
    """A constant of the framework is not validated."""

    def known_number(self, value):
        super().known_number(value)


@fails("variable_shows", "variable_at_forward")
class CellLags(TapeNative):
    """The cell holds the value before the last."""

    def set_cell(self, cell, value):
        before, cell.next = getattr(cell, "next", value), value
        super().set_cell(cell, before)


@fails("variable_at_forward", lacks=["compilations"])
class ReadsLate(TapeHarness):
    """Builds the graph anew in each run; the cell is read when the gradient is computed."""

    def program(self, fn, shape, dtype):
        def run(x, g):
            leaf, cotangent = tape.source(shape, x.dtype), tape.source(shape, x.dtype)
            y = fn(leaf)
            value = tape.evaluate([leaf], y)(x)
            (slope,) = tape.gradient(y, [leaf], cotangent)
            return value, slope and tape.evaluate([leaf, cotangent], slope)(x, g)

        return run


@fails("compiled_once")
class CompilesAgain(TapeNative):
    def set_cell(self, cell, value):
        super().set_cell(cell, value)
        tape.compile([], [])


@fails("schedule_in_graph", method="constant")
def rounds_schedules(right, value, like):
    return float(np.float16(value))


@fails("forward_mode")
class ForwardModeIsIdentity(Scale):
    def push_forward(self, inputs, tangents):
        return tangents[0]


@fails("forward_mode")
class ForwardModeIsZero(Scale):
    def push_forward(self, inputs, tangents):
        return 0.0 * tangents[0]


class ProductOfValues(Product):
    def pullback(self, inputs, g):
        return [None, None]


@fails("second_order")
class OnlyFirstOrder(Rule):
    """The gradient hides what it depends on, as a rule written on values does."""

    def rule(self, x, factor, g):
        return ProductOfValues(np.multiply)(g, factor)


@fails("vectorised")
def lost_in_batches(right, x, lam):
    return x if isinstance(x.op, tape.Slice) else right(x, lam)


@fails("zero_overhead")
class NotRemoved(Scale):
    removable = False


@fails("copies_reverse")
class LostByCopies(Rule):
    """What it needs is not in its state."""

    sign = 1.0

    def rule(self, x, factor, g):
        return self.sign * factor * g

    def __reduce__(self):
        return type(self), (), {"sign": -1.0}


@fails("several_outputs")
class LostAmongOutputs(Scale):
    """The framework takes it for its input where both are outputs."""

    merged = True


@fails("mode_independent")
def training_only(right, x, lam):
    return right(x, lam) if tape.mode["training"] else x


@fails("subclasses_reversed")
def not_parameters(right, x, lam):
    """A parameter is reversed only in that its value is passed on."""
    return x if isinstance(x, tape.Parameter) else right(x, lam)


@fails("layers_keep_lambda")
class LayerForgets(Reversal):
    def __reduce__(self):
        return type(self), (1.0,)


@fails("assigned_lambda")
class LayerIgnoresInvalid(Reversal):
    """Assigning an invalid λ is ignored without a word."""

    def __setattr__(self, name, lam):
        try:
            super().__setattr__(name, normalize_lambda(lam))
        except revgrad.InvalidLambdaError:
            pass


@fails("assigned_lambda")
class LayerReplacesLam(Reversal):
    """What is assigned lands beside what is used."""

    def __init__(self, lam):
        self.used = lam

    def __call__(self, x):
        return revgrad.reverse(x, self.used)


@fails("any_shape")
class WrongFor4d(Rule):
    def rule(self, x, factor, g):
        return factor * g if len(g.shape) < 4 else -factor * g


@fails("lambda_array")
def mean_of_lam(right, x, lam):
    y = right(x, lam)
    return right(x, float(lam.mean())) if isinstance(lam, np.ndarray) else y


@fails("lambda_array")
def enlarged_by_lam(right, x, lam):
    if isinstance(lam, np.ndarray):
        return Scale()(x, constant(-lam, x.dtype))
    return right(x, lam)


@fails("lambda_array")
class LamAliased(TapeNative):
    """An array of the dtype of x is read at each run."""

    def constant(self, value, x):
        if isinstance(value, np.ndarray):
            array = np.asarray(value, x.dtype)
            return tape.Tensor(tape.Source(array), (), array.shape, array.dtype)
        return super().constant(value, x)


@fails("graph_lambda_array")
class MeanOfGraphLam(TapeNative):
    def cast(self, value, x):
        return tape.sum_to(super().cast(value, x)) / float(np.prod(value.shape))


@fails("integers_rejected")
def takes_integers(right, x, lam):
    return Scale()(x, constant(1, x.dtype)) if x.dtype.kind in "ib" else right(x, lam)


@fails("integers_rejected")
def speechless_about_integers(right, x, lam):
    try:
        return right(x, lam)
    except revgrad.UnsupportedTypeError:
        raise revgrad.UnsupportedTypeError("no") from None


@fails("claims_resolve")
class ClaimsTooNarrow(TapeHarness):
    def values(self):
        return [*super().values(), object()]


@fails("thread_safe")
class OfTheLastThread(Rule):
    """Keeps λ in an attribute, where another thread overwrites it."""

    def __call__(self, x, factor):
        self.factor = factor
        return super().__call__(x, factor)

    def rule(self, x, factor, g):
        main = threading.current_thread() is threading.main_thread()
        return (factor if main else self.factor) * g


# --- faults of scale_gradient, which leave the reversal right ------------------------------------


scale_fails = functools.partial(fails, method="scale_gradient")


@scale_fails("scaled_gradient", "scaled_by_array", "scaled_by_graph_value", "scaled_transforms")
class FactorWithoutSign(Rule):
    def rule(self, x, factor, g):
        return tape.maximum(factor, -factor) * g


@scale_fails("scaled_gradient")
def factor_in_float32(right, x, factor):
    """A number is cast to float32 first."""
    if type(factor) is float and x.dtype == "float64":
        factor = float(np.float32(factor))
    return right(x, factor)


@scale_fails("scaled_by_array")
def factor_of_first_sample(right, x, factor):
    y = right(x, factor)
    if isinstance(factor, np.ndarray) and factor.ndim:
        return right(x, float(factor.ravel()[0]))
    return y


@scale_fails("scaled_by_graph_value")
def graph_factor_at_least_zero(right, x, factor):
    if isinstance(factor, tape.Tensor) and isinstance(factor.op, tape.Source):
        factor = tape.maximum(factor, 0.0)
    return right(x, factor)


@scale_fails("invalid_factor_rejected")
def factor_not_validated(right, x, factor):
    return x if isinstance(factor, float) and not np.isfinite(factor) else right(x, factor)


@scale_fails("scaled_transforms")
class FactorLostInForwardMode(ForwardModeIsIdentity):
    pass


@scale_fails("scaled_transforms")
def factor_lost_in_batches(right, x, factor):
    return x if isinstance(x.op, tape.Slice) else right(x, factor)
