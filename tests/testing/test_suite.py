"""The suite as an author meets it: outcomes, messages, pytest, and runs without hypothesis."""

import os
import re

import numpy as np
import pytest
import tape
from support.checks import assert_caught
from support.processes import python
from test_bites import registered, wrong_one

import revgrad
from revgrad import testing
from revgrad.testing import CAPABILITIES, CHECKS, Harness, load_harness, run_check, run_checks

pytest_plugins = "pytester"


@pytest.fixture
def harness():
    with registered(tape.SPEC):
        yield load_harness("tape")


def test_a_check_is_a_plain_function_of_a_module():
    modules = [getattr(testing.checks, each) for each in testing.checks.__all__]
    found = {name: vars(module)[name] for module in modules for name in module.__all__}
    assert found == CHECKS
    assert {check.needs for check in CHECKS.values()} - {""} == set(CAPABILITIES)


def test_a_failure_says_the_clause_the_smallest_input_what_was_expected_and_what_came():
    with wrong_one("wrong_for_non_finite") as harness:
        result = run_check("any_cotangent", harness)
    assert (result.outcome, result.clause, result.reason) == ("failed", "C2", str(result.error))
    assert result.reason == (
        "C2 any_cotangent: Backward: any cotangent g comes back as -λ·g, non-finite values "
        "included.\n"
        "  input:    x = 1., g = inf, λ = 1.0 (float32, shape ())\n"
        "  expected: -inf\n"
        "  came:     0."
    )


@pytest.mark.parametrize(
    "wrong, check, words",
    [
        ("OnlyFirstOrder", "second_order", "λ = 1.0\n"),
        ("training_only", "mode_independent", "g = [2. 4. 6.], times -0.3\n"),
        ("CompilesAgain", "compiled_once", "came:     21"),
    ],
)
def test_the_words_of_a_failure(wrong, check, words):
    with wrong_one(wrong) as harness:
        assert words in run_check(check, harness).reason


def test_the_same_failure_in_every_run():
    with wrong_one("RoundsFloat64") as harness:
        (reason,) = {run_check("identity", harness).reason for _ in range(3)}
    # A number without a counterpart in float32, which hypothesis has shrunk to: 2**24 + 1, say.
    assert re.search(r"x = \S+, g = 1., λ = 1.0 \(float64, shape \(\)\)", reason)


def test_an_error_of_the_backend_is_a_failure_that_names_the_clause(harness, monkeypatch):
    monkeypatch.setattr(tape.TapeBackend, "reverse", lambda self, x, lam: {}["device"])
    result = run_check("double_reversal", harness)
    assert result.outcome == "failed" and isinstance(result.error.__cause__, KeyError)
    assert re.match(r"C6 double_reversal: .*\n  it raised KeyError: 'device'$", result.reason)


def test_the_values_of_a_harness_are_reversed_and_each_thread_must_succeed(harness, monkeypatch):
    monkeypatch.setattr(tape.TapeHarness, "values", lambda self: [tape.constant(1.0)])
    names = ["claims_resolve", "thread_safe"]
    assert {run_check(name, harness).outcome for name in names} == {"passed"}
    monkeypatch.setattr(tape.TapeBackend, "reverse", lambda self, x, lam: {}["device"])
    reasons = [run_check(name, harness).reason for name in names]
    assert all("it raised KeyError: 'device'" in reason for reason in reasons)


def test_what_is_not_declared_is_skipped_with_the_reason_of_the_author(harness, monkeypatch):
    monkeypatch.setattr(tape.TapeBackend, "capabilities", frozenset({"views", "threads"}))
    harness.unsupported = {"forward_mode": "there is none", "*": "it is small"}
    for result in run_checks(harness):
        needs = CHECKS[result.check].needs
        why = harness.unsupported.get(needs, "it is small")
        reason = f"the backend does not declare the capability {needs!r}: {why}"
        assert result.reason == ("" if needs in ("", "views", "threads") else reason)
        assert result.outcome == ("skipped" if result.reason else "passed")


