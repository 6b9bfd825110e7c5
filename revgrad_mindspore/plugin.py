"""Announces the backend for MindSpore; strings only."""

from typing import Tuple

import revgrad


@revgrad.hookimpl
def revgrad_backends() -> Tuple[revgrad.BackendSpec, ...]:
    """Announce the backend ``"mindspore"``."""
    spec = revgrad.BackendSpec(
        name="mindspore",
        claims=("mindspore:Tensor",),
        factory="revgrad_mindspore.backend:MindSporeBackend",
        requires="mindspore>=2.10",
        harness="revgrad_mindspore.testing:MindSporeHarness",
    )
    return (spec,)
