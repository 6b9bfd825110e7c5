"""Announces the backend for Paddle; strings only."""

from __future__ import annotations

from typing import Tuple

import revgrad


@revgrad.hookimpl
def revgrad_backends() -> Tuple[revgrad.BackendSpec, ...]:
    """Announce the backend ``"paddle"``."""
    return (
        revgrad.BackendSpec(
            name="paddle",
            claims=("paddle:Tensor", "paddle.pir:Value"),
            factory="revgrad_paddle.backend:PaddleBackend",
            requires="paddlepaddle>=3.3",
            harness="revgrad_paddle.testing:PaddleHarness",
        ),
    )
