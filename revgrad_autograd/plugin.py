"""Announces the backend for autograd; strings only."""

from typing import Tuple

import revgrad


@revgrad.hookimpl
def revgrad_backends() -> Tuple[revgrad.BackendSpec, ...]:
    """Announce the backend ``"autograd"``."""
    spec = revgrad.BackendSpec(
        name="autograd",
        # What a traced function sees; an array that is not traced belongs to NumPy.
        claims=("autograd.numpy.numpy_boxes:ArrayBox",),
        factory="revgrad_autograd.backend:AutogradBackend",
        requires="autograd>=1.3",
        harness="revgrad_autograd.testing:AutogradHarness",
    )
    return (spec,)
