"""Adapts the function to the core."""

from __future__ import annotations

from typing import Any

import jax.numpy

from revgrad import Backend
from revgrad_jax.ops import reverse_gradient


class JaxBackend(Backend):
    """Reverses JAX arrays, tracers, and pytrees of them where the backend is named."""

    capabilities = frozenset(
        {
            "compilations",
            "copies",
            "forward_mode",
            "graph_lambda",
            "half_precision",
            "lambda_array",
            "operations",
            "schedules",
            "second_order",
            "threads",
            "vectorised",
            "views",
        }
    )

    def reverse(self, x: Any, lam: Any) -> Any:
        """Return ``reverse_gradient(x, lam)``."""
        return reverse_gradient(x, lam)

    @property
    def xp(self) -> Any:
        """`jax.numpy`."""
        return jax.numpy
