"""What benchmarks/theano_own_tests.py concludes from the outcomes of Theano's own tests."""

import importlib.util
import pathlib

import pytest

PATH = pathlib.Path(__file__).parents[2] / "benchmarks" / "theano_own_tests.py"
spec = importlib.util.spec_from_file_location(PATH.stem, PATH)
own_tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(own_tests)

TEXT = """\
# The first reason,
# on two lines.
one:Test.test_a
one:Test.test_b

# Another.
two:test_c
"""
FIRST = "The first reason, on two lines."
KNOWN = {"one:Test.test_a": FIRST, "one:Test.test_b": FIRST, "two:test_c": "Another."}


def test_every_known_failure_has_its_reason():
    assert own_tests.read_known(TEXT) == KNOWN
    with pytest.raises(ValueError, match="'one:test_a' has no reason"):
        own_tests.read_known("one:test_a\n")
    known = own_tests.read_known(own_tests.KNOWN.read_text(encoding="utf-8"))
    assert all(test.startswith("theano.") for test in known)


def test_a_new_failure_and_a_known_one_that_passes_or_is_gone_are_differences():
    failed, passed = "failed: ValueError: 1", "passed"
    assert own_tests.compare({"two:test_c": failed, "two:test_d": passed}, KNOWN) == []
    assert own_tests.compare({"three:test_e": failed}, KNOWN) == [f"three:test_e {failed}"]
    assert own_tests.compare({"one:Test.test_a": passed}, KNOWN) == [
        f"one:Test.test_a passed, but is listed: {FIRST}",
        f"one:Test.test_b did not run, but is listed: {FIRST}",
    ]


def test_nose_runs_what_theano_ships():
    pytest.importorskip("nose")
    pytest.importorskip("parameterized")
    outcomes = own_tests.run("gof/tests/test_sched.py")
    assert outcomes and set(outcomes.values()) == {"passed"}
