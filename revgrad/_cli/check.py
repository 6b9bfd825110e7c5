"""``revgrad check``: run the checks of the contract without pytest."""

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import Dict, List, Optional, Sequence, Tuple

from revgrad._cli import console, isolation
from revgrad._cli.worker import Outcome, progress
from revgrad.backend import CONTRACT
from revgrad.testing import CHECKS
from revgrad.testing._property import drawn_ones

OUTCOMES = ("passed", "failed", "skipped", "expected")
DOCTOR = "The doctor says more: revgrad, without a command."
EPILOG = f"""\
A check is passed, failed, skipped (the backend does not declare what it needs) or expected (it
fails, and the harness says so and why). Each backend is checked in a process of its own.

{console.EXIT_CODES}"""


@dataclass(frozen=True)
class Entry:
    """What became of a backend, or of a plugin that was left out."""

    backend: Optional[str]
    plugin: Optional[str] = None
    state: str = "checked"
    hypothesis: Optional[bool] = None
    checks: Sequence[Outcome] = ()
    error: Optional[str] = None
    traceback: Optional[str] = None

    @property
    def failures(self) -> List[Outcome]:
        """The checks that failed, and why the backend is not available."""
        failed = [each for each in self.checks if each.outcome == "failed"]
        if self.state == "unavailable":
            failed.append(Outcome("", "", "failed", str(self.error), self.traceback))
        return failed

    def summary(self) -> str:
        """Return one line.

        Examples
        --------
        >>> Entry("mylib", state="no harness").summary()
        'mylib: no harness'
        """
        if self.state != "checked":
            reason = f": {self.error}" if self.error and not self.failures else ""
            return f"{self.backend or f'plugin {self.plugin}'}: {self.state}{reason}"
        counts = Counter(each.outcome for each in self.checks)
        text = ", ".join(f"{counts[each]} {each}" for each in OUTCOMES if counts[each])
        return f"{self.backend}: {text}"


def main(arguments: Sequence[str]) -> int:
    """Run ``revgrad check`` and return the exit code."""
    words = "Run the checks of the contract on backends."
    parser = console.parser("revgrad check", None, words, EPILOG)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a backend, as revgrad lists it")
    parser.add_argument("--all", action="store_true", help="all that are installed")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.add_argument("--traceback", action="store_true", help="print whole tracebacks")
    args = parser.parse_args(arguments)
    if bool(args.names) == args.all:
        parser.error("name backends, or give --all" + (", not both" if args.all else ""))
    entries = check_all() if args.all else [check(name) for name in dict.fromkeys(args.names)]
    ok = not any(entry.failures for entry in entries)
    if args.json:
        console.as_json(contract=CONTRACT, ok=ok, backends=entries)
    else:
        show(entries, args.traceback)
    return 0 if ok else 1


def check_all() -> List[Entry]:
    """Check every backend that is installed and has a harness."""
    found, fatal = isolation.discover()
    entries = []
    for each in found:
        if each.state == "broken":
            where = f"the plugin of {each.distribution} {each.version} was left out at stage"
            error = f"{where} {each.stage!r}: {each.error}. {DOCTOR}"
            trace = each.traceback
            entries.append(Entry(None, each.plugin, "unavailable", None, (), error, trace))
        elif each.state == "installed" and each.harness:
            entries.append(check(str(each.backend), fatal))
        else:
            state = "no harness" if each.state == "installed" else each.state
            entries.append(Entry(each.backend, state=state))
    return entries


def check(name: str, disable: Sequence[str] = ()) -> Entry:
    """Run every check on one backend, and print how it went to the standard error."""
    entry = _checked(name, disable)
    progress(entry.summary(), last=True)
    return entry


def _checked(name: str, disable: Sequence[str]) -> Entry:
    """Run the checks in a subprocess; one that ends it has failed, and the rest get another."""
    outcomes: List[Outcome] = []
    while len(outcomes) < len(CHECKS):
        done = isolation.run("check", 0, disable, name=name, skip=len(outcomes))
        outcomes += [each for each in done.reports if each.outcome in OUTCOMES]
        error = f"{done.how} while the backend was loaded. {DOCTOR}"
        last = [Outcome("", "", "unavailable", error), *done.reports][-1]
        if not last.check:
            return Entry(name, None, last.outcome, None, outcomes, last.reason, last.traceback)
        if last.outcome == "running":
            reason = f"{last.clause} {last.check}: {done.how} while the check was run"
            outcomes.append(replace(last, outcome="failed", reason=reason))
    return Entry(name, None, "checked", drawn_ones() is not None, outcomes)


def show(entries: Sequence[Entry], tracebacks: bool = False) -> None:
    """Print the table clause by backend, every failure, and the reasons of the rest."""
    checked = [entry for entry in entries if entry.checks]
    if checked:
        # An entry that is unavailable may have only the first ones.
        found = [{each.check: each.outcome for each in entry.checks} for entry in checked]
        rows = [
            [function.clause, name, *(each.get(name, "-") for each in found)]
            for name, function in CHECKS.items()
        ]
        console.table(["clause", "check", *(str(entry.backend) for entry in checked)], rows)
        console.line()
    for entry in entries:
        console.line(entry.summary(), "failed" if entry.failures else "")
    if any(entry.hypothesis is False for entry in checked):
        hint = "hypothesis is not installed: pip install 'revgrad[testing]'"
        console.line(f"\nOnly fixed examples were tried, {hint}.")
    for outcome in ("skipped", "expected"):
        reasons = _reasons(checked, outcome)
        if reasons:
            console.line(f"\n{outcome}:", outcome)
            console.line("\n".join(reasons), indent=2)
    for entry in entries:
        if entry.failures:
            console.line(f"\n{entry.summary()}:", "failed")
        for i, each in enumerate(entry.failures):
            console.line(f"\n{each.reason}" if i else each.reason, indent=2)
            if tracebacks and each.traceback:
                console.line(f"\n{each.traceback.rstrip()}", "dim", indent=4)


def _reasons(entries: Sequence[Entry], outcome: str) -> List[str]:
    """Return each reason with the checks and the backends that it is the reason for."""
    backends: Dict[Tuple[str, str], List[str]] = defaultdict(list)
    for entry in entries:
        for each in entry.checks:
            if each.outcome == outcome:
                backends[each.reason, f"{each.clause} {each.check}"].append(str(entry.backend))
    checks: Dict[Tuple[str, str], List[str]] = defaultdict(list)
    for (reason, check), names in backends.items():
        checks[reason, ", ".join(names)].append(check)
    return [f"{', '.join(each)} ({names}): {reason}" for (reason, names), each in checks.items()]
