"""Announces the backend for JAX; strings only."""

import revgrad


@revgrad.hookimpl
def revgrad_backends() -> revgrad.BackendSpec:
    """Announce the backend ``"jax"``."""
    return revgrad.BackendSpec(
        name="jax",
        claims=(
            "jax:Array",
            # What a transformation or a compiled function sees, which is not an Array.
            "jax.core:Tracer",
            # Until JAX 0.4.36 it was an Array by registration, which no MRO shows.
            "jaxlib.xla_extension:ArrayImpl",
        ),
        factory="revgrad_jax.backend:JaxBackend",
        requires="jax>=0.4.30",
        harness="revgrad_jax.testing:JaxHarness",
    )
