"""Announces the backend for MLX; strings only."""

from typing import Tuple

import revgrad


@revgrad.hookimpl
def revgrad_backends() -> Tuple[revgrad.BackendSpec, ...]:
    """Announce the backend ``"mlx"``."""
    spec = revgrad.BackendSpec(
        name="mlx",
        claims=("mlx.core:array",),
        factory="revgrad_mlx.backend:MlxBackend",
        requires="mlx>=0.32",
        harness="revgrad_mlx.testing:MlxHarness",
    )
    return (spec,)
