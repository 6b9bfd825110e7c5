"""Backends that are wrong on purpose, each with the checks that must fail on it, and no others."""

import contextlib
import functools
import threading
import types
from collections import namedtuple

import numpy as np
import tape
from tape import Reversal, Scale, TapeBackend, TapeHarness, TapeNative, constant, native

import revgrad
from revgrad.backend import normalize_lambda, residual_form, resolve

Wrong = namedtuple("Wrong", "spec harness fails")
"""The spec of a wrong backend, the class of its harness, and the checks that fail on it."""

WRONG = {}
"""The wrong backends by name."""

backends = types.SimpleNamespace()
"""The wrong backends, where their specs find them."""


def variant(right, **changes):
    """Return a class that differs in some attributes from one of the tape."""
    return type(right.__name__, (right,), changes)


def fails(checks, method="reverse", lacks="", **faults):
    """Register wrong backends by name, and say which checks they fail.

    Each fault is the one thing that is not the tape's: a harness, a layer, the adapter by which
    `reverse` resolves λ, the Op that `method` uses, or the method itself, as a function of the
    right method, of `x`, and of λ or the factor. `lacks` names the capabilities that are not declared.
    The function that is returned registers one more by its own name, as a decorator.
    """

    def wrong(part, name=None):
        name = name or part.__name__
        right, harness, changes = getattr(TapeBackend, method), TapeHarness, {}
        if not isinstance(part, type):
            changes[method] = lambda self, x, lam: part(functools.partial(right, self), x, lam)
        elif issubclass(part, tape.Op):
            op, changes["fault"] = part(), part
            part.__qualname__ = f"backends.{name}.fault"  # where pickle finds it
            changes[method] = lambda self, x, lam: op(*right(self, x, lam).inputs)
        elif issubclass(part, TapeNative):
            adapter = part()
            changes[method] = lambda self, x, lam: Scale()(x, -resolve(x, lam, adapter))
        elif issubclass(part, Reversal):
            harness = variant(TapeHarness, layer=part)
        else:
            harness = part
        if lacks:
            unsupported = dict.fromkeys(lacks.split(), "another check would fail as well")
            harness = variant(harness, unsupported=unsupported)
            changes["capabilities"] = TapeBackend.capabilities - set(unsupported)
        setattr(backends, name, type(name, (TapeBackend,), changes))
        spec = revgrad.BackendSpec("tape", ("tape:Tensor",), f"wrong:backends.{name}")
        WRONG[name] = Wrong(spec, harness, set(checks.split()))
        return part

    for name, part in faults.items():
        wrong(part, name)
    return wrong


def skipped(where):
    """Return the method that does nothing where a function of `x` and λ is true."""
    return lambda right, x, lam: x if where(x, lam) else right(x, lam)


def replaced(kind, change):
    """Return the method that takes another λ, or factor, in place of one of that type."""
    return lambda right, x, lam: right(x, change(lam) if type(lam) is kind else lam)


in_batches = skipped(lambda x, lam: isinstance(x.op, tape.Slice))


class Rule(Scale):
    """The true Op with another rule for the pullback; the forward mode is kept right."""

    def pullback(self, inputs, g):
        return [self.rule(*inputs, g), None]

    pullback_to_push = Scale.pullback  # for forward mode


def product(multiply, pullback=lambda g, _, factor: (factor * g, None)):
    """Return the Op whose rule is one operation of its own, on the arrays g and factor."""
    tape.DERIVATIVES[multiply] = pullback
    rule = lambda self, x, factor, g: tape.Function(multiply)(g, factor)
    return type(multiply.__name__, (Rule,), {"rule": rule})


class For64(Scale):
    """An Op for float64, where the checks on programs do not look; no compiler removes it."""

    removable = view = False

    def __call__(self, x, factor):
        return super().__call__(x, factor) if x.dtype == "float64" else Scale()(x, factor)


