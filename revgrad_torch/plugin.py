"""Announces the backend for PyTorch; strings only."""

import revgrad


@revgrad.hookimpl
def revgrad_backends() -> revgrad.BackendSpec:
    """Announce the backend ``"torch"``."""
    return revgrad.BackendSpec(
        name="torch",
        claims=("torch:Tensor", "torch.fx:Proxy"),
        factory="revgrad_torch.backend:TorchBackend",
        requires="torch>=2.0",
        harness="revgrad_torch.testing:TorchHarness",
    )
