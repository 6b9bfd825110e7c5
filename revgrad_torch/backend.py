"""Adapts the functions to the core."""

from typing import Any

import torch

from revgrad.backend import EVERY_CAPABILITY, Backend
from revgrad_torch._features import LIMITS, UNSUPPORTED
from revgrad_torch.native import TorchNative, native
from revgrad_torch.ops import multiply_gradient, reverse_gradient, scale_gradient


class TorchBackend(Backend):
    """Reverses PyTorch tensors; a `LambdaVariable` is read at each forward pass."""

    native: TorchNative = native
    capabilities = EVERY_CAPABILITY.difference(UNSUPPORTED)
    limits = LIMITS
    multiply_gradient = staticmethod(multiply_gradient)
    reverse = staticmethod(reverse_gradient)
    scale_gradient = staticmethod(scale_gradient)
    xp = property(lambda self: torch)

    def constant(self, value: float, like: Any) -> Any:
        """Return a tensor of the dtype and device of `like`: torch.minimum takes no number."""
        return torch.full((), value, dtype=like.dtype, device=like.device)
