"""check_flow on the NumPy tape: every diagnosis, its report, and what it rejects."""

import functools

import numpy as np
import pytest
import tape
from test_bites import registered

import revgrad
from revgrad.testing.flow import Flow, check_flow

RANDOM = np.random.RandomState(3)
FEATURES = RANDOM.normal(size=(8, 4))
W1, B1 = RANDOM.normal(size=(4, 5)), RANDOM.normal(size=(1, 5))
W2, B2 = RANDOM.normal(size=(5, 1)), RANDOM.normal(size=(1, 1))
HEAD = [W1, B1, W2, B2]
DOMAINS = np.repeat([[0.0], [1.0]], 4, axis=0)
LAM = 0.3


@pytest.fixture(autouse=True)
def registered_tape():
    with registered(tape.SPEC):
        yield


def sigmoid(z):
    return 1 / (1 + tape.exp(-z))


def relu(z):
    return tape.maximum(z, 0.0)


def head(f, w1, b1, w2, b2, activation=tape.tanh):
    return activation(f @ w1 + b1) @ w2 + b2


def cross_entropy(score):
    domains = tape.constant(DOMAINS, score.dtype)
    p = sigmoid(score)
    return mean(-(domains * tape.log(p) + (1 - domains) * tape.log(1 - p)))


def mean(x):
    return tape.sum_to(x) / float(np.prod(x.shape))


def constants(dtype):
    return [tape.constant(each, dtype) for each in HEAD]


def loss_of(f, before=lambda f: f, after=lambda z: z, **kwargs):
    return cross_entropy(after(head(before(f), *constants(f.dtype), **kwargs)))


def reversal(lam):
    return lambda x: revgrad.reverse(x, lam)


class Positive(tape.Op):
    """A reversal with a minus too many."""

    def compute(self, x):
        return x

    def pullback(self, inputs, g):
        return [LAM * g]


class Loose(tape.Op):
    """A step, through which a gradient is passed nevertheless."""

    def compute(self, x):
        return 0 * x

    def pullback(self, inputs, g):
        return [g]


class Drawn(tape.Op):
    """Dropout: another mask at each run."""

    random = np.random.RandomState(0)

    def compute(self, x):
        return x * (self.random.uniform(size=x.shape) < 0.5)

    def pullback(self, inputs, g):
        return [g]


def half(f):
    """Return 1 in the first columns, 0 in the others."""
    return tape.constant(np.ones(f.shape) * (np.arange(f.shape[1]) < 2), f.dtype)


def softmax_over_one_column(z):
    e = tape.exp(z)
    return e / e  # the sum over one column is the column


class Step(tape.Op):
    """1 where x is above 0, else 0."""

    def compute(self, x):
        return (x > 0).astype(x.dtype)

    def pullback(self, inputs, g):
        return [0 * g]


# name: (kind, λ that is expected, loss of the features)
CASES = {
    "reversed": ("right", LAM, lambda f: loss_of(f, reversal(LAM))),
    "relu": ("right", LAM, lambda f: loss_of(f, reversal(LAM), activation=relu)),
    "λ = 0": ("right", 0, lambda f: loss_of(f, reversal(0.0))),
    "λ = 100": ("right", 100, lambda f: loss_of(f, reversal(100.0))),
    "λ = 1e-6": ("right", 1e-6, lambda f: loss_of(f, reversal(1e-6))),
    "a weighted loss": ("right", LAM, lambda f: 50 * loss_of(f, reversal(LAM)) + 7),
    "no reversal": ("unreversed", LAM, loss_of),
    "no reversal, λ = 1": ("unreversed", 1, loss_of),
    "no reversal, λ = 0": ("unreversed", 0, loss_of),
    "negated": ("sign", LAM, lambda f: loss_of(f, Positive())),
    "twice": ("twice", LAM, lambda f: loss_of(reversal(LAM)(f), reversal(LAM))),
    "another λ": ("scale", LAM, lambda f: loss_of(f, reversal(0.33))),
    "reversed at λ = 0": ("scale", 0, lambda f: loss_of(f, reversal(0.3))),
    "thrice, by other λ": ("unreversed", LAM, lambda f: loss_of(reversal(2)(f), reversal(LAM))),
    "λ is 0 in the program": ("cut", LAM, lambda f: loss_of(f, reversal(0.0))),
    "stopped": ("disconnected", LAM, lambda f: loss_of(f, tape.stop_gradient)),
    "stopped, λ = 0": ("disconnected", 0, lambda f: loss_of(f, tape.stop_gradient)),
    "one column": ("constant", LAM, lambda f: mean(softmax_over_one_column(reversed_score(f)))),
    "weights of zero": ("constant", LAM, lambda f: mean(reversed_score(f) * 0.0)),
    "steps": ("flat", LAM, lambda f: mean(Step()(reversed_score(f)))),
    "some columns": (
        "mixed",
        LAM,
        lambda f: loss_of(f * (1 - half(f)) + half(f) * revgrad.reverse(f, LAM)),
    ),
    "some columns stopped": (
        "mixed",
        LAM,
        lambda f: loss_of(reversal(LAM)(f) * half(f) + tape.stop_gradient(f) * (1 - half(f))),
    ),
    "one of two heads": ("mixed", LAM, lambda f: loss_of(f, reversal(LAM)) + mean(f**2)),
    "a gradient of nothing": ("mixed", LAM, lambda f: loss_of(f, Loose())),
    "log of 0": ("nonfinite", LAM, lambda f: mean(tape.log(revgrad.reverse(f, LAM) * 0.0))),
}


