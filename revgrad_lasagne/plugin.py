"""Announces the backend for Lasagne; strings only."""

from typing import Tuple

import revgrad


@revgrad.hookimpl
def revgrad_backends() -> Tuple[revgrad.BackendSpec, ...]:
    """Return the spec of the backend ``"lasagne"``."""
    spec = revgrad.BackendSpec(
        name="lasagne",
        claims=("lasagne.layers:Layer",),
        factory="revgrad_lasagne.backend:LasagneBackend",
        requires="Lasagne>=0.1",
        harness="revgrad_lasagne.testing:LasagneHarness",
        prepare="revgrad_theano.compat",
    )
    return (spec,)
