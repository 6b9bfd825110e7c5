"""`GradientReversal` for Flax NNX."""

from typing import Any

from flax import nnx

from revgrad.backend import learnable_lambda_error
from revgrad_jax.native import stored_lambda
from revgrad_jax.ops import reverse_gradient

__all__ = ["GradientReversal", "Lambda"]


class Lambda(nnx.Variable[Any]):
    """The λ of a reversal: state of the model, not a parameter. What is set is validated."""

    def create_value(self, value: Any) -> Any:
        """Return the first value as a float32 scalar."""
        return stored_lambda(value)

    def set_value(self, value: Any, **where: Any) -> None:
        """Set λ: ``lam[...] = value`` comes here too."""
        super().set_value(stored_lambda(value), **where)


class GradientReversal(nnx.Module):
    """The identity, whose gradient is multiplied by ``-lam``; λ is a `Lambda`, not a parameter.

    Parameters
    ----------
    lam : float, optional
        λ at first: real, finite, at least 0.

    Raises
    ------
    InvalidLambdaError
        If `lam` is not a λ, here or where it is set later.

    Examples
    --------
    >>> import jax
    >>> import jax.numpy as jnp
    >>> layer = GradientReversal(0.5)
    >>> jax.grad(lambda x: layer(x).sum())(jnp.ones(2))
    Array([-0.5, -0.5], dtype=float32)
    >>> layer.lam = 2.0
    >>> jax.grad(lambda x: layer(x).sum())(jnp.ones(2))
    Array([-2., -2.], dtype=float32)
    """

    lam: Lambda

    def __init__(self, lam: float = 1.0) -> None:
        self.lam = Lambda(lam)

    def __setattr__(self, name: str, value: Any) -> None:
        # A float in place of the variable would be a constant of every compiled function.
        if name == "lam" and not isinstance(value, Lambda):
            if isinstance(value, nnx.Variable):
                raise learnable_lambda_error()
            self.lam.set_value(value)
        else:
            super().__setattr__(name, value)

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
