"""`GradientReversal`: the reversal as a module of ``mlx.nn``."""

from __future__ import annotations

from typing import Any, Dict, Optional, Set

import mlx.core as mx
from mlx.nn.layers.base import Module

from revgrad import LambdaVariable
from revgrad._names import set_module
from revgrad.backend import cast_lambda, lambda_as_float
from revgrad_mlx.native import native, number_of
from revgrad_mlx.ops import reverse_gradient

__all__ = ["GradientReversal"]


@set_module("revgrad_mlx")
class GradientReversal(Module):
    """The identity, whose gradient is multiplied by ``-lam``; λ is a parameter that stays frozen.

    Parameters
    ----------
    lam : float, mlx.core.array or LambdaVariable, optional
        λ at first: real, finite, at least 0. A `revgrad.LambdaVariable` drives the module: what it
        is set to is written to the module, and what is assigned to or loaded into the module is
        written to the variable.

    Attributes
    ----------
    lam : mlx.core.array
        λ, a float32 array of no dimensions. It is saved with the weights, and stays float32 when
        the module is cast. Assign a number, ``module.lam = 0.3``, to set it. A function that is
        compiled with ``inputs=model.state`` sees it at its next run, without compiling again.

    Raises
    ------
    InvalidLambdaError
        If `lam`, or what is assigned to the attribute or loaded, is not a λ.

    Notes
    -----
    As the statistics of `mlx.nn.BatchNorm` it is among ``parameters()`` and not among
    ``trainable_parameters()``; ``unfreeze()`` does not change that.

    Examples
    --------
    >>> import mlx.core as mx
    >>> module = GradientReversal(0.5)
    >>> mx.grad(lambda x: module(x).sum())(mx.ones(2))
    array([-0.5, -0.5], dtype=float32)
    >>> module.lam = 2
    >>> module
    GradientReversal(lam=2)
    """

    _variable: Optional[LambdaVariable] = None  # pickle sets the items before the attributes

    def __init__(self, lam: Any = 1.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call, unused-ignore]
        self._variable = lam if isinstance(lam, LambdaVariable) else None
        self["lam"] = lam.value if isinstance(lam, LambdaVariable) else lam
        self._follow()

    def __call__(self, x: mx.array) -> mx.array:
        """Return the reversal of `x`, as `revgrad_mlx.reverse_gradient` does."""
        return reverse_gradient(x, self.lam)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "lam":
            self["lam"] = value
        else:
            super().__setattr__(name, value)

    def __setitem__(self, name: str, value: Any) -> None:
        # Assignment, update(), load_weights(), apply() and set_dtype() all come here.
        if name == "lam":
            if isinstance(value, mx.array):
                number = number_of(value)
                if number is None:
                    super().__setitem__(name, mx.stop_gradient(value).astype(mx.float32))
                    return
                if name in self and number == number_of(self.lam.astype(value.dtype)):
                    return  # set_dtype() has rounded it
                value = number
            lam = cast_lambda(lambda_as_float(value), "float32")
            if self._variable is not None and cast_lambda(self._variable.value, "float32") != lam:
                self._variable.value = float(lam)
            self._write(float(lam))
        else:
            super().__setitem__(name, value)

    def _write(self, number: float) -> None:
        super().__setitem__("lam", mx.array(number, mx.float32))

    def _follow(self) -> None:
        if self._variable is not None:
            self._variable.cell(native)[id(self)] = self
            self._write(self._variable.value)

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._follow()

    @property
    def _no_grad(self) -> Set[str]:
        # A new set each time: unfreeze() of a model empties the sets of all modules in it.
        return {"lam"}

    @_no_grad.setter
    def _no_grad(self, keys: Set[str]) -> None:
        pass

    def _extra_repr(self) -> str:
        number = number_of(self.lam)
        return "" if number is None else f"lam={number:.6g}"
