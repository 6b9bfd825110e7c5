"""What can go wrong, as exceptions and one warning.

Every message says what was seen, what is known, and what to do next.
"""

from __future__ import annotations


class RevgradError(Exception):
    """Base of every error that revgrad raises by its own decision."""


class UnsupportedTypeError(RevgradError, TypeError):
    """No backend claims this type, or its dtype carries no gradient."""


class AmbiguousBackendError(RevgradError, TypeError):
    """Two backends claim classes of the same package, so neither is chosen."""


class BackendUnavailableError(RevgradError, ImportError):
    """A backend that was named, or that matched, does not load or does not exist."""


class InvalidLambdaError(RevgradError, ValueError):
    """The value given as λ is not a λ: a real, finite number that is at least 0."""


class ConformanceError(RevgradError, AssertionError):
    """A backend does not keep a clause of the contract, as a check of `revgrad.testing` found."""


class PluginWarning(UserWarning):
    """A plugin was left out; every other backend works on."""