quiet = np.errstate(over="ignore")
VALUES = """
    any_cotangent dtype_of_x dtype_of_graph_lambda half_precision stay_apart survives_rewriting
    variable_shows variable_at_forward second_order copies_reverse any_shape lambda_array
    graph_lambda_array several_outputs subclasses_reversed mode_independent layers_keep_lambda
    assigned_lambda
"""
"""The checks that look at the gradient of a reversal at a λ that is neither 0 nor 1; not threads."""


# --- the faults of public code, which show in many places ----------------------------------------


@fails(VALUES + "thread_safe forward_mode")
def sign_lost(right, x, lam):
    return Scale()(x, resolve(x, lam, native))


@fails(VALUES + "thread_safe forward_mode double_reversal")
def lam_squared(right, x, lam):
    return Scale()(x, -(resolve(x, lam, native) ** 2))


@fails(VALUES + "double_reversal")
class CotangentIgnored(Rule):
    rule = lambda self, x, factor, g: factor * constant(np.ones(g.shape), g.dtype)


@fails(
    "identity no_copy half_precision zero_overhead forward_mode copies_reverse layers_keep_lambda "
    "assigned_lambda mode_independent subclasses_reversed"
)
def folklore(right, x, lam):
    """(1 + λ)·stop(x) - λ·x, as it is pasted."""
    lam = resolve(x, lam, native)
    return (1.0 + lam) * tape.stop_gradient(x) - lam * x


# λ is frozen when the program is built.
fails("variable_shows", variable_frozen=replaced(revgrad.LambdaVariable, float))


# --- what a framework that has only a stop_gradient cannot keep ---------------------------------


@fails("any_cotangent half_precision", "multiply_gradient", lacks="views operations")
def residual(right, x, factor):
    """An element of x that is not finite passes no gradient on; the rest of the contract is kept."""
    return residual_form(x, factor, tape.stop_gradient, tape)


# --- one fault for each check, which nothing else sees --------------------------------------------


@fails("identity", lacks="views")
class RoundsFloat64(For64):
    """Written for float32: other numbers go through it."""

    compute = quiet(lambda self, x, factor: x.astype("float32").astype(x.dtype))


fails("no_copy", CopiesFloat64=variant(For64, compute=lambda self, x, factor: x.copy()))


@fails("no_inplace_write no_copy")
class WritesFloat64(For64):
    compute = lambda self, x, factor: np.multiply(x, 2, out=x) / 2


@fails("no_inplace_write")
@product
def WritesCotangent(g, factor):
    """Multiplies in place, as an Op that does not say so."""
    return np.multiply(g, factor, out=g if g.flags.writeable else None)


@fails("any_cotangent", lacks="half_precision")
@product
def wrong_for_non_finite(g, factor):
    return np.where(np.isfinite(g), factor * g, np.zeros_like(g))


fails("half_precision", RoundsTwice=product(lambda g, c: g * c if g.itemsize > 2 else g / (1 / c)))
# A view that does not say so, such that the framework lets people write to it.
fails("in_place_writes", WritableView=variant(Scale, view=False))
fails("zero_overhead", NotRemoved=variant(Scale, removable=False))
# The framework takes it for its input where both are outputs.
fails("several_outputs", LostAmongOutputs=variant(Scale, merged=True))
# The gradient hides what it depends on, as a rule written on values does.
fails("second_order", OnlyFirstOrder=product(lambda g, c: g * c, lambda *_: (None, None)))
fails(
    "forward_mode",
    ForwardModeIsIdentity=variant(Scale, pullback_to_push=lambda self, inputs, g: [g, None]),
    ForwardModeIsZero=variant(Scale, pullback_to_push=lambda self, inputs, g: [0.0 * g, None]),
)


@fails("dtype_of_x")
class NarrowCell(TapeNative):
    """A LambdaVariable is held in float32, whatever it meets."""

    def set_cell(self, cell, value):
        super().set_cell(cell, np.float64(np.float32(value)))


