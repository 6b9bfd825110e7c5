"""`GradientReversal` for Flax NNX."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from flax import nnx

from revgrad import LambdaVariable
from revgrad_jax.ops import reverse_gradient

__all__ = ["GradientReversal", "Lambda"]


class Lambda(nnx.Variable):
    """The λ of a reversal: state of the model, and no parameter."""


class GradientReversal(nnx.Module):
    """The identity, whose gradient is multiplied by ``-lam``; λ is a `Lambda`, and no parameter.

    Parameters
    ----------
    lam : float, optional
        λ at first: real, finite, at least 0.

    Raises
    ------
    InvalidLambdaError
        If `lam` is not a λ.

    Examples
    --------
    >>> import jax
    >>> layer = GradientReversal(0.5)
    >>> jax.grad(lambda x: layer(x).sum())(jnp.ones(2))
    Array([-0.5, -0.5], dtype=float32)
    >>> layer.lam[...] = 2.0
    >>> jax.grad(lambda x: layer(x).sum())(jnp.ones(2))
    Array([-2., -2.], dtype=float32)
    """

    def __init__(self, lam: float = 1.0) -> None:
        self.lam = Lambda(jnp.asarray(LambdaVariable(lam).value, "float32"))

    def __call__(self, x: Any) -> Any:
        """Return the reversal of `x`.

        Parameters
        ----------
        x : jax.Array or pytree of them
            Of any shape, floating dtype.

        Returns
        -------
        jax.Array or pytree of them
            Equal to `x` bit for bit.
        """
        return reverse_gradient(x, self.lam[...])
