"""A property of a backend, tried on many inputs: with hypothesis where it is installed."""

from contextlib import suppress
from importlib import import_module
from typing import Any, Callable, Iterable, Sequence

from revgrad.testing._cases import Case, fixed_cases
from revgrad.testing.harness import Harness


def each_case(harness: Harness, holds: Callable[[Case], None], dtypes: Sequence[str] = ()) -> None:
    """Try a property on cases: drawn ones, where hypothesis is installed, and the fixed ones."""
    dtypes = dtypes or harness.dtypes
    draw = lambda strategies: strategies.cases(dtypes, max_dims=1, subnormals=harness.subnormals)
    for_all(harness, holds, draw, fixed_cases(harness, dtypes))


def drawn_ones() -> Any:
    """Return the module of the strategies, or None where hypothesis does not load."""
    with suppress(ImportError):
        return import_module("revgrad.testing.strategies")


def for_all(harness: Harness, holds: Callable[..., None], draw: Any, fixed: Iterable[Any]) -> None:
    """Try a property on what `draw` makes of the strategies, and on fixed examples.

    The drawn ones come first: if one fails, the smallest that fails is reported.
    """
    strategies = drawn_ones() if harness.examples else None
    if strategies:
        import hypothesis

        # Deterministic, so without a trace on disk, or on the screen: the error says it all.
        settings = hypothesis.settings(
            max_examples=harness.examples,
            derandomize=True,
            deadline=None,
            report_multiple_bugs=False,
            print_blob=False,
            phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
            verbosity=hypothesis.Verbosity.quiet,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        given: Any = hypothesis.given(draw(strategies))
        settings(given(holds))()
    for example in fixed:
        holds(example)
