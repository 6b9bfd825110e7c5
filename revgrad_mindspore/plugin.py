"""Announces the backend for MindSpore; strings only."""

import revgrad


@revgrad.hookimpl
def revgrad_backends() -> revgrad.BackendSpec:
    """Announce the backend ``"mindspore"``."""
    return revgrad.BackendSpec(
        name="mindspore",
        claims=("mindspore:Tensor",),
        factory="revgrad_mindspore.backend:MindSporeBackend",
        requires="mindspore>=2.10",
        harness="revgrad_mindspore.testing:MindSporeHarness",
    )
