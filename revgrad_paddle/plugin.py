"""Announces the backend for Paddle; strings only."""

import revgrad


@revgrad.hookimpl
def revgrad_backends() -> revgrad.BackendSpec:
    """Announce the backend ``"paddle"``."""
    return revgrad.BackendSpec(
        name="paddle",
        claims=("paddle:Tensor", "paddle.pir:Value"),
        factory="revgrad_paddle.backend:PaddleBackend",
        requires="paddlepaddle>=3.3",
        harness="revgrad_paddle.testing:PaddleHarness",
    )
