"""What can go wrong, as exceptions and one warning.

Every message says what was seen, what is known, and what to do next.
"""


class RevgradError(Exception):
    """Base of every error that revgrad raises by its own decision."""


class UnsupportedTypeError(RevgradError, TypeError):
    """No backend claims this type, or its dtype carries no gradient."""


class AmbiguousBackendError(RevgradError, TypeError):
    """Two backends claim classes of the same package, so neither is chosen."""


class BackendUnavailableError(RevgradError, ImportError):
    """A backend that was named, or that matched, does not load or does not exist."""


class InvalidLambdaError(RevgradError, ValueError):
    """The value given as λ, or as the factor of `revgrad.scale_gradient`, is not valid."""


class ConformanceError(RevgradError, AssertionError):
    """A backend does not keep a clause of the contract, as a check of `revgrad.testing` found."""


class PluginWarning(UserWarning):
    """A plugin was left out; every other backend works on."""


def describe_error(error: BaseException, letters: int = 300) -> str:
    """Return the type and the message of an error, in one line that is not too long.

    Parameters
    ----------
    error : BaseException
        Of whatever origin: its own ``__str__`` may fail, or fill pages with a compiler's output.
    letters : int, optional
        How long the line may be.

    Returns
    -------
    str
        For instance ``"ImportError: no such driver"``.

    Examples
    --------
    >>> describe_error(ImportError("no such driver"))
    'ImportError: no such driver'
    """
    kind = type(error).__name__
    try:
        message = " ".join(str(error).split())
    except Exception:
        message = ""
    line = f"{kind}: {message}" if message else kind
    return line if len(line) <= letters else f"{line[: letters - 3]}..."
