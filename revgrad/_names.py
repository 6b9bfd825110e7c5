"""The names of public objects: where they are imported from, and how packages load them lazily."""

import importlib
import sys
from types import FunctionType
from typing import Any, Callable, Iterable, List, Mapping, Tuple, TypeVar

T = TypeVar("T")


def set_module(module: str) -> Callable[[T], T]:
    """Let an object name the module that people import it from, as pickles and errors do."""

    def decorate(named: T) -> T:
        # doctest looks at __module__: in the file itself it would not find the examples any more.
        examples = vars(sys.modules[named.__module__]).setdefault("__test__", {})
        examples[named.__name__] = named  # type: ignore[attr-defined]
        named.__module__ = module
        return named

    return decorate


def set_modules(namespace: Mapping[str, Any]) -> None:
    """Let all that a module lists in ``__all__``, wherever it is defined, name that module."""
    module = namespace["__name__"]
    for name in namespace["__all__"]:
        found = namespace.get(name)
        if isinstance(found, (type, FunctionType)) and found.__module__ != module:
            set_module(module)(found)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return a question that suggests the nearest of the known names, or nothing.

    Examples
    --------
    >>> did_you_mean("chekc", ["check", "doctor"])
    " Did you mean 'check'?"
    """
    import difflib

    nearest = difflib.get_close_matches(str(name), known, 1)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""


def lazy_names(
    package: str, modules: Mapping[str, str], others: str = ""
) -> Tuple[Callable[[str], Any], Callable[[], List[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package that loads its names on first use.

    A framework that is missing is an error that names the extra which installs it, or that says
    `others` if it is another module than that framework.
    """

    def load(name: str) -> Any:
        if name not in modules:
            known = ", ".join(sorted(modules))
            raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {known}")
        try:
            module = importlib.import_module(f"{package}.{modules[name]}")
        except ModuleNotFoundError as error:
            missing, extra = error.name, package.rpartition("_")[2]
            advice = others if others and missing != extra else f"pip install 'revgrad[{extra}]'"
            words = f"{package}.{name} needs {missing}, which is not installed: {advice}"
            raise ModuleNotFoundError(words, name=missing) from error
        return getattr(module, name)

    return load, lambda: list(modules)
