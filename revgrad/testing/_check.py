"""A check: a plain function of a harness that tests a backend for one clause."""

import functools
from dataclasses import dataclass
from typing import Any, Callable, Collection, Dict, Mapping, Optional, Union

from revgrad._registry import registry, resolve_reference
from revgrad.exceptions import BackendUnavailableError, ConformanceError, describe_error
from revgrad.testing.harness import CAPABILITIES, Harness

CHECKS: Dict[str, Any] = {}
"""Every check by its name, in the order of the clauses."""


@dataclass(frozen=True)
class Result:
    """The result of one check on one backend.

    Parameters
    ----------
    check : str
        The name of the check.
    clause : str
        The clause that it tests, ``"C1"`` to ``"C23"``.
    outcome : str
        ``"passed"``, ``"failed"``, ``"skipped"`` or ``"expected"``: it failed, as the harness said.
    reason : str, optional
        Why it was skipped or expected to fail; for a failure, what was expected and what came.
    error : Exception, optional
        The ``ConformanceError`` of a failed check.
    """

    check: str
    clause: str
    outcome: str
    reason: str = ""
    error: Optional[ConformanceError] = None


def check(clause: str, needs: str = "") -> Callable[[Callable[[Harness], None]], Any]:
    """Register a function as a check, and let its errors name the clause.

    Parameters
    ----------
    clause : str
        The clause that the function tests.
    needs : str, optional
        The capability without which it does not run.

    Returns
    -------
    callable
        The decorator. The decorated function takes a harness, returns None, and raises
        `revgrad.ConformanceError` where the clause is not kept.
    """

    def decorate(function: Callable[[Harness], None]) -> Any:
        summary = " ".join((function.__doc__ or "").split("\n\n")[0].split())
        title = f"{clause} {function.__name__}: {summary}"

        @functools.wraps(function)
        def checked(harness: Harness) -> None:
            __tracebackhide__ = True
            try:
                function(harness)
            except Mismatch as error:  # its message is complete without the traceback
                raise ConformanceError(f"{title}\n{error}") from None
            except Exception as error:
                words = f"{title}\n  it raised {type(error).__name__}: {error}"
                raise ConformanceError(words) from error

        vars(checked).update(clause=clause, needs=needs)
        CHECKS[function.__name__] = checked
        return checked

    return decorate


class Mismatch(AssertionError):
    """A difference that a check found; `check` adds the clause."""


def mismatch(given: object, expected: object, came: object) -> Mismatch:
    """Return the error for one difference, with the input that shows it."""
    return Mismatch(f"  input:    {given}\n  expected: {expected}\n  came:     {came}")


def load_harness(name: str) -> Harness:
    """Return a new harness of a backend, by the backend's name.

    The module of the harness is imported before the backend is loaded: it may have to prepare the
    framework, as ``revgrad_theano.testing`` does.

    Parameters
    ----------
    name : str
        A key of `revgrad.backends`.

    Returns
    -------
    Harness
        An instance of the class that ``BackendSpec.harness`` names.

    Raises
    ------
    BackendUnavailableError
        If there is no such backend, it offers no harness, or one of the two does not load.
    """
    spec = registry.spec(name)
    if not spec.harness:
        raise BackendUnavailableError(
            f"The backend {name!r} offers no harness, so nothing checks it: name its class in "
            "BackendSpec.harness, or pass an instance of it."
        )
    try:
        harness = resolve_reference(spec.harness)()
        if not isinstance(harness, Harness):
            raise TypeError(f"it is a {type(harness).__name__}, not a revgrad.testing.Harness")
    except (Exception, SystemExit) as error:
        raise BackendUnavailableError(
            f"The harness of the backend {name!r} does not load: {spec.harness} failed with "
            f"{describe_error(error, 1000)}."
            f"{f' It requires {spec.requires}.' if spec.requires else ''}"
        ) from error
    registry.get_backend(name)
    return harness


def as_harness(harness: Union[Harness, str]) -> Harness:
    """Return a harness, or that of the backend of that name."""
    if isinstance(harness, str):
        return load_harness(harness)
    if not isinstance(harness, Harness):
        raise TypeError(
            f"Expected a revgrad.testing.Harness or the name of a backend; got {harness!r}."
            f"{' Pass an instance of it.' if isinstance(harness, type) else ''}"
        )
    return harness


def run_check(name: str, harness: Harness) -> Result:
    """Run one check, unless its capability is not declared.

    Parameters
    ----------
    name : str
        A key of `revgrad.testing.CHECKS`.
    harness : Harness
        Drives the backend.

    Returns
    -------
    Result
        Never an exception: any error in the backend, the harness or the framework is a failure
        of the check.

    Raises
    ------
    ValueError
        If there is no such check, the harness names no backend, or harness or backend name a check
        or a capability that does not exist.
    BackendUnavailableError
        If the backend does not exist or does not load.
    """
    function = _known(name, CHECKS, "check")
    if not isinstance(getattr(harness, "backend", None), str):
        raise ValueError(f"{type(harness).__name__}.backend must be the name of the backend")
    expected = harness.expected_failures
    for each, why in expected.items():
        _known(each, CHECKS, "check")
        if not (isinstance(why, str) and why.strip()):
            raise ValueError(
                f"{type(harness).__name__}.expected_failures[{each!r}] must say why; got {why!r}"
            )
    capabilities = registry.get_backend(harness.backend).capabilities
    for each in (*capabilities, *(set(harness.unsupported) - {"*"})):
        _known(each, CAPABILITIES, "capability")
    try:
        reason = _skipped(function, harness, capabilities) if function.needs else ""
        if reason:
            return Result(name, function.clause, "skipped", reason)
        function(harness)
    except ConformanceError as error:
        if name in expected:
            return Result(name, function.clause, "expected", expected[name])
        return Result(name, function.clause, "failed", str(error), error)
    if name in expected:
        passes = ConformanceError(
            f"{function.clause} {name}: it was expected to fail ({expected[name]}), and passes. "
            f"Take it out of {type(harness).__name__}.expected_failures."
        )
        return Result(name, function.clause, "failed", str(passes), passes)
    return Result(name, function.clause, "passed")


def _known(name: str, known: Mapping[str, Any], what: str) -> Any:
    if name not in known:
        raise ValueError(f"There is no {what} {name!r}. Known: {', '.join(known)}.")
    return known[name]


def _skipped(function: Any, harness: Harness, declared: Collection[str]) -> str:
    """Return why a check is skipped, if it is; raise if what it needs is there only by half."""
    needs, author = function.needs, type(harness).__name__
    title = f"{function.clause} {function.__name__}: the backend"
    missing = [
        method
        for method in CAPABILITIES[needs]
        if getattr(type(harness), method) is getattr(Harness, method)
    ]
    if needs in declared:
        if missing:
            raise ConformanceError(
                f"{title} declares the capability {needs!r}, and {author} has no "
                f"{' and no '.join(missing)}. Write it, or do not declare the capability."
            )
        return ""
    reason = harness.unsupported.get(needs) or harness.unsupported.get("*")
    if reason:
        return f"the backend does not declare the capability {needs!r}: {reason}"
    raise ConformanceError(
        f"{title} does not declare the capability {needs!r}. Declare it in Backend.capabilities"
        f"{''.join(f' and write {each}()' for each in missing)}, or say why not in "
        f"{author}.unsupported[{needs!r}]."
    )
