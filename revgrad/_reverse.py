"""`reverse` and `scale_gradient`, and the functions around them."""

from typing import Any, Optional, TypeVar

from revgrad._registry import registry
from revgrad._tracers import not_rewritten, traced_as
from revgrad._variable import Lambda
from revgrad.backend import Backend, BackendSpec

X = TypeVar("X")


def _chosen_while_traced(x: Any, backend: Optional[str]) -> Backend:
    # The weak cache would be unreadable here, and each new type would compile every program again.
    return registry.loaded[registry.ready(type(x), backend)]


def _reverse_traced(x: Any, lam: Any, *, backend: Optional[str] = None) -> Any:
    return _chosen_while_traced(x, backend).reverse(x, lam)


def _scale_gradient_traced(x: Any, factor: Any, *, backend: Optional[str] = None) -> Any:
    return _chosen_while_traced(x, backend).scale_gradient(x, factor)


@not_rewritten
@traced_as(_reverse_traced)
def reverse(x: X, lam: Lambda, *, backend: Optional[str] = None) -> X:
    """Return `x` unchanged and multiply the gradient that flows back through it by ``-lam``.

    This is the gradient reversal layer of domain-adversarial training (DANN): put it between
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
    # The warm path: one look-up by type, and the backend's own call.
    chosen = registry.by_type.get(type(x)) if backend is None else registry.get_backend(backend)
    if chosen is None:
        chosen = registry.find(type(x))
    return chosen.reverse(x, lam)  # type: ignore[no-any-return]


@not_rewritten
@traced_as(_scale_gradient_traced)
def scale_gradient(x: X, factor: Lambda, *, backend: Optional[str] = None) -> X:
    """Return `x` unchanged and multiply the gradient that flows back through it by `factor`.

    The same mechanism as `reverse`, for any real factor: 0.1 slows a branch down, 0 stops its
    gradient and keeps it connected, a negative factor reverses. With an array it is selective:
    ``scale_gradient(x, where(mask, -lam, 1))`` reverses where ``mask`` holds, and nowhere else.

    Parameters
    ----------
    x : value of some framework
        Any shape, a floating dtype. The backend is chosen by its type. A NumPy array comes back
        as it is: a constant has no gradient.
    factor : float, LambdaVariable, in-graph value or array
        Any real, finite number. A value of the framework, or an array, may have any shape that
        broadcasts to the shape of `x` without enlarging it.
    backend : str, optional
        The name of a backend, instead of the choice by type.

    Returns
    -------
    value of the same framework
        Equal to `x` bit for bit, of the same shape and dtype.

    Raises
    ------
    InvalidLambdaError
        If `factor` is not a factor: not finite, not real, a bool, text, a schedule that was not
        called, or an object that the backend does not know.
    UnsupportedTypeError
        If no backend claims the type of `x`, or its dtype carries no gradient.
    AmbiguousBackendError
        If two backends claim classes of the package that the type of `x` comes from.
    BackendUnavailableError
        If the backend does not exist or does not load.

    Examples
    --------
    >>> import numpy as np
    >>> import revgrad
    >>> revgrad.scale_gradient(np.array([1.0, -0.0]), -0.1)
    array([ 1., -0.])
    """
    chosen = registry.by_type.get(type(x)) if backend is None else registry.get_backend(backend)
    if chosen is None:
        chosen = registry.find(type(x))
    return chosen.scale_gradient(x, factor)  # type: ignore[no-any-return]


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
        Its spec.

    Raises
    ------
    ValueError
        If `spec` is not valid, or its name is taken.

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
        The spec that was removed; `register` takes it back.

    Raises
    ------
    BackendUnavailableError
        If no backend has that name.
    """
    return registry.unregister(name)
