"""Announces the backend for autograd; strings only."""

import revgrad


@revgrad.hookimpl
def revgrad_backends() -> revgrad.BackendSpec:
    """Announce the backend ``"autograd"``."""
    return revgrad.BackendSpec(
        name="autograd",
        # What a traced function sees; an array that is not traced belongs to NumPy.
        claims=("autograd.numpy.numpy_boxes:ArrayBox",),
        factory="revgrad_autograd.backend:AutogradBackend",
        requires="autograd>=1.3",
        harness="revgrad_autograd.testing:AutogradHarness",
    )
