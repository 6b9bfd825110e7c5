"""check_flow on the NumPy tape: every diagnosis, its report, and what it rejects."""

import numpy as np
import pytest
import tape
from test_bites import registered

import revgrad
from revgrad.testing.flow import Flow, check_flow

RANDOM = np.random.RandomState(3)
FEATURES, *HEAD = (RANDOM.normal(size=n) for n in ((8, 4), (4, 5), (1, 5), (5, 1), (1, 1)))
W1, *_, B2 = HEAD
DOMAINS = np.repeat([[-1.0], [1.0]], 4, axis=0)
LAM = 0.3
stop = tape.stop_gradient
relu = lambda z: tape.maximum(z, 0.0)
softmax = lambda z: tape.exp(z) / tape.exp(z)  # over one column


@pytest.fixture(autouse=True)
def registered_tape():
    with registered(tape.SPEC):
        yield


def check(loss, features=FEATURES, lam=LAM, parameters=(), harness="tape"):
    return check_flow(loss, features, lam, harness=harness, parameters=parameters)


def head(f, w1, b1, w2, b2, activation=tape.tanh):
    return activation(f @ w1 + b1) @ w2 + b2


def cross_entropy(score):
    return mean(tape.log(1 + tape.exp(tape.constant(-DOMAINS, score.dtype) * score)))


def mean(x):
    return tape.sum_to(x) / float(np.prod(x.shape))


def score(f, **kwargs):
    return head(f, *(tape.constant(each, f.dtype) for each in HEAD), **kwargs)


def loss_of(f, before=lambda f: f, **kwargs):
    return cross_entropy(score(before(f), **kwargs))


def reversal(lam):
    return lambda x: revgrad.reverse(x, lam)


def right(f):
    return loss_of(f, reversal(LAM))


def through(compute, pullback=lambda g: g):
    """Return a function of tensors by its value and what it makes of a gradient."""
    tape.DERIVATIVES[compute] = lambda g, x: (pullback(g),)
    return tape.Function(compute)


# A reversal with a minus too many, and steps: one through which a gradient is passed nevertheless.
POSITIVE = through(lambda x: x, lambda g: LAM * g)
LOOSE = through(lambda x: 0 * x)
ROUND = through(lambda x: np.round(x * 2) / 2)
DROPOUT = through(lambda x: x * (RANDOM.uniform(size=x.shape) < 0.5))  # another mask at each run
INFINITE = through(lambda x: x, lambda g: g * [np.inf, 1, 1, 1])
STEP = through(lambda x: (x > 0).astype(x.dtype), lambda g: 0 * g)


def columns(first, others):
    """Return the first columns of one, and the others of the other."""
    half = tape.constant(np.ones(first.shape) * (np.arange(first.shape[1]) < 2), first.dtype)
    return first * half + others * (1 - half)


