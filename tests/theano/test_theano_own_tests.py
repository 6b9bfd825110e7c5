"""What benchmarks/theano_own_tests.py concludes from the outcomes of Theano's own tests."""

import importlib.util
import pathlib

import pytest

PATH = pathlib.Path(__file__).parents[2] / "benchmarks" / "theano_own_tests.py"
spec = importlib.util.spec_from_file_location(PATH.stem, PATH)
own_tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(own_tests)

KNOWN = """\
# The first reason,
# on two lines.
one:Test.test_a
one:Test.test_b

# Another.
two:test_c
"""


def test_every_known_failure_has_its_reason():
    first = "The first reason, on two lines."
    assert own_tests.read_known(KNOWN) == {
        "one:Test.test_a": first,
        "one:Test.test_b": first,
        "two:test_c": "Another.",
    }
    with pytest.raises(ValueError, match="'one:test_a' has no reason"):
        own_tests.read_known("one:test_a\n")


def test_the_list_itself_can_be_read():
    known = own_tests.read_known(own_tests.KNOWN.read_text(encoding="utf-8"))
    assert all(test.startswith("theano.") for test in known)


def test_known_failures_and_tests_that_pass_are_no_difference():
    outcomes = {"two:test_c": "failed: ValueError: 1", "two:test_d": "passed"}
    assert own_tests.compare(outcomes, own_tests.read_known(KNOWN)) == []


def test_a_new_failure_is_a_difference():
    outcomes = {"three:test_e": "failed: ValueError: 1"}
    expected = ["three:test_e failed: ValueError: 1"]
    assert own_tests.compare(outcomes, own_tests.read_known(KNOWN)) == expected


def test_a_known_failure_that_passes_or_is_gone_is_a_difference():
    outcomes = {"one:Test.test_a": "passed"}
    assert own_tests.compare(outcomes, own_tests.read_known(KNOWN)) == [
        "one:Test.test_a passed, but is listed: The first reason, on two lines.",
        "one:Test.test_b did not run, but is listed: The first reason, on two lines.",
    ]


def test_nose_runs_what_theano_ships():
    pytest.importorskip("nose")
    pytest.importorskip("parameterized")
    outcomes = own_tests.run("gof/tests/test_sched.py")
    assert outcomes and set(outcomes.values()) == {"passed"}
