"""The doctor: what is installed, what is broken, and why."""

from __future__ import annotations

import json
import platform
from typing import Any, Dict, List, Optional

from revgrad import _plugins
from revgrad._cli import isolation
from revgrad._cli.console import Screen
from revgrad._version import __version__

Entry = Dict[str, Any]


def main(as_json: bool = False, tracebacks: bool = False, timeout: float = isolation.TIMEOUT) -> int:
    """Examine every backend and print what was found.

    Parameters
    ----------
    as_json : bool, optional
        Print JSON.
    tracebacks : bool, optional
        Print the traceback of each failure.
    timeout : float, optional
        How many seconds a backend may take to load.

    Returns
    -------
    int
        The exit code: 1 if something is broken, else 0.
    """
    found = diagnose(timeout)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        show(found, tracebacks)
    return 0 if found["ok"] else 1


def diagnose(timeout: float = isolation.TIMEOUT) -> Entry:
    """Discover the plugins and load each backend, in processes of their own.

    Parameters
    ----------
    timeout : float, optional
        How many seconds a backend may take to load.

    Returns
    -------
    dict
        What ``revgrad --json`` prints.
    """
    seen = isolation.discover()

    def examine(offer: Entry) -> Entry:
        return _backend(offer, seen["fatal"], timeout)

    entries = isolation.at_once(examine, seen["backends"])
    entries += [_left_out(failure) for failure in seen["failures"]]
    known = {name for name, _, _ in _plugins.entry_points()}
    disabled = list(_plugins.disabled())
    return {
        "revgrad": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "ok": all(entry["state"] != "broken" for entry in entries),
        "backends": entries,
        "disabled": [name for name in disabled if name in known],
        "disabled_unknown": [name for name in disabled if name not in known],
    }


def _entry(source: Entry, **found: Any) -> Entry:
    distribution, _, version = (source["distribution"] or "").rpartition(" ")
    return {
        "backend": source.get("name"),
        "plugin": source["plugin"],
        "distribution": distribution or None,
        "version": version or None,
        "requires": source.get("requires") or None,
        "framework": None,
        "state": "broken",
        "claims": source.get("claims", []),
        "stage": None,
        "error": None,
        "advice": None,
        "traceback": None,
        **found,
    }


def _left_out(failure: Entry) -> Entry:
    distribution = (failure["distribution"] or "the distributions").split()[0]
    plugin = failure["plugin"]
    advice = f"Upgrade or uninstall {distribution}, or set REVGRAD_DISABLE={plugin} to do without."
    if failure["stage"] == "discovery":
        advice += " Until then every process that uses revgrad fares like that."
    return _entry(
        failure,
        stage=failure["stage"],
        error=failure["error"],
        advice=advice,
        traceback=failure["traceback"] or None,
    )


def _backend(offer: Entry, fatal: List[str], timeout: float) -> Entry:
    if not isolation.is_installed(offer["claims"]):
        return _entry(offer, state="not installed")
    report, how, printed = isolation.run("load", timeout, fatal, name=offer["name"])
    version = isolation.version_of(offer["requires"], offer["claims"])
    if report is None:
        return _entry(
            offer,
            framework=version,
            stage="load",
            error=f"{how} while the backend was loaded",
            advice=f"Load it by itself: {_by_hand(offer)}. {_ways_out(offer)}",
            traceback=printed or None,
        )
    if "error" in report:
        return _entry(
            offer,
            framework=version,
            stage="load",
            error=report["error"],
            advice=" ".join(filter(None, [_own_words(report), _ways_out(offer)])),
            traceback=report["traceback"],
        )
    return _entry(offer, framework=report["framework"] or version, state="ok")


def _own_words(report: Entry) -> str:
    """Return what the plugin says, unless the root error has said all of it."""
    words = " ".join(report["own"].split())
    if not words or report["error"].endswith(words):
        return ""
    return words if words.endswith(".") else f"{words}."


def _by_hand(offer: Entry) -> str:
    name = offer["name"]
    return f"python -X faulthandler -c 'import revgrad; revgrad.get_backend(\"{name}\")'"


def _ways_out(offer: Entry) -> str:
    words = f"It requires {offer['requires']}. " if offer["requires"] else ""
    plugin: Optional[str] = offer["plugin"]
    if plugin is not None:
        words += f"Set REVGRAD_DISABLE={plugin} to do without."
    return words.strip()


def show(found: Entry, tracebacks: bool = False) -> None:
    """Print what `diagnose` found.

    Parameters
    ----------
    found : dict
        What `diagnose` returned.
    tracebacks : bool, optional
        Whether tracebacks are printed.
    """
    screen = Screen()
    entries = found["backends"]
    screen.line(f"revgrad {found['revgrad']}, Python {found['python']}, {found['platform']}")
    screen.line()
    headings = ["backend", "plugin", "distribution", "framework", "state", "claims"]
    screen.table(headings, [_cells(entry) for entry in entries])
    if found["disabled"]:
        screen.line()
        screen.line(f"REVGRAD_DISABLE leaves out: {', '.join(found['disabled'])}.")
    if found["disabled_unknown"]:
        screen.line()
        names = ", ".join(found["disabled_unknown"])
        screen.line(f"REVGRAD_DISABLE names what is no plugin: {names}.")
    for entry in entries:
        if entry["state"] == "broken":
            _show_failure(screen, entry, tracebacks)
    if not found["ok"] and not tracebacks:
        screen.line()
        screen.line("The whole tracebacks: revgrad --traceback")


def _cells(entry: Entry) -> List[str]:
    distribution = " ".join(filter(None, [entry["distribution"], entry["version"]]))
    return [
        entry["backend"] or "-",
        entry["plugin"] or "built in",
        distribution or "-",
        entry["framework"] or "-",
        entry["state"],
        ", ".join(entry["claims"]) or "-",
    ]


def _show_failure(screen: Screen, entry: Entry, tracebacks: bool) -> None:
    screen.line()
    name = f"backend {entry['backend']}" if entry["backend"] else f"plugin {entry['plugin']}"
    screen.line(f"{name} is broken, at stage {entry['stage']!r}:", "broken")
    screen.line(entry["error"], indent=2)
    screen.line(f"What to do: {entry['advice']}", indent=2)
    if tracebacks and entry["traceback"]:
        screen.line()
        screen.line(entry["traceback"].rstrip(), "dim", indent=4)
