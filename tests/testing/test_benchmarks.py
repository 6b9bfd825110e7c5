"""The scripts behind docs/explanation/evidence.md, on a small scale."""

import sys

from support.pages import ROOT
from support.processes import python

BENCHMARKS = ROOT / "benchmarks"
sys.path.append(str(BENCHMARKS))
import evidence
import first_calls


def test_soak_prints_a_row():
    done = python(BENCHMARKS / "soak.py", "numpy", "--reversals", "2000")
    _, row = done.stdout.splitlines()
    name, count, _, _, modules, *_, wrong = row.split()
    assert (name, count, modules, wrong) == ("numpy", "2000", "200", "0")


def test_64_threads_that_make_the_first_call_at_the_same_moment(tmp_path):
    first_calls.install(tmp_path)
    assert {first_calls.run("tape", tmp_path) for _ in range(5)} == {"right"}


def test_the_clauses_by_backend_are_those_of_the_pages():
    done = python(BENCHMARKS / "clauses.py", "--pages")
    heading, *rows = done.stdout.splitlines()
    assert heading.split()[:2] == ["clause", "torch"] and len(heading.split()) == 11
    assert [row.split()[0] for row in rows] == [f"C{number}" for number in range(1, 24)]


def test_a_section_writes_its_command_its_date_and_what_it_printed(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "FOLDER", tmp_path)
    good = evidence.Section("clauses.py --help", "", 1)
    bad = evidence.Section("clauses.py --nonsense", "", 1)
    elsewhere = evidence.Section("clauses.py", "no_such_module results/no-such-folder", 1)
    monkeypatch.setattr(evidence, "SECTIONS", {"good": good, "bad": bad, "elsewhere": elsewhere})
    assert [evidence.written(name, False) for name in evidence.SECTIONS] == [True, False, True]
    command, date, empty, *_ = (tmp_path / "good.txt").read_text().splitlines()
    assert command == "$ python benchmarks/clauses.py --help" and not empty
    assert date[:2] == "20" and "; Python 3." in date
    assert (tmp_path / "bad.txt").read_text().splitlines()[1] == "exit code 2"
    assert not (tmp_path / "elsewhere.txt").exists()


def test_the_page_shows_every_section_and_the_hour_is_kept():
    page = (evidence.FOLDER.parent / "evidence.md").read_text(encoding="utf-8")
    assert all(f"evidence/{name}.txt\n" in page for name in evidence.SECTIONS)
    hourly = evidence.SECTIONS.keys() - evidence.LONG
    assert sum(evidence.SECTIONS[name].minutes for name in hourly) <= 60
