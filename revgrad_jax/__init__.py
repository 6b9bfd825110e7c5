"""Gradient reversal for JAX: the backend ``"jax"`` of `revgrad`, and its native function.

Importing this package imports no JAX; its names load it on first use. The layers are in
`revgrad_jax.equinox`, `revgrad_jax.linen` and `revgrad_jax.nnx`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from revgrad_jax.ops import reverse_gradient

__all__ = ["reverse_gradient"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from revgrad_jax import ops

        return getattr(ops, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
