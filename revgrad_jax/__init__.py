"""Gradient reversal for JAX: the backend ``"jax"`` of `revgrad`, and its native functions.

Importing this package imports no JAX; its names load it on first use. The layers are in
`revgrad_jax.equinox`, `revgrad_jax.linen` and `revgrad_jax.nnx`.
"""

from typing import TYPE_CHECKING

from revgrad._names import lazy_names

if TYPE_CHECKING:
    from revgrad_jax.ops import reverse_gradient, scale_gradient

__all__ = ["reverse_gradient", "scale_gradient"]

__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, "ops"))
