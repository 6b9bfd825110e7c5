"""What a backend author writes against: `BackendSpec`, `Backend` and a few helpers."""

import abc
import re
from dataclasses import dataclass
from typing import Any, Callable, FrozenSet, Tuple

from revgrad._lambda import (
    cast_lambda,
    check_lambda_shape,
    lambda_as_float,
    learnable_lambda_error,
    no_gradient_error,
    normalize_factor,
    normalize_lambda,
    not_real_error,
    short_repr,
    too_large_error,
    unknown_lambda_error,
)
from revgrad._names import set_modules
from revgrad._native import EagerNative, Native, resolve
from revgrad._variable import Lambda

__all__ = [
    "CONTRACT",
    "Backend",
    "BackendSpec",
    "EagerNative",
    "Lambda",
    "Native",
    "cast_lambda",
    "check_lambda_shape",
    "lambda_as_float",
    "learnable_lambda_error",
    "no_gradient_error",
    "normalize_factor",
    "normalize_lambda",
    "not_real_error",
    "residual_form",
    "resolve",
    "too_large_error",
    "unknown_lambda_error",
]

CONTRACT = 1
"""The version of the contract that this core holds backends to."""

# For the backends of this repository, which come with the core that they are tested with. Others
# list what they support: what a later core adds is not theirs.
EVERY_CAPABILITY: FrozenSet[str] = frozenset(
    "compilations copies forward_mode graph_lambda half_precision in_place known_lambda "
    "lambda_array layers modes operations rewritten schedules second_order several_outputs "
    "subclasses threads vectorised views".split()
)

_DOTTED = r"[^\W\d]\w*(\.[^\W\d]\w*)*"
_REFERENCE = f"{_DOTTED}:{_DOTTED}"


@dataclass(frozen=True)
class BackendSpec:
    """The spec by which a plugin announces a backend.

    It holds strings only, so that announcing a backend imports no framework. A spec is validated
    when it is registered, not when it is made: a bad one must not stop the others of its plugin.

    Parameters
    ----------
    name : str
        The name of the backend, as in ``reverse(x, lam, backend=name)``.
    claims : tuple of str
        ``"module:qualname"`` of each public class whose instances the backend handles,
        subclasses included. The module is never imported, only looked up.
    factory : str
        ``"module:qualname"`` of a callable without arguments that returns the `Backend`. It is
        imported on first use.
    requires : str, optional
        The framework's requirement as in a requirements file, shown by errors.
    harness : str, optional
        ``"module:qualname"`` of the `revgrad.testing.Harness` that lets the checks run.
    prepare : str, optional
        A module that users import before the framework where it does not load otherwise. ``revgrad
        check`` imports it; the doctor does where loading fails, and says that it was needed.
    contract : int, optional
        The version of the contract that the backend was written against.

    Examples
    --------
    >>> BackendSpec(
    ...     name="mylib",
    ...     claims=("mylib:Tensor",),
    ...     factory="revgrad_mylib.backend:MylibBackend",
    ...     requires="mylib>=2",
    ... ).name
    'mylib'
    """

    name: str
    claims: Tuple[str, ...]
    factory: str
    requires: str = ""
    harness: str = ""
    prepare: str = ""
    contract: int = CONTRACT

    def problems(self) -> Tuple[str, ...]:
        """Say what is wrong with this spec.

        Returns
        -------
        tuple of str
            One sentence for each problem; empty for a valid spec.
        """
        # The pattern of a rule that no text keeps: what is not a tuple may be a string.
        claims: Any = [("claims must be a tuple of 'module:qualname'", "(?!)", self.claims)]
        if isinstance(self.claims, tuple) and self.claims:
            rule = "a claim must read 'module:qualname'"
            claims = [(rule, _REFERENCE, claim) for claim in self.claims]
        rules = [
            ("name must be a word without spaces", r"[\w.-]+", self.name),
            *claims,
            ("factory must read 'module:qualname'", _REFERENCE, self.factory),
            ("requires must be a string", "(?s).*", self.requires),
            ("harness must read 'module:qualname'", f"({_REFERENCE})?", self.harness),
            ("prepare must be the name of a module", f"({_DOTTED})?", self.prepare),
        ]
        found = [
            f"{rule}; got {short_repr(value)}"
            for rule, pattern, value in rules
            if not (isinstance(value, str) and re.fullmatch(pattern, value))
        ]
        if not (isinstance(self.contract, int) and self.contract == CONTRACT):
            found.append(
                f"it is written against contract {short_repr(self.contract)}, and this revgrad "
                f"holds contract {CONTRACT}: upgrade whichever of the two is older"
            )
        return tuple(found)


