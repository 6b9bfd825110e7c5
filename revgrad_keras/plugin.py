"""Announces the backend for Keras; strings only."""

import revgrad


@revgrad.hookimpl
def revgrad_backends() -> revgrad.BackendSpec:
    """Announce the backend ``"keras"``."""
    return revgrad.BackendSpec(
        name="keras",
        claims=("keras:KerasTensor", "keras:Variable"),
        factory="revgrad_keras.backend:KerasBackend",
        requires="keras>=3.7, and tensorflow, jax or torch: KERAS_BACKEND says which of them",
        harness="revgrad_keras.testing:KerasHarness",
    )
