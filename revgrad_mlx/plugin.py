"""Announces the backend for MLX; strings only."""

import revgrad


@revgrad.hookimpl
def revgrad_backends() -> revgrad.BackendSpec:
    """Announce the backend ``"mlx"``."""
    return revgrad.BackendSpec(
        name="mlx",
        claims=("mlx.core:array",),
        factory="revgrad_mlx.backend:MlxBackend",
        requires="mlx>=0.32",
        harness="revgrad_mlx.testing:MlxHarness",
    )