@fails("dtype_of_graph_lambda")
class DtypeRaised(TapeNative):
    """A cell is cast, as it should be; what the user gives is not."""

    def cast(self, value, x):
        return value if value.op.value is None else super().cast(value, x)


@fails("zero_lambda")
def disconnected_at_zero(right, x, lam):
    return tape.stop_gradient(x) if type(lam) is float and lam == 0 else right(x, lam)


@fails("no_gradient_for_lambda")
class LearnableLam(Scale):
    def pullback(self, inputs, g):
        x, factor = inputs
        return [factor * g, tape.sum_to(x * g, factor.shape)]


@fails("double_reversal several_outputs")
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
    known = vars(x).setdefault("reversals", {})
    return known.setdefault(int(lam), y) if isinstance(lam, float) else y


class FactorInTheOp(Scale):
    """The factor is an attribute that does not tell two Ops apart, as in Theano's GradScale."""

    key = "FactorInTheOp"

    def __init__(self, factor):
        self.factor = factor

    def pullback(self, inputs, g):
        return [self.factor * g]


fails("survives_rewriting", merged=lambda right, x, lam: FactorInTheOp(right(x, lam).inputs[1])(x))


@fails("invalid_lambda_rejected")
class OverflowsToInf(TapeNative):
    constant = quiet(lambda self, value, x: constant(value, x.dtype))


# Takes whatever it does not know for 1.
fails("invalid_lambda_rejected", unknown_is_one=replaced(object, lambda lam: 1.0))


@fails("invalid_lambda_rejected")
class NativeFormNotValidated(TapeHarness):
    """Puts a native form to the checks, which makes a λ of every number."""

    def reverse(self, x, lam):
        if isinstance(lam, (int, float, np.generic)):
            lam = abs(float(lam)) if np.isfinite(lam) else 1.0
        return super().reverse(x, lam)


# A constant of the framework is not validated.
fails("known_lambda_rejected", ConstantsUnread=variant(TapeNative, known_number=lambda *_: None))


@fails("variable_shows variable_at_forward")
class CellLags(TapeNative):
    """The cell holds the value before the last."""

    def set_cell(self, cell, value):
        before, cell.next = getattr(cell, "next", value), value
        super().set_cell(cell, before)


# The cell is read when the gradient is computed.
fails("variable_at_forward", lacks="compilations", ReadsLate=tape.EagerHarness)


@fails("compiled_once")
class CompilesAgain(TapeNative):
    def set_cell(self, cell, value):
        super().set_cell(cell, value)
        tape.compile([], [])


fails("schedule_in_graph", "constant", rounds_schedules=lambda right, c, x: float(np.float16(c)))


@fails("copies_reverse")
class LostByCopies(Rule):
    """What it needs is not in its state."""

    sign = 1.0
    rule = lambda self, x, factor, g: self.sign * factor * g

    def __reduce__(self):
        return type(self), (), {"sign": -1.0}


fails("vectorised", lost_in_batches=in_batches)
fails("mode_independent", training_only=skipped(lambda x, lam: not tape.mode["training"]))
# A parameter is reversed only in that its value is passed on.
fails("subclasses_reversed", not_parameters=skipped(lambda x, lam: isinstance(x, tape.Parameter)))
fails("any_shape", wrong_for_4d=skipped(lambda x, lam: len(x.shape) == 4))
fails("integers_rejected", takes_integers=skipped(lambda x, lam: x.dtype.kind in "ib"))
fails("layers_keep_lambda", LayerForgets=variant(Reversal, __reduce__=lambda _: (Reversal, (1,))))


@fails("assigned_lambda")
class LayerIgnoresInvalid(Reversal):
    """Assigning an invalid λ is ignored without a word."""

    def __setattr__(self, name, lam):
        with contextlib.suppress(revgrad.InvalidLambdaError):
            super().__setattr__(name, normalize_lambda(lam))


@fails("assigned_lambda")
class LayerTakesNan(Reversal):
    def __setattr__(self, name, lam):
        super().__setattr__(name, normalize_lambda(lam) if lam == lam else 0.0)


