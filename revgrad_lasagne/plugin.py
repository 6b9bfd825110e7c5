"""Announces the backend for Lasagne; strings only."""

import revgrad


@revgrad.hookimpl
def revgrad_backends() -> revgrad.BackendSpec:
    """Return the spec of the backend ``"lasagne"``."""
    return revgrad.BackendSpec(
        name="lasagne",
        claims=("lasagne.layers:Layer",),
        factory="revgrad_lasagne.backend:LasagneBackend",
        requires="Lasagne>=0.1",
        harness="revgrad_lasagne.testing:LasagneHarness",
        prepare="revgrad_theano.compat",
    )