class Backend(abc.ABC):
    """Reverses for one framework.

    One instance serves a whole process and all of its threads. Only `multiply_gradient` must be
    written; the rest adds what the framework can do.
    """

    native: Native = Native()
    """The adapter of the framework: how a λ is cast, shaped and stored."""

    capabilities: FrozenSet[str] = frozenset()
    """Names of the optional parts of the contract that the framework supports.

    Those of `revgrad.testing.CAPABILITIES`; what is declared is checked.
    """

    limits: str = ""
    """What the installed version of the framework lacks, in sentences, for the doctor."""

    @abc.abstractmethod
    def multiply_gradient(self, x: Any, factor: Any) -> Any:
        """Return `x` unchanged and multiply the gradient that flows back through it by `factor`.

        Parameters
        ----------
        x : object
            An instance of a claimed class; of any class, where the user named the backend.
        factor : value of the framework
            What `resolve` returned, or its negative: of the real dtype of `x`, of a shape that
            broadcasts to `x` without enlarging it. It receives no gradient.

        Returns
        -------
        object
            The framework's value, equal to `x` bit for bit.
        """

    def reverse(self, x: Any, lam: Any) -> Any:
        """Return `x` unchanged and multiply the gradient that flows back through it by -λ.

        Parameters
        ----------
        x : object
            As for `multiply_gradient`.
        lam : object
            λ as the user gave it.

        Returns
        -------
        object
            As for `multiply_gradient`.

        Raises
        ------
        UnsupportedTypeError
            If `x` has a dtype that carries no gradient.
        InvalidLambdaError
            If `lam` is not a λ; see `resolve`.
        """
        return self.multiply_gradient(x, -resolve(x, lam, self.native))

    def scale_gradient(self, x: Any, factor: Any) -> Any:
        """Return `x` unchanged and multiply the gradient that flows back through it by a factor.

        Parameters
        ----------
        x : object
            As for `multiply_gradient`.
        factor : object
            The factor as the user gave it.

        Returns
        -------
        object
            As for `multiply_gradient`.

        Raises
        ------
        UnsupportedTypeError
            If `x` has a dtype that carries no gradient.
        InvalidLambdaError
            If `factor` is not a factor; see `resolve`.
        """
        return self.multiply_gradient(x, resolve(x, factor, self.native, signed=True))

    @property
    def xp(self) -> Any:
        """The namespace for in-graph schedules.

        It has ``tanh``, ``cos``, ``exp``, ``minimum``, ``maximum`` and ``where``. The framework's
        values support arithmetic and comparison with each other, and have a ``dtype``.
        """
        raise NotImplementedError(f"{type(self).__name__} offers no namespace for schedules")

    def constant(self, value: float, like: Any) -> Any:
        """Return a number as a constant of the dtype of `like`, for in-graph schedules.

        Kept as it is by a framework in which a Python float takes the dtype of the array that it
        meets, and loses nothing on the way.

        Parameters
        ----------
        value : float
            The number.
        like : object
            The framework's value that it will meet, of floating dtype.

        Returns
        -------
        object
            `value` itself, unless the backend says otherwise.
        """
        return value


def residual_form(x: Any, factor: Any, stop_gradient: Callable[[Any], Any], xp: Any) -> Any:
    """Multiply the gradient with nothing but a ``stop_gradient``.

    Computes :math:`s = \\mathrm{stop}(x)`, :math:`r = \\pm(s - x)` and :math:`y = s - |c|\\,r`,
    with the sign of the factor `c`. The residual `r` is zero and its derivative is one or minus
    one, so `y` is `x` bit for bit and its derivative is `c`, in every order and in every mode of
    differentiation that the framework has. Where an element of `x` is not finite, `r` would be
    nan: it is replaced by zero there, and such an element passes no gradient on.

    Parameters
    ----------
    x : array of the framework
        Any shape, floating dtype.
    factor : array of the framework
        -λ, or any factor: of the dtype of `x`, broadcasting to its shape.
    stop_gradient : callable
        Maps an array to the same values as a constant of differentiation: no gradient arrives at
        it, not a gradient of zero either, which would make a -0.0 of another path 0.0.
    xp : namespace
        Has ``isfinite(a)``, ``where(condition, a, b)`` and ``zeros_like(a)``. The gradient of
        ``where`` must keep the dtype.

    Returns
    -------
    array of the framework
        The values of `x`.

    Notes
    -----
    It costs three passes over the data where the framework does not fuse them. A framework with
    custom derivative rules does better with one of its own.
    """
    stopped = stop_gradient(x)
    # What is subtracted is +0.0 for either sign: it changes no bit, not even of a -0.0.
    residual = xp.where(factor > 0, stopped - x, x - stopped)
    residual = xp.where(xp.isfinite(stopped), residual, xp.zeros_like(stopped))
    return stopped - xp.where(factor > 0, factor, 0 - factor) * residual


set_modules(globals())
