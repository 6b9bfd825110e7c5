"""Gradient reversal for every framework: ``revgrad.reverse(x, lam)``.

The identity going forward, the gradient times ``-lam`` going back. The core knows no framework;
each is a plugin that announces a backend in the entry-point group ``revgrad``. Importing this
package imports NumPy and its own modules: plugins are discovered at the first call that needs
them, and a framework is imported by the code that makes the values.
"""

from typing import TYPE_CHECKING, Any, List

from revgrad import schedules
from revgrad._names import set_modules
from revgrad._registry import backends
from revgrad._reverse import get_backend, register, reverse, scale_gradient, unregister
from revgrad._variable import LambdaVariable
from revgrad._version import __version__
from revgrad.backend import Backend, BackendSpec
from revgrad.exceptions import (
    AmbiguousBackendError,
    BackendUnavailableError,
    ConformanceError,
    InvalidLambdaError,
    PluginWarning,
    RevgradError,
    UnsupportedTypeError,
)
from revgrad.schedules._scheduler import LambdaScheduler

if TYPE_CHECKING:
    from revgrad.hookspecs import hookimpl

__all__ = [
    "AmbiguousBackendError",
    "Backend",
    "BackendSpec",
    "BackendUnavailableError",
    "ConformanceError",
    "InvalidLambdaError",
    "LambdaScheduler",
    "LambdaVariable",
    "PluginWarning",
    "RevgradError",
    "UnsupportedTypeError",
    "__version__",
    "backends",
    "get_backend",
    "hookimpl",
    "register",
    "reverse",
    "scale_gradient",
    "schedules",
    "unregister",
]
set_modules(globals())


def __getattr__(name: str) -> Any:
    if name == "hookimpl":  # the marker is pluggy's, and only plugins need it
        from revgrad.hookspecs import hookimpl

        return hookimpl
    if name == "testing":  # likewise, only tests need the suite
        import revgrad.testing

        return revgrad.testing
    advice = f"; it has {', '.join(__all__)}"
    if name in ("GradientReversal", "ReverseGradient", "ReverseGradientLayer", "reverse_gradient"):
        advice = (
            ". It is in the package of your framework, such as revgrad_torch.GradientReversal, "
            "revgrad_keras.GradientReversal or revgrad_theano.ReverseGradient"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{advice}")


def __dir__() -> List[str]:
    return [*__all__, "testing"]
