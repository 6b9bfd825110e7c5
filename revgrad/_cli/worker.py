"""What a fresh interpreter does for the doctor and for ``revgrad check``; see `revgrad._cli.isolation`.

It does what a user's process does, and reports on a channel of its own, as frameworks print to
the standard output.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import traceback
import warnings
from dataclasses import asdict
from typing import Any, Callable, Dict, Iterator

import revgrad
from revgrad._registry import registry
from revgrad.exceptions import describe_error

MARK = "revgrad reports "
"""What each line of a report begins with: code that runs before us may print to the channel."""

Report = Dict[str, Any]


def main(job: str, argument: str) -> None:
    """Do one job and report.

    Parameters
    ----------
    job : str
        A key of `JOBS`.
    argument : str
        A JSON object: the arguments of the job, and ``"timeout"``, the seconds after which
        it is taken to hang.
    """
    options = json.loads(argument)
    with os.fdopen(os.dup(1), "w", encoding="ascii") as channel:
        os.dup2(2, 1)  # whatever prints from now on prints to the standard error
        faulthandler.enable()  # a process that crashes or hangs says where
        if "timeout" in options:
            faulthandler.dump_traceback_later(options.pop("timeout"))
        # The doctor names each plugin that was left out.
        warnings.simplefilter("ignore", revgrad.PluginWarning)
        for report in JOBS[job](**options):
            channel.write(f"\n{MARK}{json.dumps(report)}\n")
            channel.flush()


def discover() -> Iterator[Report]:
    """Report the backends that plugins offer, and the plugins that were left out."""
    names = sorted(registry.specs(), key=lambda name: (name in registry.offers, name))
    yield {
        "backends": [_backend(name) for name in names],
        "failures": [
            {
                "plugin": failure.plugin,
                "distribution": failure.distribution,
                "stage": failure.stage,
                "error": failure.reason,
                "traceback": _traceback(failure.error),
            }
            for failure in registry.failures
        ],
    }


def _backend(name: str) -> Report:
    offer = registry.offers.get(name)
    return {
        **asdict(registry.spec(name)),
        "plugin": offer and offer.plugin,
        "distribution": offer.distribution if offer else f"revgrad {revgrad.__version__}",
    }


def load(name: str) -> Iterator[Report]:
    """Load a backend; report the version of its framework, or the error."""
    try:
        revgrad.get_backend(name)
    except BaseException as error:
        yield _failure(error)
    else:
        yield {"framework": _version(name)}


def _version(name: str) -> Any:
    for claim in registry.spec(name).claims:
        root = sys.modules.get(claim.partition(":")[0].partition(".")[0])
        version = getattr(root, "__version__", None)
        if isinstance(version, str):
            return version
    return None


def check(name: str, skip: int) -> Iterator[Report]:
    """Put a backend to the checks but for the first few; report each one, before and after."""
    from revgrad.testing import CHECKS, load_harness, run_check

    try:
        harness = load_harness(name)
    except BaseException as error:
        yield _failure(error)
        return
    yield {
        "checks": [[each, check.clause] for each, check in CHECKS.items()],
        "hypothesis": _hypothesis(),
    }
    for each in list(CHECKS)[skip:]:
        yield {"running": each}
        try:
            result = run_check(each, harness)
        except KeyboardInterrupt:
            raise
        except ValueError as error:  # harness or backend name what does not exist
            yield _failure(error)
            return
        except BaseException as error:  # it exits, or skips as a test does
            failed = _failure(error)
            reason = f"{CHECKS[each].clause} {each}: it raised {failed['error']}"
            yield {"outcome": "failed", "reason": reason, "traceback": failed["traceback"]}
        else:
            cause = result.error and result.error.__cause__
            yield {
                "outcome": result.outcome,
                "reason": result.reason,
                "traceback": _traceback(cause) if cause else None,
            }


def _hypothesis() -> bool:
    try:
        from revgrad.testing import strategies  # noqa: F401
    except ImportError:
        return False
    return True


def _failure(error: BaseException) -> Report:
    # Not the context: what was caught on the way to a second attempt is not why that one failed.
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    return {
        "error": describe_error(root),
        "message": _words(error),
        # What the plugin, or whoever raised within it, says in words of its own.
        "own": _words(error.__cause__ or error),
        "traceback": _traceback(error),
    }


def _words(error: BaseException) -> str:
    try:
        return str(error).strip()
    except Exception:  # an error whose own __str__ fails
        return ""


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


JOBS: Dict[str, Callable[..., Iterator[Report]]] = {
    "discover": discover,
    "load": load,
    "check": check,
}
