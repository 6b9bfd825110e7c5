"""`reverse`: the one call, and the functions around it."""

from __future__ import annotations

import math
from typing import Any, Optional

from revgrad._lambda import normalize_lambda
from revgrad._registry import registry
from revgrad._variable import LambdaVariable
from revgrad.backend import Backend, BackendSpec


def reverse(x: Any, lam: Any, *, backend: Optional[str] = None) -> Any:
    """Return `x` unchanged and multiply the gradient that flows back through it by ``-lam``.

    This is the gradient reversal layer of domain-adversarial training [1]_ [2]_: put it between
    the features and the domain classifier, and *add* the domain loss to the others.

    Parameters
    ----------
    x : value of some framework
        Any shape, a floating dtype. The backend is chosen by its type. A NumPy array comes back
        as it is: a constant has no gradient.
    lam : float, LambdaVariable, in-graph value or array
        λ, at least 0; the backward factor is ``-lam``. A `LambdaVariable` changes it while a
        compiled program runs. A value of the framework, or an array, may have any shape that
        broadcasts to the shape of `x` without enlarging it: one λ per sample, say.
    backend : str, optional
        The name of a backend, instead of the choice by type.

    Returns
    -------
    value of the same framework
        Equal to `x` bit for bit, of the same shape and dtype.

    Raises
    ------
    InvalidLambdaError
        If `lam` is not a λ: negative, not finite, not real, a bool, text, a schedule that was not
        called, or an object the backend does not know.
    UnsupportedTypeError
        If no backend claims the type of `x`, or its dtype carries no gradient.
    AmbiguousBackendError
        If two backends claim classes of the package that the type of `x` comes from.
    BackendUnavailableError
        If the backend does not exist or does not load.

    References
    ----------
    .. [1] Y. Ganin and V. Lempitsky, "Unsupervised Domain Adaptation by Backpropagation",
       ICML 2015, arXiv:1409.7495.
    .. [2] Y. Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17(59), 2016,
       arXiv:1505.07818.

    Examples
    --------
    >>> import numpy as np
    >>> import revgrad
    >>> revgrad.reverse(np.array([1.0, -0.0]), 0.3)
    array([ 1., -0.])
    """
    # The warm path: a float λ, or one that was judged before, and a known type of x.
    kind = type(lam)
    if not (kind is float and 0.0 <= lam < math.inf or kind is LambdaVariable):
        lam = normalize_lambda(lam)
    if backend is None:
        chosen = registry.by_type.get(type(x))
        if chosen is None:
            chosen = registry.find(type(x))
    else:
        chosen = registry.get_backend(backend)
    return chosen.reverse(x, lam)


def _reverse_traced(x: Any, lam: Any, *, backend: Optional[str] = None) -> Any:
    if not (type(lam) is float and 0.0 <= lam < math.inf):  # which may be symbolic
        lam = normalize_lambda(lam)
    name = registry.ready(type(x), backend)
    return registry.loaded[name].reverse(x, lam)


# What torch.compile traces instead. In the weak cache of `reverse` a type that nobody has reversed
# yet could not be looked up, and each new type would compile every program again.
reverse._torchdynamo_inline = _reverse_traced  # type: ignore[attr-defined]


def get_backend(name: str) -> Backend:
    """Return a backend by name, importing its framework at the first call.

    Parameters
    ----------
    name : str
        A key of `revgrad.backends`.

    Returns
    -------
    Backend
        The same instance at each call.

    Raises
    ------
    BackendUnavailableError
        If no backend has that name, or it does not load.

    Examples
    --------
    >>> get_backend("numpy")
    <revgrad.reference.NumpyBackend object at ...>
    """
    return registry.get_backend(name)


def register(spec: BackendSpec) -> None:
    """Add a backend to this process, without an entry point.

    Parameters
    ----------
    spec : BackendSpec
        Its record.

    Raises
    ------
    ValueError
        If `spec` is not a sound record, or its name is taken.

    Examples
    --------
    >>> import revgrad
    >>> revgrad.register(
    ...     revgrad.BackendSpec("mylib", claims=("mylib:Tensor",), factory="mylib_revgrad:Backend")
    ... )
    >>> revgrad.unregister("mylib").factory
    'mylib_revgrad:Backend'
    """
    registry.register(spec)


def unregister(name: str) -> BackendSpec:
    """Remove a backend from this process.

    Parameters
    ----------
    name : str
        A key of `revgrad.backends`.

    Returns
    -------
    BackendSpec
        The record that was removed; `register` takes it back.

    Raises
    ------
    BackendUnavailableError
        If no backend has that name.
    """
    return registry.unregister(name)


# tf.function calls a function that is marked so as it is; of any other it rewrites the Python code,
# and that of all that it calls, discovery and imports included.
reverse.autograph_info__ = {}  # type: ignore[attr-defined]
