"""Announces the backend for PyTensor; strings only."""

import revgrad


@revgrad.hookimpl
def revgrad_backends() -> revgrad.BackendSpec:
    """Announce the backend ``"pytensor"``."""
    return revgrad.BackendSpec(
        name="pytensor",
        claims=("pytensor.graph.basic:Variable",),
        factory="revgrad_pytensor.backend:PytensorBackend",
        requires="pytensor>=2.8",
        harness="revgrad_pytensor.testing:PytensorHarness",
    )
