"""`run_checks` without pytest, `conformance` with it."""

import functools
from typing import Any, Callable, Optional, Sequence, Tuple, Union

from revgrad.exceptions import ConformanceError
from revgrad.testing._check import CHECKS, Result, as_harness, run_check
from revgrad.testing.harness import Harness


def run_checks(
    harness: Union[Harness, str], only: Optional[Sequence[str]] = None
) -> Tuple[Result, ...]:
    """Run the checks of the contract on one backend, without pytest.

    Parameters
    ----------
    harness : Harness or str
        Drives the backend; or the name of a backend that offers a harness.
    only : sequence of str, optional
        The names of the checks to run, by default all of `revgrad.testing.CHECKS`.

    Returns
    -------
    tuple of Result
        One for each check, none of them failed.

    Raises
    ------
    ConformanceError
        If a check fails; its message lists every failure.
    BackendUnavailableError
        If a backend was named that does not load or offers no harness.
    TypeError
        If ``harness`` is neither a harness nor a name.
    ValueError
        If a name in `only` is not that of a check.

    Examples
    --------
    >>> import revgrad.testing
    >>> revgrad.testing.run_checks("numpy")
    Traceback (most recent call last):
      ...
    revgrad.BackendUnavailableError: The backend 'numpy' offers no harness, so nothing \
checks it: name its class in BackendSpec.harness, or pass an instance of it.
    """
    driver = as_harness(harness)
    results = tuple(run_check(name, driver) for name in (CHECKS if only is None else only))
    failed = [result for result in results if result.outcome == "failed"]
    if failed:
        reasons = "\n\n".join(result.reason for result in failed)
        raise ConformanceError(
            f"{driver.backend}: {len(failed)} of {len(results)} checks failed.\n\n{reasons}"
        ) from failed[0].error
    return results


def conformance(harness: Union[Harness, str]) -> Callable[[Callable[..., Any]], Any]:
    """Parametrise a test by the checks of the contract.

    The test takes one argument, ``check``, and calls it. Each check is a test of its own, named
    after the clause and the check: ``-k C7``, ``-k double_reversal``.

    Parameters
    ----------
    harness : Harness or str
        Drives the backend; or the name of a backend that offers a harness. Neither the backend nor
        a harness that is named is loaded before the first test runs.

    Returns
    -------
    callable
        The decorator.

    Raises
    ------
    ImportError
        If pytest is not installed.

    Examples
    --------
    A whole test module::

        import revgrad.testing

        @revgrad.testing.conformance("mylib")
        def test_conformance(check):
            check()
    """
    import pytest

    @functools.lru_cache(maxsize=None)
    def driver() -> Harness:
        return as_harness(harness)

    def run(name: str) -> None:
        __tracebackhide__ = True
        result = run_check(name, driver())
        if result.outcome == "skipped":
            pytest.skip(result.reason)
        if result.outcome == "expected":
            pytest.xfail(result.reason)
        if result.error is not None:
            raise result.error

    ids = [f"{check.clause}-{name}" for name, check in CHECKS.items()]
    checks = [functools.partial(run, name) for name in CHECKS]
    return pytest.mark.parametrize("check", checks, ids=ids)