def test_what_is_neither_declared_nor_explained_or_not_driven_is_a_failure(harness, monkeypatch):
    monkeypatch.delattr(tape.TapeHarness, "lambda_gradient")
    assert run_check("no_gradient_for_lambda", harness).reason == (
        "C5 no_gradient_for_lambda: the backend declares the capability 'graph_lambda', and "
        "TapeHarness has no lambda_gradient. Write it, or do not declare the capability."
    )
    monkeypatch.setattr(tape.TapeBackend, "capabilities", frozenset({"views"}))
    result = run_check("forward_mode", harness)
    assert result.outcome == "failed" and result.reason == (
        "C11 forward_mode: the backend does not declare the capability 'forward_mode'. Declare it "
        "in Backend.capabilities, or say why not in TapeHarness.unsupported['forward_mode']."
    )


@pytest.mark.parametrize(
    "program, words",
    [
        (Harness.program, "NotImplementedError: TapeHarness has neither program() nor evaluate()"),
        (lambda *_: None, "functions of two arrays; this one returned None (NoneType)"),
        (lambda *_: lambda x, g: None, "must return two arrays, for instance the value and the"),
        (lambda *_: lambda x, g: (x, g, g), "must return two arrays, for instance the value and"),
    ],
)
def test_a_program_that_is_none_says_so(harness, monkeypatch, program, words):
    monkeypatch.setattr(tape.TapeHarness, "program", program)
    assert words in run_check("double_reversal", harness).reason


def test_an_expected_failure_is_strict():
    with wrong_one("sign_lost") as harness:
        names = ["any_cotangent", "double_reversal"]
        harness.expected_failures = dict.fromkeys(names, "issue 7 of the framework")
        expected, passes = (run_check(name, harness) for name in names)
    assert (expected.outcome, expected.reason) == ("expected", "issue 7 of the framework")
    assert passes.outcome == "failed" and passes.reason == (
        "C6 double_reversal: it was expected to fail (issue 7 of the framework), and passes. "
        "Take it out of TapeHarness.expected_failures."
    )


NO_CHECK = "There is no check 'sign'. Known: identity, no_copy,"
NO_CAPABILITY = "There is no capability 'vmap'. Known: compilations,"
NO_REASON = r"expected_failures\['identity'\] must say why; got"


@pytest.mark.parametrize(
    "attributes, error, words",
    [
        ({"expected_failures": {"sign": "why not"}}, ValueError, NO_CHECK),
        ({"expected_failures": {"identity": "  "}}, ValueError, NO_REASON),
        ({"expected_failures": {"identity": None}}, ValueError, NO_REASON),
        ({"unsupported": {"vmap": "there is none"}}, ValueError, NO_CAPABILITY),
        ({"backend": None}, ValueError, "TapeHarness.backend must be the name of the backend"),
        ({"backend": "unheard-of"}, revgrad.BackendUnavailableError, "There is no backend named"),
    ],
)
def test_a_harness_that_is_invalid(harness, attributes, error, words):
    vars(harness).update(attributes)
    with pytest.raises(error, match=words):
        run_check("double_reversal", harness)


def test_a_capability_that_does_not_exist(harness, monkeypatch):
    monkeypatch.setattr(tape.TapeBackend, "capabilities", frozenset({"vmap"}))
    with pytest.raises(ValueError, match=NO_CAPABILITY):
        run_check("double_reversal", harness)


def test_run_checks_rejects_what_it_does_not_know(harness):
    with pytest.raises(ValueError, match=NO_CHECK):
        run_checks(harness, only=["double_reversal", "sign"])
    with pytest.raises(TypeError, match="TapeHarness'>. Pass an instance of it."):
        run_checks(tape.TapeHarness)
    with pytest.raises(TypeError, match="or the name of a backend; got None."):
        run_checks(None)


def test_run_checks_returns_the_results(harness):
    passed = [(name, "passed") for name in CHECKS]
    assert [(each.check, each.outcome) for each in run_checks(harness)] == passed
    names = ["double_reversal", "any_shape"]
    assert [each.check for each in run_checks("tape", only=names)] == names


