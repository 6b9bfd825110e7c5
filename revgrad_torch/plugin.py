"""Announces the backend for PyTorch; strings only."""

from typing import Tuple

import revgrad


@revgrad.hookimpl
def revgrad_backends() -> Tuple[revgrad.BackendSpec, ...]:
    """Announce the backend ``"torch"``."""
    spec = revgrad.BackendSpec(
        name="torch",
        claims=("torch:Tensor", "torch.fx:Proxy"),
        factory="revgrad_torch.backend:TorchBackend",
        requires="torch>=2.0",
        harness="revgrad_torch.testing:TorchHarness",
    )
    return (spec,)