# name: (kind, λ that is expected, loss of the features)
CASES = {
    "reversed": ("right", LAM, lambda f: loss_of(f, reversal(LAM))),
    "relu": ("right", LAM, lambda f: loss_of(f, reversal(LAM), activation=relu)),
    "λ = 0": ("right", 0, lambda f: loss_of(f, reversal(0.0))),
    "a weighted loss": ("right", LAM, lambda f: 50 * loss_of(f, reversal(LAM)) + 7),
    "no reversal": ("unreversed", LAM, loss_of),
    "no reversal, λ = 1": ("unreversed", 1, loss_of),
    "no reversal, λ = 0": ("unreversed", 0, loss_of),
    "negated": ("sign", LAM, lambda f: loss_of(f, POSITIVE)),
    "twice": ("twice", LAM, lambda f: loss_of(reversal(LAM)(f), reversal(LAM))),
    "another λ": ("scale", LAM, lambda f: loss_of(f, reversal(0.33))),
    "reversed at λ = 0": ("scale", 0, lambda f: loss_of(f, reversal(0.3))),
    "thrice, by other λ": ("unreversed", LAM, lambda f: loss_of(reversal(2)(f), reversal(LAM))),
    "λ is 0 in the program": ("cut", LAM, lambda f: loss_of(f, reversal(0.0))),
    "stopped": ("disconnected", LAM, lambda f: loss_of(f, stop)),
    "stopped, λ = 0": ("disconnected", 0, lambda f: loss_of(f, stop)),
    "one column": ("constant", LAM, lambda f: mean(softmax(score(reversal(LAM)(f))))),
    "weights of zero": ("constant", LAM, lambda f: mean(score(reversal(LAM)(f)) * 0.0)),
    "steps": ("flat", LAM, lambda f: mean(STEP(score(reversal(LAM)(f))))),
    "some columns": ("mixed", LAM, lambda f: loss_of(columns(reversal(LAM)(f), f))),
    "some stopped": ("mixed", LAM, lambda f: loss_of(columns(reversal(LAM)(f), stop(f)))),
    "one of two heads": ("mixed", LAM, lambda f: loss_of(f, reversal(LAM)) + mean(f**2)),
    "a gradient of nothing": ("mixed", LAM, lambda f: loss_of(f, LOOSE)),
    # As in training for quantised weights: the gradient passes what differences stumble over.
    "quantised": ("undecided", LAM, lambda f: loss_of(f, ROUND)),
    "finely quantised": ("undecided", LAM, lambda f: loss_of(f, lambda f: ROUND(f * 50) / 50)),
    "dropout": ("undecided", LAM, lambda f: loss_of(f, DROPOUT)),
    "an infinite gradient": ("nonfinite", LAM, lambda f: loss_of(f, INFINITE)),
    "log of 0": ("nonfinite", LAM, lambda f: mean(tape.log(revgrad.reverse(f, LAM) * 0.0))),
}


