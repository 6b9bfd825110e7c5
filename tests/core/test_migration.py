"""Every row of the page on migrating λ schedules: the other formula and ours agree."""

import math
import pathlib
import re

import pytest

from revgrad import LambdaScheduler, schedules

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "how-to" / "coming-from-elsewhere.md"
ROWS = [
    [cell.strip(" `") for cell in line.strip("|").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| from")
]
NAMES = {**vars(schedules), "exp": math.exp, "tanh": math.tanh, "min": min}
# Arguments that are not the defaults, so that a swapped pair is seen; T is 100, and N divides it
# or does not.
VALUES = [
    dict(alpha=10.0, gamma=10.0, N=100, K=20, E=200, w=0.25, r=0.95, low=0.0, high=1.0, l=1.0),
    dict(alpha=1.0, gamma=1.0, N=37, K=3, E=10, w=0.4, r=1.02, low=0.2, high=0.7, l=1e-4),
]


def names(low, high, **others):
    bounds = dict(T=100, lo=low, hi=high, lower=low, upper=high, A=low, B=high, high_value=high)
    starts = dict(lambda_init=low, lambda_max=high, initial_lr=0.01 + low, power=0.75 + low)
    return {**NAMES, "low": low, "high": high, **others, **bounds, **starts}


@pytest.mark.parametrize("values", VALUES, ids=["as in the papers", "others"])
@pytest.mark.parametrize("row", ROWS, ids=[row[0].replace("`", "")[:40] for row in ROWS])
def test_a_row(row, values):
    known = names(**values)
    _, theirs, ours, total, _ = row
    driver = LambdaScheduler(None, eval(ours, known), total_steps=known[total])
    for i in range(101):
        assert driver.value == pytest.approx(eval(theirs, known, {"i": i}), 1e-12, 1e-12), i
        driver.step()


def test_what_the_rows_say_of_differences():
    assert round(schedules.Dann(gamma=1)(1), 2) == 0.46
    assert 0 < 1 - schedules.Dann()(1) < 1e-4
    # Caffe's default horizon is one step.
    assert list(LambdaScheduler(None, schedules.Dann(), 1)) == [0.0]


def test_all_ramps_are_there():
    table = " ".join(row[0] for row in ROWS)
    for name in ("tllib", "CDAN", "PADA", "Caffe", "aToB", "inverseDecay", "adapt", "openset-DA"):
        assert name in table
    assert len(ROWS) == 14


def test_every_source_is_cited_and_every_citation_has_its_source():
    text = PAGE.read_text(encoding="utf-8")
    cited = {int(number) for number in re.findall(r"\[(\d+)\]", text)}
    sources = {int(number) for number in re.findall(r"^(\d+)\. ", text, re.MULTILINE)}
    assert cited == sources == set(range(1, 13))