@fails("assigned_lambda")
class LayerReplacesLam(Reversal):
    """What is assigned does not replace what is used."""

    def __setattr__(self, name, lam):
        vars(self).setdefault(name, lam)


fails("lambda_array", mean_of_lam=replaced(np.ndarray, np.mean))
fails(
    "zero_lambda",
    zero_is_one=lambda right, x, lam: right(x, lam or 1.0 if type(lam) is float else lam),
)


@fails("lambda_array")
def one_lam_for_a_scalar(right, x, lam):
    one = isinstance(lam, np.ndarray) and lam.shape == (1,) and not x.shape
    return right(x, lam[0] if one else lam)


@fails("invalid_lambda_rejected lambda_array")
def error_of_its_own(right, x, lam):
    try:
        return right(x, lam)
    except revgrad.InvalidLambdaError as error:
        raise (KeyError(lam) if isinstance(lam, (str, np.ndarray)) else error) from None


@fails("lambda_array")
def enlarged_by_lam(right, x, lam):
    return Scale()(x, constant(-lam, x.dtype)) if type(lam) is np.ndarray else right(x, lam)


@fails("lambda_array")
class LamAliased(TapeNative):
    """An array of the dtype of x is read at each run."""

    def constant(self, value, x):
        if isinstance(value, np.ndarray):
            return tape.Tensor(tape.Source(np.asarray(value, x.dtype)), (), value.shape, x.dtype)
        return super().constant(value, x)


@fails("graph_lambda_array")
class MeanOfGraphLam(TapeNative):
    def cast(self, value, x):
        return tape.sum_to(super().cast(value, x)) / float(np.prod(value.shape))


@fails("integers_rejected")
def speechless_about_integers(right, x, lam):
    if x.dtype.kind in "ib":
        raise revgrad.UnsupportedTypeError("no")
    return right(x, lam)


fails("claims_resolve", ClaimsTooNarrow=variant(TapeHarness, values=lambda self: [object()]))


SHARED = tape.source((), "float32")


@fails("thread_safe")
def of_the_last_thread(right, x, lam):
    """Keeps λ where another thread overwrites it."""
    if threading.current_thread() is threading.main_thread():
        return right(x, lam)
    SHARED.op.value = np.float32(-lam)
    return Scale()(x, SHARED)


# --- faults of scale_gradient, which leave the reversal right ------------------------------------


@fails("scaled_gradient scaled_by_array scaled_by_graph_value scaled_transforms", "scale_gradient")
def factor_without_sign(right, x, factor):
    factor = resolve(x, factor, native, signed=True)
    return Scale()(x, tape.maximum(factor, -factor))


@fails("scaled_by_graph_value", "scale_gradient")
def graph_factor_at_least_zero(right, x, factor):
    known = type(getattr(factor, "op", None)) is not tape.Source
    return right(x, factor if known else tape.maximum(factor, 0.0))


@fails("invalid_factor_rejected", "scale_gradient")
def factor_not_validated(right, x, factor):
    return x if isinstance(factor, float) and not np.isfinite(factor) else right(x, factor)


scale_fails = functools.partial(fails, method="scale_gradient")
# A number is cast to float32 first.
scale_fails("scaled_gradient", factor_in_float32=replaced(float, quiet(np.float32)))
scale_fails("scaled_by_array", factor_of_first_sample=replaced(np.ndarray, lambda c: c.flat[0]))
# What the checks find in a reversal they find in a factor, too.
scale_fails(
    "scaled_transforms",
    FactorLostInForwardMode=backends.ForwardModeIsIdentity.fault,
    FactorLostAmongOutputs=backends.LostAmongOutputs.fault,
    FactorOnlyFirstOrder=backends.OnlyFirstOrder.fault,
    FactorLostByCopies=LostByCopies,
    factor_lost_in_batches=in_batches,
    factor_frozen=replaced(revgrad.LambdaVariable, float),
)