# The ratios that the kind does not say.
RATIOS = {"another λ": -0.33, "reversed at λ = 0": -0.3, "thrice, by other λ": 0.6}
REPORTS = {
    "reversed": "-0.3 times the true gradient|must be -0.3 times|was not checked|parameters=",
    "λ = 0": "as it must be|again with λ above 0",
    "no reversal": "1 times the true gradient|no reversal between|exported|not an exported",
    "no reversal, λ = 1": "as λ is 1|try another λ",
    "negated": "one minus sign too many|Pass λ as a positive number",
    "twice": "two reversals|Remove one of them",
    "another λ": "-0.33 times|frozen when the program was built|LambdaVariable",
    "thrice, by other λ": "0.6 times|something that scales it",
    "λ is 0 in the program": "and none arrives|stop_gradient|λ is 0 in the program",
    "stopped": "no connection from the domain loss|detach|its zeros are connected",
    "one column": "does not depend on the features|softmax over one column|Use a sigmoid",
    "steps": "does not change near these features|argmax|scores, not from its decisions",
    "some columns": "not a multiple of the true one|by direction -0.3 to|Reverse the",
    "quantised": "unclear; it must be -0.3 times",
    "dropout": "differs each time|dropout",
    "an infinite gradient": "8 of 32 elements of the gradient are inf or nan",
    "log of 0": "the loss is -inf|log-softmax, softplus",
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_diagnosis(name, dtype):
    kind, lam, loss = CASES[name]
    flow = check(loss, FEATURES.astype(dtype), lam)
    assert (flow.kind, flow.ok, bool(flow)) == (kind, kind == "right", kind == "right"), flow
    assert flow.expected == -lam and str(flow).startswith(f"{kind}: ")
    of_kind = {"right": -lam, "unreversed": 1.0, "sign": lam, "twice": lam**2, "cut": 0.0}
    ratio = RATIOS.get(name, of_kind.get(kind))
    rel = 1e-6 if dtype == "float64" else 1e-2
    assert flow.ratio == (ratio if ratio is None else pytest.approx(ratio, rel=rel))
    assert max(map(len, flow.report.splitlines())) <= 88
    words = "seen:|means:|do:|" + (REPORTS.get(name, "") if dtype == "float64" else "")
    assert [each for each in words.split("|") if each not in " ".join(str(flow).split())] == []


# --- where the reversal lies ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lam", [1e-6, 1.0, 100.0])
@pytest.mark.parametrize("kind", ["right", "after"])
def test_place(kind, lam, dtype):
    features, *parameters = (each.astype(dtype) for each in (FEATURES, *HEAD))
    right = lambda f, *p: cross_entropy(head(revgrad.reverse(f, lam), *p))
    after = lambda f, *p: cross_entropy(revgrad.reverse(head(f, *p), lam))
    loss, factor = {"right": (right, 1.0), "after": (after, -lam)}[kind]
    flow = check(loss, features, lam, parameters)
    assert flow.kind == kind and "was not checked" not in flow.report, flow
    assert flow.ratio == pytest.approx(-lam, rel=1e-2)
    assert flow.parameter_ratios == pytest.approx([factor] * 4, rel=2e-2)


def inside_the_head(f, w1, b1, w2, b2):
    return cross_entropy(revgrad.reverse(tape.tanh(f @ w1 + b1), LAM) @ w2 + b2)


def stopped_weight(f, w1, *others):
    return cross_entropy(head(revgrad.reverse(f, LAM), stop(w1), *others))


def unused_weight(f, unused, w=FEATURES[:4]):
    return mean(tape.tanh(revgrad.reverse(f, LAM) @ w) + 0 * unused)


INSIDE = "parameters[1]: -0.3 times the true gradient|head(reverse(features, lam))"


@pytest.mark.parametrize(
    "loss, parameters, kind, ratios, parts",
    [
        (inside_the_head, HEAD, "after", [-LAM, -LAM, 1, 1], INSIDE),
        (stopped_weight, HEAD, "head", [None, 1, 1, 1], "a weight of the head does not"),
        (unused_weight, [B2, W1[:, :1]], "right", [None, 1], "parameters[1]: 1 times"),
        (unused_weight, [B2], "undecided", [None], "for the parameters"),
    ],
)
def test_parameters(loss, parameters, kind, ratios, parts):
    flow = check(loss, parameters=parameters)
    assert flow.kind == kind and flow.ratio == pytest.approx(-LAM), flow
    assert flow.parameter_ratios == pytest.approx(tuple(ratios))
    assert all(each in flow.report for each in parts.split("|"))


# --- a λ that changes -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_variable_that_is_followed(value):
    lam = revgrad.LambdaVariable(value)
    loss = lambda f, *p: cross_entropy(head(revgrad.reverse(f, lam), *p))
    flow = check(loss, lam=lam, parameters=HEAD)
    assert flow.kind == "right" and "follows the LambdaVariable" in flow.report
    assert flow.expected == -(value or 1.0) and flow.ratio == pytest.approx(flow.expected)
    assert ("It holds 0 now" in flow.report, lam.value) == (value == 0, value)


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_variable_that_is_frozen(value):
    lam = revgrad.LambdaVariable(value)
    loss = lambda f: loss_of(f, reversal(lam.value))
    flow = check(loss, lam=lam)
    assert flow.kind == "frozen" and lam.value == value and flow.ratio == pytest.approx(-value)
    why = "zero with λ = 0, and still zero with λ = 1", "does not change when λ changes from 0.3 to"
    words = why[value > 0], "lam.value", "Pass the variable itself"
    assert [each for each in words if each not in " ".join(flow.report.split())] == []
    if value == 0:  # an eager framework reads the value at each run
        assert check(loss, lam=lam, harness=tape.EagerHarness()).ok


@pytest.mark.parametrize("value, other", [(0.0, "1 to 0"), (0.4, "0.4 to 0.2")])
def test_a_variable_that_is_followed_in_part(value, other):
    lam = revgrad.LambdaVariable(value)
    flow = check(
        lambda f: loss_of(f, reversal(max(lam.value, 0.3))), lam=lam, harness=tape.EagerHarness()
    )
    assert f"does not change in proportion when λ changes from {other}" in " ".join(
        flow.report.split()
    )


def test_a_program_is_built_again_for_a_variable_at_zero_only():
    lam, builds = revgrad.LambdaVariable(0.3), iter([stop])
    assert check(lambda f: loss_of(f, next(builds, reversal(lam))), lam=lam).kind == "disconnected"


def test_a_variable_at_zero_does_not_hide_a_cut():
    lam = revgrad.LambdaVariable(0.0)
    assert check(lambda f: loss_of(reversal(lam)(f), reversal(0.0)), lam=lam).kind == "cut"


def test_a_variable_keeps_its_value_where_the_loss_raises():
    lam = revgrad.LambdaVariable(0.0)  # it is set to 1 for the check
    with pytest.raises(ZeroDivisionError):
        check(lambda f: 1 / 0, lam=lam, harness=tape.EagerHarness())
    assert lam.value == 0


# --- where differences do not tell ----------------------------------------------------------------


POINTS = [np.zeros((4, 3)), np.maximum(FEATURES, 0)]  # on kinks: nearby points are looked at
POINTS += [np.asarray(RANDOM.uniform(size=n)) for n in ((), (1,), (7,), (2, 3, 2, 2))]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("features", POINTS)
def test_features(features, dtype):
    assert check(lambda f: mean(tape.tanh(relu(reversal(LAM)(f)))), features.astype(dtype)).ok


def test_a_loss_with_too_few_digits_is_undecided():
    flow = check(lambda f: right(f) + 1e6, FEATURES.astype("float32"))
    assert not flow.ok and flow.kind in ("undecided", "mixed", "constant")
    assert check(lambda f: right(f) + 1e6).ok


# --- what is rejected -----------------------------------------------------------------------------


count = lambda f: tape.sum_to(f).astype("int64")
MANY = "must return a scalar; it returned a value of 2 dimensions. Return the mean"


@pytest.mark.parametrize(
    "given, error, message",
    [
        ({"features": np.ones((2, 3), int)}, TypeError, "features has the dtype int.*Cast it to"),
        ({"features": np.ones(3, complex)}, revgrad.UnsupportedTypeError, "dtype complex128"),
        ({"features": tape.constant([1.0])}, TypeError, "be a NumPy array; got <tape.* as a value"),
        ({"features": np.ones((0, 4))}, ValueError, r"shape \(0, 4\) must have elements"),
        ({"features": np.array([1.0, np.nan])}, ValueError, "all of them finite"),
        ({"loss": lambda f: f}, ValueError, MANY),
        ({"loss": lambda f: None}, ValueError, "a value of the framework; it returned None"),
        ({"loss": lambda f: 0.5}, ValueError, r"it returned 0.5 \(float\)"),
        ({"loss": lambda f: (tape.sum_to(f), f)}, ValueError, "it returned .*tuple"),
        ({"loss": count}, ValueError, "one of int64. A count of correct predictions"),
        ({"loss": lambda f, w: f}, ValueError, "and 0 parameters, .* signature is .f, w."),
        ({"parameters": W1}, ValueError, r"must be a tuple or list.*is parameters=\[w\]"),
        ({"parameters": 5}, ValueError, r"must be a tuple or list of NumPy arrays; got 5"),
        ({"parameters": [W1, np.arange(3)]}, TypeError, r"parameters\[1\] has the dtype int"),
        ({"parameters": [W1]}, ValueError, r"1 parameters.*domain_loss\(features, \*parameters\)"),
        ({"harness": tape.TapeHarness}, TypeError, "got .*TapeHarness.* Pass an instance"),
        ({"harness": "no such backend"}, revgrad.BackendUnavailableError, "no such backend"),
        ({"lam": -0.3}, revgrad.InvalidLambdaError, "-0.3"),
        ({"lam": np.ones(3)}, revgrad.InvalidLambdaError, "Expected a scalar"),
    ],
)
def test_arguments_are_rejected(given, error, message):
    with pytest.raises(error, match=message):
        check(**{"loss": right, **given})


def test_all_but_the_first_three_are_given_by_name():
    with pytest.raises(TypeError, match="positional"):
        check_flow(right, FEATURES, LAM, "tape")


def test_a_harness_without_constants_takes_no_parameters():
    class Small(tape.TapeHarness):
        constant = revgrad.testing.Harness.constant

    assert check(right, harness=Small()).ok
    with pytest.raises(NotImplementedError, match=r"Small has no constant\(array\)"):
        check(lambda f, w: right(f), parameters=[W1], harness=Small())


# --- what frameworks do differently ---------------------------------------------------------------


@pytest.mark.parametrize("harness", [tape.TapeHarness(), tape.EagerHarness()])
def test_a_loss_of_another_dtype(harness):
    loss = lambda f: right(f).astype("float64")
    assert check(loss, FEATURES.astype("float32"), harness=harness).ok


def test_a_flow_is_a_record():
    flow = check(right)
    assert flow == check(right) and isinstance(flow, Flow)
    with pytest.raises(AttributeError):
        flow.ok = False
