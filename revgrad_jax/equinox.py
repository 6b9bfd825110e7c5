"""`GradientReversal` for Equinox."""

from typing import Any, Tuple

import equinox as eqx

from revgrad_jax.native import stored_lambda
from revgrad_jax.ops import reverse_gradient


class GradientReversal(eqx.nn.StatefulLayer):
    """The identity, whose gradient is multiplied by ``-lam``; λ is in the state of the model.

    Equinox trains the arrays of a model, so λ is not one of them: it is state, as the statistics
    of a batch normalisation are.

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
    >>> layer, state = eqx.nn.make_with_state(GradientReversal)(0.5)
    >>> jax.grad(lambda x: layer(x, state)[0])(3.0)
    Array(-0.5, dtype=float32, weak_type=True)
    >>> state = layer.set_lam(state, 2.0)
    >>> jax.grad(lambda x: layer(x, state)[0])(3.0)
    Array(-2., dtype=float32, weak_type=True)
    """

    lam: eqx.nn.StateIndex[Any]

    def __init__(self, lam: float = 1.0) -> None:
        self.lam = eqx.nn.StateIndex(stored_lambda(lam))

    def __call__(self, x: Any, state: eqx.nn.State, *, key: Any = None) -> Tuple[Any, Any]:
        """Return the reversal of `x`, and the state as it was.

        Parameters
        ----------
        x : jax.Array or pytree of them
            Of any shape, floating dtype.
        state : equinox.nn.State
            Holds λ.
        key : jax.Array, optional
            Ignored; `equinox.nn.Sequential` passes it.

        Returns
        -------
        tuple
            The reversal and `state`.
        """
        return reverse_gradient(x, state.get(self.lam)), state

    def set_lam(self, state: eqx.nn.State, lam: float) -> eqx.nn.State:
        """Return the state with another λ; nothing is compiled again.

        Parameters
        ----------
        state : equinox.nn.State
            Equinox makes it invalid, so that it cannot be used by mistake afterwards.
        lam : float
            The new λ: real, finite, at least 0.

        Returns
        -------
        equinox.nn.State
            Of the same structure.

        Raises
        ------
        InvalidLambdaError
            If `lam` is not a λ.
        """
        return state.set(self.lam, stored_lambda(lam))
