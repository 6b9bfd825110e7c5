"""The hook that a plugin implements, and pluggy's markers for it."""

from __future__ import annotations

from typing import Iterable, Union

import pluggy

from revgrad.backend import BackendSpec

# The name of the entry-point group, of the hook prefix and of the project: one word.
PROJECT = "revgrad"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def revgrad_backends() -> Union[BackendSpec, Iterable[BackendSpec]]:
    """Return the specs of the backends that this plugin provides.

    Strings only: the module that implements this hook imports no framework, neither at its top
    nor in the hook.

    Returns
    -------
    BackendSpec or iterable of BackendSpec
        One spec for each backend.
    """
    raise NotImplementedError  # a specification; pluggy never calls it
