"""``revgrad check``: the checks of the contract, without pytest."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections import Counter
from typing import Any, Dict, List, Optional, Sequence

from revgrad._cli import isolation
from revgrad._cli.console import Progress, Screen
from revgrad._version import __version__
from revgrad.backend import CONTRACT

OUTCOMES = ("passed", "failed", "skipped", "expected")
DOCTOR = "The doctor says more: revgrad, without a command."
EPILOG = """\
A check is passed, failed, skipped (the backend does not declare what it needs) or expected (it
fails, and the harness says so and why). Each backend is checked in a process of its own.

exit codes:
  0  every check that was run passed, or failed as expected
  1  a check failed, or a backend that was named does not load or offers no harness;
     with --all, also: a plugin is broken
  2  the arguments make no sense
"""

Entry = Dict[str, Any]


def main(arguments: Sequence[str]) -> None:
    """Run ``revgrad check``.

    Parameters
    ----------
    arguments : sequence of str
        What stands behind ``check``.

    Raises
    ------
    SystemExit
        With the exit code.
    """
    parser = argparse.ArgumentParser(
        prog="revgrad check",
        description="Put backends to the checks of the contract.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a backend, as revgrad lists it")
    parser.add_argument("--all", action="store_true", help="all that are installed")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.add_argument("--traceback", action="store_true", help="print whole tracebacks")
    args = parser.parse_args(arguments)
    if bool(args.names) == args.all:
        parser.error("name backends, or give --all" + (", not both" if args.all else ""))
    entries = check_all() if args.all else [check(name) for name in dict.fromkeys(args.names)]
    ok = all(_is_ok(entry) for entry in entries)
    if args.json:
        found = {
            "revgrad": __version__,
            "python": platform.python_version(),
            "platform": f"{platform.system()} {platform.machine()}",
            "contract": CONTRACT,
            "ok": ok,
            "backends": entries,
        }
        print(json.dumps(found, indent=2))
    else:
        show(entries, args.traceback)
    sys.exit(0 if ok else 1)


def _is_ok(entry: Entry) -> bool:
    if entry["state"] == "checked":
        return all(each["outcome"] != "failed" for each in entry["checks"])
    return entry["state"] in ("not installed", "no harness")


def check_all() -> List[Entry]:
    """Check every backend that is installed and offers a harness.

    Returns
    -------
    list of dict
        One for each backend, and one for each plugin that was left out.
    """
    seen = isolation.discover()
    entries = []
    for offer in seen["backends"]:
        if not isolation.is_installed(offer["claims"]):
            entries.append(_entry(offer["name"], "not installed"))
        elif not offer["harness"]:
            entries.append(_entry(offer["name"], "no harness"))
        else:
            entries.append(check(offer["name"], seen["fatal"]))
    for failure in seen["failures"]:
        words = f"the plugin of {failure['distribution']} was left out at stage"
        error = f"{words} {failure['stage']!r}: {failure['error']}. {DOCTOR}"
        found = {"plugin": failure["plugin"], "error": error, "traceback": failure["traceback"]}
        entries.append(_entry(None, "unavailable", **found))
    return entries


def _entry(name: Optional[str], state: str, **found: Any) -> Entry:
    return {
        "backend": name,
        "plugin": None,
        "state": state,
        "hypothesis": None,
        "checks": [],
        "error": None,
        "traceback": None,
        **found,
    }


def check(name: str, disable: Sequence[str] = ()) -> Entry:
    """Put one backend to every check, in a process of its own.

    A check that takes the process along has failed; the others are run in a new one.

    Parameters
    ----------
    name : str
        The name of the backend.
    disable : sequence of str, optional
        Plugins to leave out.

    Returns
    -------
    dict
        One of ``"backends"`` of what ``revgrad check --json`` prints.
    """
    progress = Progress()
    progress.show(f"{name}: loading")
    found = _entry(name, "checked")
    names: List[List[str]] = []
    results: List[Entry] = found["checks"]
    while not names or len(results) < len(names):
        running = None
        for report in isolation.stream("check", disable, name=name, skip=len(results)):
            if "checks" in report:
                names, found["hypothesis"] = report["checks"], report["hypothesis"]
            elif "running" in report:
                running = report["running"]
                progress.show(f"{name}: {len(results) + 1}/{len(names)} {running}")
            elif "outcome" in report:
                results.append(_result(names[len(results)], **report))
                running = None
            elif "error" in report:
                running, found["state"] = None, "unavailable"
                found["error"] = report["message"] or report["error"]
                found["traceback"] = report["traceback"]
            elif running is not None:
                check, clause = names[len(results)]
                reason = f"{clause} {check}: {report['ending']} while the check was run"
                results.append(_result(names[len(results)], "failed", reason))
            elif found["state"] == "checked" and not (names and len(results) == len(names)):
                found["state"] = "unavailable"
                found["error"] = f"{report['ending']} while the backend was loaded. {DOCTOR}"
        if found["state"] != "checked":
            break
    progress.done(summary(found))
    return found


def _result(name: Sequence[str], outcome: str, reason: str, traceback: Any = None) -> Entry:
    check, clause = name
    return {
        "check": check,
        "clause": clause,
        "outcome": outcome,
        "reason": reason,
        "traceback": traceback,
    }


def summary(entry: Entry) -> str:
    """Say in one line what became of a backend.

    Examples
    --------
    >>> summary({"backend": "numpy", "plugin": None, "state": "no harness"})
    'numpy: no harness'
    """
    if entry["state"] != "checked":
        name = f"plugin {entry['plugin']}" if entry["plugin"] else entry["backend"]
        return f"{name}: {entry['state']}"
    counts = Counter(each["outcome"] for each in entry["checks"])
    words = ", ".join(f"{counts[each]} {each}" for each in OUTCOMES if counts[each])
    return f"{entry['backend']}: {words}"


def show(entries: Sequence[Entry], tracebacks: bool = False) -> None:
    """Print the table clause by backend, every failure, and the reasons of the rest.

    Parameters
    ----------
    entries : sequence of dict
        What `check` returned.
    tracebacks : bool, optional
        Whether tracebacks are printed.
    """
    screen = Screen()
    checked = [entry for entry in entries if entry["checks"]]
    if checked:
        # All of one list, and a backend that was given up has its beginning.
        longest = max((entry["checks"] for entry in checked), key=len)
        rows = [[each["clause"], each["check"]] for each in longest]
        for entry in checked:
            outcomes = [each["outcome"] for each in entry["checks"]]
            for row, outcome in zip(rows, outcomes + ["-"] * len(rows)):
                row.append(outcome)
        screen.table(["clause", "check", *[entry["backend"] for entry in checked]], rows)
        screen.line()
    for entry in entries:
        screen.line(summary(entry), "" if _is_ok(entry) else "failed")
    if any(entry["hypothesis"] is False for entry in checked):
        screen.line()
        screen.line(
            "Fixed examples alone: hypothesis is not installed. To draw examples too: "
            "pip install 'revgrad[testing]'."
        )
    for outcome in ("skipped", "expected"):
        reasons = _reasons(checked, outcome)
        if reasons:
            screen.line()
            screen.line(f"{outcome}:", outcome)
        for words in reasons:
            screen.line(words, indent=2)
    for entry in entries:
        _show_failures(screen, entry, tracebacks)


def _reasons(entries: Sequence[Entry], outcome: str) -> List[str]:
    """Return each reason once, with the checks and the backends it is the reason for."""
    found: Dict[str, Dict[str, List[str]]] = {}
    for entry in entries:
        for each in entry["checks"]:
            if each["outcome"] == outcome:
                check = f"{each['clause']} {each['check']}"
                found.setdefault(each["reason"], {}).setdefault(check, []).append(entry["backend"])
    lines = []
    for reason, backends in found.items():
        checks: Dict[str, List[str]] = {}  # by the backends, most often the same for all
        for check, names in backends.items():
            checks.setdefault(", ".join(names), []).append(check)
        where = "; ".join(f"{', '.join(each)} ({names})" for names, each in checks.items())
        lines.append(f"{where}: {reason}")
    return lines


def _show_failures(screen: Screen, entry: Entry, tracebacks: bool) -> None:
    failures = [each for each in entry["checks"] if each["outcome"] == "failed"]
    if entry["error"]:
        failures.append({"reason": entry["error"], "traceback": entry["traceback"]})
    if failures:
        screen.line()
        screen.line(f"{summary(entry)}:", "failed")
    for i, each in enumerate(failures):
        if i:
            screen.line()
        screen.line(each["reason"], indent=2)
        if tracebacks and each["traceback"]:
            screen.line()
            screen.line(each["traceback"].rstrip(), "dim", indent=4)
