"""Announces the backend for PyTorch; strings only."""

from __future__ import annotations

from typing import Tuple

import revgrad


@revgrad.hookimpl
def revgrad_backends() -> Tuple[revgrad.BackendSpec, ...]:
    """Offer the backend ``"torch"``."""
    return (
        revgrad.BackendSpec(
            name="torch",
            claims=("torch:Tensor", "torch.fx:Proxy"),
            factory="revgrad_torch.backend:TorchBackend",
            requires="torch>=2.0",
            harness="revgrad_torch.testing:TorchHarness",
        ),
    )
