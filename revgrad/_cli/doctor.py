"""The doctor: what is installed, what is broken, and why."""

from dataclasses import replace
from typing import List, Sequence, Tuple

from revgrad import _plugins
from revgrad._cli import console, isolation
from revgrad._cli.worker import Entry


def main(as_json: bool, tracebacks: bool, timeout: float) -> int:
    """Examine every backend, print what was found, and return the exit code."""
    entries, fatal = isolation.discover()
    entries = isolation.in_parallel(lambda entry: _examined(entry, fatal, timeout), entries)
    ok = all(entry.state != "broken" for entry in entries)
    if as_json:
        known, unknown = _disabled()
        console.as_json(ok=ok, backends=entries, disabled=known, disabled_unknown=unknown)
    else:
        show(entries, tracebacks)
    return 0 if ok else 1


def _examined(entry: Entry, fatal: Sequence[str], timeout: float) -> Entry:
    """Load a backend; where that fails, load it after the module `prepare`."""
    if entry.state == "broken":
        advice = (
            f"Upgrade or uninstall {entry.distribution or 'one of them'}, or set "
            f"REVGRAD_DISABLE={entry.plugin} to do without."
        )
        if entry.stage == "discovery":
            advice += " Until then every process that uses revgrad will fail the same way."
        return replace(entry, advice=advice)
    if entry.state == "not installed":
        return entry
    plain = _loaded(entry, "", fatal, timeout)
    if plain.state == "ok" or not entry.prepare:
        return plain
    prepared = _loaded(entry, entry.prepare, fatal, timeout)
    if prepared.state == "ok":
        framework = entry.claims[0].partition(":")[0].partition(".")[0]
        needs = f"It needs `import {entry.prepare}` before {framework}."
        return replace(prepared, advice=" ".join(filter(None, [needs, prepared.advice])))
    both = f"This is with `import {entry.prepare}` first; without it: {plain.error}."
    return replace(prepared, advice=f"{prepared.advice} {both}")


def _loaded(entry: Entry, prepare: str, fatal: Sequence[str], timeout: float) -> Entry:
    """Load a backend in a subprocess and say what came of it."""
    done = isolation.run("load", timeout, fatal, name=entry.backend, prepare=prepare)
    if done.reports:
        found: Entry = done.reports[0]
    else:
        code = f'import revgrad; revgrad.get_backend("{entry.backend}")'
        code = f"import {prepare}; {code}" if prepare else code
        error = f"{done.how} while the backend was loaded"
        advice = f"Load it by itself: python -X faulthandler -c '{code}'."
        found = replace(entry, state="broken", error=error, advice=advice, traceback=done.printed)
    if found.state == "ok":
        return found
    requires = entry.requires and f"It requires {entry.requires}."
    without = entry.plugin and f"Set REVGRAD_DISABLE={entry.plugin} to do without."
    advice = " ".join(filter(None, [found.advice, requires, without]))
    return replace(found, stage="load", advice=advice)


def _disabled() -> Tuple[List[str], List[str]]:
    """Return the plugins that ``REVGRAD_DISABLE`` leaves out, and the unknown names in it."""
    known = {name for name, _, _ in _plugins.entry_points()}
    names = _plugins.disabled()
    return [name for name in names if name in known], [name for name in names if name not in known]


def show(entries: Sequence[Entry], tracebacks: bool = False) -> None:
    """Print what was found."""
    console.line("revgrad {revgrad}, Python {python}, {platform}".format(**console.VERSIONS))
    console.line()
    rows = []
    for entry in entries:
        distribution = " ".join(filter(None, [entry.distribution, entry.version]))
        row = [entry.backend, entry.plugin or "built in", distribution, entry.framework]
        rows.append([cell or "-" for cell in [*row, entry.state, ", ".join(entry.claims)]])
    console.table("backend plugin distribution framework state claims".split(), rows)
    for text, names in zip(("leaves out", "lists unknown plugins"), _disabled()):
        if names:
            console.line(f"\nREVGRAD_DISABLE {text}: {', '.join(names)}.")
    for entry in entries:
        name = f"backend {entry.backend}" if entry.backend else f"plugin {entry.plugin}"
        if entry.state == "broken":
            console.line(f"\n{name} is broken, at stage {entry.stage!r}:", "broken")
            console.line(f"{entry.error}\nWhat to do: {entry.advice}", indent=2)
            if tracebacks and entry.traceback:
                console.line(f"\n{entry.traceback.rstrip()}", "dim", indent=4)
        elif entry.advice:
            console.line(f"\n{name}: {entry.advice}")
    if not tracebacks and any(entry.state == "broken" for entry in entries):
        console.line("\nThe whole tracebacks: revgrad --traceback")
    console.line(f"\nDocumentation: {console.DOCUMENTATION}")
