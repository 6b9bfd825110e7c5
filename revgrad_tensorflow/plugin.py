"""Announces the backend for TensorFlow; strings only."""

from typing import Tuple

import revgrad


@revgrad.hookimpl
def revgrad_backends() -> Tuple[revgrad.BackendSpec, ...]:
    """Announce the backend ``"tensorflow"``."""
    spec = revgrad.BackendSpec(
        name="tensorflow",
        # What a traced function sees is a Tensor, too.
        claims=("tensorflow:Tensor", "tensorflow:Variable", "tensorflow:RaggedTensor"),
        factory="revgrad_tensorflow.backend:TensorflowBackend",
        requires="tensorflow>=2.7",
        harness="revgrad_tensorflow.testing:TensorflowHarness",
    )
    return (spec,)
