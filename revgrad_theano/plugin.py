"""Announces the backend for Theano; strings only."""

import revgrad


@revgrad.hookimpl
def revgrad_backends() -> revgrad.BackendSpec:
    """Return the spec of the backend ``"theano"``."""
    return revgrad.BackendSpec(
        name="theano",
        # Theano 1.0 and Theano-PyMC 1.0 have the first, Theano-PyMC 1.1 has the second.
        claims=("theano.gof.graph:Variable", "theano.graph.basic:Variable"),
        factory="revgrad_theano.backend:TheanoBackend",
        requires="Theano>=1.0.5",
        harness="revgrad_theano.testing:TheanoHarness",
        prepare="revgrad_theano.compat",
    )
