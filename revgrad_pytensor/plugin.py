"""Announces the backend for PyTensor; strings only."""

from typing import Tuple

import revgrad


@revgrad.hookimpl
def revgrad_backends() -> Tuple[revgrad.BackendSpec, ...]:
    """Announce the backend ``"pytensor"``."""
    spec = revgrad.BackendSpec(
        name="pytensor",
        claims=("pytensor.graph.basic:Variable",),
        factory="revgrad_pytensor.backend:PytensorBackend",
        requires="pytensor>=2.8",
        harness="revgrad_pytensor.testing:PytensorHarness",
    )
    return (spec,)
