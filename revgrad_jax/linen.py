"""`GradientReversal` for Flax Linen."""

from typing import Any

import flax.linen as nn
from flax.errors import SetAttributeFrozenModuleError

from revgrad_jax.native import stored_lambda
from revgrad_jax.ops import reverse_gradient


class GradientReversal(nn.Module):
    """The identity, whose gradient is multiplied by ``-lam``; λ is a variable, not a parameter.

    It is the float32 scalar ``"lam"`` in the collection ``"revgrad"``: pass another one to
    ``apply`` and λ changes, without compiling again.

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
    >>> import jax.numpy as jnp
    >>> layer = GradientReversal(0.5)
    >>> variables = layer.init(jax.random.PRNGKey(0), jnp.ones(2))
    >>> jax.grad(lambda x: layer.apply(variables, x).sum())(jnp.ones(2))
    Array([-0.5, -0.5], dtype=float32)
    >>> variables = {"revgrad": {"lam": jnp.float32(2.0)}}
    >>> jax.grad(lambda x: layer.apply(variables, x).sum())(jnp.ones(2))
    Array([-2., -2.], dtype=float32)
    """

    lam: float = 1.0

    def __post_init__(self) -> None:
        stored_lambda(self.lam)
        super().__post_init__()

    def __setattr__(self, name: str, value: Any) -> None:
        # Flax freezes a module once it is bound; before, the variables would keep their λ.
        if name == "lam" and "lam" in vars(self):
            owner = type(self).__name__
            raise SetAttributeFrozenModuleError(owner, name, value)  # type: ignore[no-untyped-call]
        super().__setattr__(name, value)

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
        lam = self.variable("revgrad", "lam", stored_lambda, self.lam)
        return reverse_gradient(x, lam.value)
