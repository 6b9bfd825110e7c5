"""Adapts the function to the core."""

from __future__ import annotations

import weakref
from typing import Any

import torch

from revgrad import Backend
from revgrad_torch.ops import reverse_judged


class LambdaCell:
    """Where a compiled program and modules find the λ of a `revgrad.LambdaVariable`.

    Parameters
    ----------
    value : float
        λ at first.

    Attributes
    ----------
    tensor : torch.Tensor
        λ in float64, of no dimensions. It is replaced when λ changes, and never written to: a
        forward pass that has seen it keeps its value for the backward pass.
    modules : weakref.WeakSet
        The modules whose buffers follow.
    """

    def __init__(self, value: float) -> None:
        self.tensor = torch.tensor(value, dtype=torch.float64)
        self.modules: Any = weakref.WeakSet()


class TorchBackend(Backend):
    """Reverses PyTorch tensors; the cell of a `LambdaVariable` is a `LambdaCell`."""

    capabilities = frozenset(
        {
            "compilations",
            "copies",
            "forward_mode",
            "graph_lambda",
            "half_precision",
            "lambda_array",
            "operations",
            "rewritten",
            "schedules",
            "second_order",
            "threads",
            "vectorised",
            "views",
        }
    )

    def reverse(self, x: Any, lam: Any) -> Any:
        """Return ``reverse_gradient(x, lam)``."""
        return reverse_judged(x, lam)

    def new_cell(self, value: float) -> LambdaCell:
        """Return a `LambdaCell`."""
        return LambdaCell(value)

    def set_cell(self, cell: LambdaCell, value: float) -> None:
        """Store `value` in a new tensor, and in the buffers of the modules that follow."""
        cell.tensor = torch.tensor(value, dtype=torch.float64)
        for module in cell.modules:
            module.lam = value

    @property
    def xp(self) -> Any:
        """`torch`."""
        return torch

    def constant(self, value: float, like: Any) -> Any:
        """Return a tensor of the dtype and device of `like`: torch.minimum takes no number."""
        return torch.full((), value, dtype=like.dtype, device=like.device)
