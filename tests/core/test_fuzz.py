"""Some examples of each target of benchmarks/fuzz.py, which runs for longer."""

import sys

import pytest
from support.pages import ROOT

sys.path.append(str(ROOT / "benchmarks"))
import fuzz  # noqa: E402


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_it_works_or_ends_in_a_documented_error(target):
    fuzz.examples(fuzz.TARGETS[target], 25)


def test_the_audit_hook_sees_code_that_is_executed():
    with pytest.raises(AssertionError, match="exec"), fuzz.no_code():
        exec("3")
