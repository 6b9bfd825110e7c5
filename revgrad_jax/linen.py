"""`GradientReversal` for Flax Linen."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from revgrad import LambdaVariable
from revgrad_jax.ops import reverse_gradient

__all__ = ["GradientReversal"]


class GradientReversal(nn.Module):
    """The identity, whose gradient is multiplied by ``-lam``; λ is a variable, and no parameter.

    It lies in the collection ``"revgrad"`` as a float32 scalar named ``"lam"``: give another one to
    ``apply`` and it changes, without compiling again.

    Parameters
    ----------
    lam : float, optional
        λ at first: real, finite, at least 0.

    Raises
    ------
    InvalidLambdaError
        If `lam` is not a λ, when the module is called.

    Examples
    --------
    >>> import jax
    >>> layer = GradientReversal(0.5)
    >>> variables = layer.init(jax.random.PRNGKey(0), jnp.ones(2))
    >>> jax.grad(lambda x: layer.apply(variables, x).sum())(jnp.ones(2))
    Array([-0.5, -0.5], dtype=float32)
    >>> variables = {"revgrad": {"lam": jnp.float32(2.0)}}
    >>> jax.grad(lambda x: layer.apply(variables, x).sum())(jnp.ones(2))
    Array([-2., -2.], dtype=float32)
    """

    lam: float = 1.0

    @nn.compact
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
        first = LambdaVariable(self.lam).value
        lam = self.variable("revgrad", "lam", lambda: jnp.asarray(first, "float32"))
        return reverse_gradient(x, lam.value)
