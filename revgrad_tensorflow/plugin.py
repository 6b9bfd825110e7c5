"""Announces the backend for TensorFlow; strings only."""

import revgrad


@revgrad.hookimpl
def revgrad_backends() -> revgrad.BackendSpec:
    """Announce the backend ``"tensorflow"``."""
    return revgrad.BackendSpec(
        name="tensorflow",
        # What a traced function sees is a Tensor, too.
        claims=("tensorflow:Tensor", "tensorflow:Variable", "tensorflow:RaggedTensor"),
        factory="revgrad_tensorflow.backend:TensorflowBackend",
        requires="tensorflow>=2.7",
        harness="revgrad_tensorflow.testing:TensorflowHarness",
    )
