"""Announces the backend for Paddle; strings only."""

from typing import Tuple

import revgrad


@revgrad.hookimpl
def revgrad_backends() -> Tuple[revgrad.BackendSpec, ...]:
    """Announce the backend ``"paddle"``."""
    spec = revgrad.BackendSpec(
        name="paddle",
        claims=("paddle:Tensor", "paddle.pir:Value"),
        factory="revgrad_paddle.backend:PaddleBackend",
        requires="paddlepaddle>=3.3",
        harness="revgrad_paddle.testing:PaddleHarness",
    )
    return (spec,)
