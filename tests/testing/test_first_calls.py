"""64 threads make the first call at the same moment; benchmarks/first_calls.py repeats it often."""

import pathlib
import sys

BENCHMARKS = pathlib.Path(__file__).parents[2] / "benchmarks"


def test_64_threads_that_make_the_first_call(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    import first_calls

    first_calls.install(tmp_path)
    assert {first_calls.run("tape", tmp_path) for _ in range(5)} == {"right"}