def first_column(f):
    return tape.constant(W1[:, :1], f.dtype)


def reversed_score(f):
    return head(revgrad.reverse(f, LAM), *constants(f.dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_diagnosis(name, dtype):
    kind, lam, _ = CASES[name]
    flow = flow_of(name, dtype)
    assert flow.kind == kind, flow
    assert flow.ok == bool(flow) == (kind == "right")
    assert flow.expected == -lam and str(flow).startswith(f"{kind}: ")
    assert "seen:" in flow.report and "means:" in flow.report and "do:" in flow.report
    assert max(map(len, flow.report.splitlines())) <= 88


@functools.lru_cache(maxsize=None)
def flow_of(name, dtype="float64"):
    _, lam, loss = CASES[name]
    return check_flow(loss, FEATURES.astype(dtype), lam, harness="tape")


def test_ratio():
    for name, ratio in {
        "reversed": -0.3,
        "λ = 0": 0.0,
        "λ = 100": -100.0,
        "no reversal": 1.0,
        "negated": 0.3,
        "twice": 0.09,
        "another λ": -0.33,
        "thrice, by other λ": 0.6,
        "λ is 0 in the program": 0.0,
    }.items():
        assert flow_of(name).ratio == pytest.approx(ratio, rel=1e-6)
        assert flow_of(name, "float32").ratio == pytest.approx(ratio, rel=1e-2)
    for name in ("stopped", "one column", "some columns", "log of 0"):
        assert flow_of(name).ratio is None


@pytest.mark.parametrize(
    "name, parts",
    {
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
        "log of 0": "the loss is -inf|log-softmax, softplus",
    }.items(),
)
def test_report(name, parts):
    text = " ".join(str(flow_of(name)).split())
    for each in parts.split("|"):
        assert each in text


# --- where the reversal lies ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lam", [1e-4, 1.0, 30.0])
@pytest.mark.parametrize(
    "kind, loss",
    {
        "right": lambda f, *p, lam: cross_entropy(head(revgrad.reverse(f, lam), *p)),
        "after": lambda f, *p, lam: cross_entropy(revgrad.reverse(head(f, *p), lam)),
    }.items(),
)
def test_place(kind, loss, lam, dtype):
    arrays = [each.astype(dtype) for each in (FEATURES, *HEAD)]
    flow = check_flow(
        lambda *args: loss(*args, lam=lam), arrays[0], lam, harness="tape", parameters=arrays[1:]
    )
    assert flow.kind == kind, flow
    assert flow.ratio == pytest.approx(-lam, rel=1e-2)
    factor = 1.0 if kind == "right" else -lam
    assert flow.parameter_ratios == pytest.approx([factor] * 4, rel=2e-2)
    assert "was not checked" not in flow.report


def test_inside_the_head():
    def loss(f, w1, b1, w2, b2):
        return cross_entropy(revgrad.reverse(tape.tanh(f @ w1 + b1), LAM) @ w2 + b2)

    flow = check_flow(loss, FEATURES, LAM, harness="tape", parameters=HEAD)
    assert flow.kind == "after" and flow.parameter_ratios == pytest.approx([-LAM, -LAM, 1, 1])
    assert "parameters[1]: -0.3 times the true gradient" in flow.report
    assert "head(reverse(features, lam))" in flow.report


def test_a_weight_that_does_not_learn():
    def loss(f, w1, b1, w2, b2):
        f = revgrad.reverse(f, LAM)
        return cross_entropy(head(f, tape.stop_gradient(w1), b1, w2, b2))

    flow = check_flow(loss, FEATURES, LAM, harness="tape", parameters=HEAD)
    assert flow.kind == "head" and flow.ratio == pytest.approx(-LAM)
    assert flow.parameter_ratios == (None, *[pytest.approx(1.0)] * 3)


def test_a_weight_without_a_slope_is_passed_over():
    def loss(f, w, unused):
        return mean(tape.tanh(revgrad.reverse(f, LAM) @ w) + 0 * unused)

    flow = check_flow(loss, FEATURES, LAM, harness="tape", parameters=[W1[:, :1], B2])
    assert flow.kind == "right" and flow.parameter_ratios == (pytest.approx(1.0), None)


def test_nothing_is_said_of_the_place_where_no_weight_has_a_slope():
    def loss(f, unused):
        return mean(tape.tanh(revgrad.reverse(f, LAM)) + 0 * unused)

    flow = check_flow(loss, FEATURES, LAM, harness="tape", parameters=[B2])
    assert flow.kind == "undecided" and "for the parameters" in flow.report


# --- a λ that changes -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_variable_that_is_followed(value):
    lam = revgrad.LambdaVariable(value)
    flow = check_flow(
        lambda f, *p: cross_entropy(head(revgrad.reverse(f, lam), *p)),
        FEATURES,
        lam,
        harness="tape",
        parameters=HEAD,
    )
    assert flow.kind == "right" and "follows the LambdaVariable" in flow.report
    assert flow.expected == -(value or 1.0) and flow.ratio == pytest.approx(flow.expected)
    assert ("It holds 0 now" in flow.report) == (value == 0)
    assert lam.value == value


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_variable_that_is_frozen(value):
    lam = revgrad.LambdaVariable(value)
    flow = check_flow(lambda f: loss_of(f, reversal(lam.value)), FEATURES, lam, harness="tape")
    assert flow.kind == "frozen" and lam.value == value
    assert "lam.value" in flow.report and "Pass the variable itself" in flow.report


def test_a_variable_at_zero_does_not_hide_a_cut():
    lam = revgrad.LambdaVariable(0.0)

    def loss(f):
        return loss_of(revgrad.reverse(f, lam), lambda f: revgrad.reverse(f, 0.0))

    assert check_flow(loss, FEATURES, lam, harness="tape").kind == "cut"


def test_a_variable_keeps_its_value_where_the_loss_raises():
    lam = revgrad.LambdaVariable(0.3)

    class Fails(tape.Op):
        def compute(self, x):
            raise RuntimeError("no more memory")

        def pullback(self, inputs, g):
            return [g]

    with pytest.raises(RuntimeError, match="no more memory"):
        check_flow(lambda f: loss_of(f, Fails()), FEATURES, lam, harness="tape")
    assert lam.value == 0.3


# --- where differences do not tell ----------------------------------------------------------------


def test_features_on_kinks_are_looked_at_nearby():
    for features in (np.zeros((4, 3)), np.maximum(FEATURES, 0)):

        def loss(f):
            return mean(tape.tanh(relu(revgrad.reverse(f, LAM))))

        assert check_flow(loss, features, LAM, harness="tape").ok
        assert check_flow(loss, features.astype("float32"), LAM, harness="tape").ok


@pytest.mark.parametrize("grid", [0.01, 0.5])
def test_a_loss_of_many_steps_is_undecided(grid):
    """As in training for quantised weights: the gradient passes what differences stumble over."""

    class Quantised(tape.Op):
        def compute(self, x):
            return np.round(x / grid) * grid

        def pullback(self, inputs, g):
            return [g]

    flow = check_flow(lambda f: loss_of(f, Quantised()), FEATURES, LAM, harness="tape")
    assert flow.kind == "undecided" and "unclear; it must be -0.3 times" in flow.report, flow


def test_a_loss_with_too_few_digits_is_undecided():
    def loss(f):
        return loss_of(f, reversal(LAM)) + 1e6

    flow = check_flow(loss, FEATURES.astype("float32"), LAM, harness="tape")
    assert not flow.ok and flow.kind in ("undecided", "mixed", "constant")
    assert check_flow(loss, FEATURES, LAM, harness="tape").ok


def test_dropout_is_undecided():
    flow = check_flow(lambda f: loss_of(f, Drawn()), FEATURES, LAM, harness="tape")
    assert flow.kind == "undecided" and "differs each time" in flow.report
    assert "dropout" in flow.report


# --- what is rejected -----------------------------------------------------------------------------


def right(f):
    return loss_of(f, reversal(LAM))


@pytest.mark.parametrize(
    "features, error, message",
    [
        (np.ones((2, 3), int), TypeError, "features has the dtype int.*Cast it to float64"),
        (np.ones(3, complex), TypeError, "dtype complex128"),
        ([[1.0]], revgrad.UnsupportedTypeError, "features must be a NumPy array; got"),
        (tape.constant([1.0]), TypeError, "got <tape.Tensor.*given it as a value of the framewor"),
        (np.ones((0, 4)), ValueError, r"shape \(0, 4\) must have elements"),
        (np.array([1.0, np.nan]), ValueError, "all of them finite"),
    ],
)
def test_features_are_rejected(features, error, message):
    with pytest.raises(error, match=message):
        check_flow(right, features, LAM, harness="tape")


@pytest.mark.parametrize(
    "loss, message",
    [
        (lambda f: f, "must return a scalar; it returned a value of 2 dimensions. Return the mean"),
        (lambda f: None, "must return a value of the framework; it returned None"),
        (lambda f: 0.5, r"it returned 0.5 \(float\)"),
        (lambda f: (tape.sum_to(f), f), "it returned .*tuple"),
        (
            lambda f: tape.cast(tape.sum_to(f), "int64"),
            "one of int64. A count of correct predictions",
        ),
        (lambda f, w: f, "with the features and 0 parameters, .* signature is .f, w."),
    ],
)
def test_losses_are_rejected(loss, message):
    with pytest.raises(ValueError, match=message):
        check_flow(loss, FEATURES, LAM, harness="tape")


def test_parameters_are_rejected():
    with pytest.raises(ValueError, match=r"must be a tuple or list.*is parameters=\[w\]"):
        check_flow(right, FEATURES, LAM, harness="tape", parameters=W1)
    with pytest.raises(TypeError, match=r"parameters\[1\] has the dtype int"):
        check_flow(right, FEATURES, LAM, harness="tape", parameters=[W1, np.arange(3)])
    with pytest.raises(ValueError, match=r"1 parameters.*domain_loss\(features, \*parameters\)"):
        check_flow(right, FEATURES, LAM, harness="tape", parameters=[W1])


def test_a_harness_without_constants_takes_no_parameters():
    class Small(tape.TapeHarness):
        constant = revgrad.testing.Harness.constant

    assert check_flow(right, FEATURES, LAM, harness=Small()).ok
    with pytest.raises(NotImplementedError, match=r"Small has no constant\(array\)"):
        check_flow(lambda f, w: right(f), FEATURES, LAM, harness=Small(), parameters=[W1])


def test_harness_and_lam_are_validated():
    with pytest.raises(TypeError, match="got .*TapeHarness.* Pass an instance"):
        check_flow(right, FEATURES, LAM, harness=tape.TapeHarness)
    with pytest.raises(revgrad.BackendUnavailableError):
        check_flow(right, FEATURES, LAM, harness="no such backend")
    for lam in (-0.3, "0.3", np.ones(3)):
        with pytest.raises(revgrad.InvalidLambdaError):
            check_flow(right, FEATURES, lam, harness="tape")


# --- what frameworks do differently ---------------------------------------------------------------


class EagerHarness(tape.TapeHarness):
    """Calls the function at each run, and takes no cotangent of another dtype than the loss."""

    def program(self, fn, shape, dtype):
        def run(x, g):
            source = tape.source(x.shape, x.dtype)
            y = fn(source)
            if g.dtype != y.dtype:
                raise TypeError(f"{g.dtype} and {y.dtype}")
            return self._pulled_back(source, y)(x, g)

        return run


def test_an_eager_framework_and_a_loss_of_another_dtype():
    def loss(f):
        return tape.cast(loss_of(f, reversal(LAM)), "float64")

    for harness in (tape.TapeHarness(), EagerHarness()):
        assert check_flow(loss, FEATURES.astype("float32"), LAM, harness=harness).ok


def test_an_eager_framework_reads_the_value_at_each_run():
    lam = revgrad.LambdaVariable(0.0)
    loss = lambda f: loss_of(f, reversal(lam.value))  # noqa: E731
    assert check_flow(loss, FEATURES, lam, harness=EagerHarness()).ok


@pytest.mark.parametrize("shape", [(), (1,), (7,), (2, 3, 2, 2)])
def test_shapes(shape):
    features = np.asarray(np.random.RandomState(1).normal(size=shape))
    flow = check_flow(
        lambda f: mean(tape.tanh(revgrad.reverse(f, LAM))), features, LAM, harness="tape"
    )
    assert flow.kind == "right"


def test_a_flow_is_a_record():
    flow = flow_of("reversed")
    assert flow == flow_of("reversed") and isinstance(flow, Flow)
    with pytest.raises(AttributeError):
        flow.ok = False