def test_run_checks_raises_with_every_failure():
    words = f"^tape: 1 of {len(CHECKS)} checks failed.\n\nC6 double_reversal: "
    with wrong_one("twice_is_positive") as harness:
        with pytest.raises(revgrad.ConformanceError, match=words):
            run_checks(harness)
    words = r"^tape: 2 of 3 checks failed.\n\nC2 any_cotangent: [\s\S]*\n\nC9 variable_shows: "
    with wrong_one("sign_lost") as harness:
        with pytest.raises(revgrad.ConformanceError, match=words) as caught:
            run_checks(harness, ["any_cotangent", "identity", "variable_shows"])
    assert str(caught.value.__cause__).startswith("C2 any_cotangent: ")


@pytest.mark.parametrize(
    "harness, words",
    [
        ("", "The backend 'tape' offers no harness, so nothing checks it: name its class in"),
        ("tape:Missing", "tape:Missing failed with AttributeError"),
        ("tape:Tensor", r"tape:Tensor failed with TypeError: .*__init__"),
        ("builtins:dict", "it is a dict, not a revgrad.testing.Harness. It requires numpy"),
        ("no_such_module:A", "failed with ModuleNotFoundError: No module named 'no_such_module'"),
        ("tape:TapeHarness", "tape:Gone failed"),
    ],
)
def test_a_harness_or_backend_that_does_not_load_says_why(harness, words):
    spec = revgrad.BackendSpec("tape", ("tape:Tensor",), "tape:Gone", "numpy", harness)
    with registered(spec), pytest.raises(revgrad.BackendUnavailableError, match=words):
        load_harness("tape")


def test_a_framework_without_subnormals(harness, monkeypatch):
    flushed = lambda c: tape.where(tape.maximum(c, -c) < np.finfo(c.dtype).tiny, 0.0 * c, c)
    pullback = lambda self, inputs, g: [flushed(inputs[1] * g), None]
    monkeypatch.setattr(tape.Scale, "pullback", pullback)
    assert_caught("any_cotangent", harness)
    harness.subnormals = False
    run_checks(harness, only=["identity", "any_cotangent"])


CONFORMANCE = """
import revgrad.testing
import wrong

driver = wrong.WRONG["OnlyFirstOrder"][1]()
driver.expected_failures = {"invalid_lambda_rejected": "not yet"}

@revgrad.testing.conformance(driver)
def test_tape(check):
    check()

@revgrad.testing.conformance("unheard-of")
def test_by_name(check):
    check()
"""


def test_under_pytest(pytester):
    pytester.makepyfile(CONFORMANCE)
    with wrong_one("OnlyFirstOrder"):
        shown = str(pytester.runpytest_inprocess("-q", "-rf").stdout)
    # Nothing is loaded before a test runs, and each test says what is missing.
    assert re.findall(r"^FAILED .*::(\S+)", shown, re.MULTILINE) == [
        "test_tape[C8-invalid_lambda_rejected]",
        "test_tape[C12-second_order]",
        *(f"test_by_name[{check.clause}-{name}]" for name, check in CHECKS.items()),
    ]
    assert "There is no backend named 'unheard-of'" in shown
    assert "E             expected: [ 1.125 9. 72. ]\n" in shown
    # The frames of the suite are hidden.
    assert "programs.py" not in shown and "expect(" not in shown


def test_without_hypothesis_and_without_pytest():
    code = """
    import sys
    sys.modules["hypothesis"] = sys.modules["pytest"] = None
    import revgrad, tape
    revgrad.register(tape.SPEC)
    assert {each.outcome for each in revgrad.testing.run_checks("tape")} == {"passed"}
    """
    python(code=code, cwd=os.path.dirname(__file__))


def test_the_suite_is_loaded_when_it_is_asked_for():
    code = "import sys, revgrad; print('revgrad.testing' in sys.modules, revgrad.testing.Harness)"
    assert python(code=code).stdout.strip() == "False <class 'revgrad.testing.harness.Harness'>"
