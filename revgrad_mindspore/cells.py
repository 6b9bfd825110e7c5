"""`GradientReversal`: the reversal as a Cell, with λ in a parameter that is not trained."""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import nn, ops

from revgrad import LambdaVariable
from revgrad._names import set_module
from revgrad.backend import cast_lambda, lambda_as_float, learnable_lambda_error
from revgrad_mindspore.native import native
from revgrad_mindspore.ops import Scale

__all__ = ["GradientReversal"]


@set_module("revgrad_mindspore")
class GradientReversal(nn.Cell):  # type: ignore[misc, unused-ignore]
    """The identity, whose gradient is multiplied by ``-lam``, in PyNative and in Graph mode.

    Parameters
    ----------
    lam : float, mindspore.Tensor or LambdaVariable, optional
        λ at first: real, finite, at least 0. A `revgrad.LambdaVariable` drives the Cell: what it is
        set to is written to the parameter, and what is assigned to the Cell is written to the
        variable.

    Attributes
    ----------
    lam : mindspore.Parameter
        λ, a float32 scalar with ``requires_grad=False``, which checkpoints hold. Assign a number,
        ``cell.lam = 0.3``, to set it. A compiled graph sees it at its next run.

    Raises
    ------
    InvalidLambdaError
        If `lam`, or what is assigned to the attribute, is not a λ. What ``load_param_into_net`` or
        ``set_data`` write to the parameter is validated when the Cell is next called, and not
        inside a compiled graph.

    Examples
    --------
    >>> import mindspore as ms
    >>> cell = GradientReversal(0.5)
    >>> ms.grad(lambda x: cell(x).sum())(ms.ops.ones(2)).asnumpy().tolist()
    [-0.5, -0.5]
    >>> cell.lam = 2
    >>> cell
    GradientReversal(lam=2)
    """

    def __init__(self, lam: Any = 1.0) -> None:
        super().__init__()
        self._variable = lam if isinstance(lam, LambdaVariable) else None
        self._number = _rounded(lam.value if isinstance(lam, LambdaVariable) else lam)
        self.lam = ms.Parameter(ms.Tensor(self._number, ms.float32), "lam", requires_grad=False)
        self._scale = Scale()
        if self._variable is not None:
            self._variable.cell(native)[id(self)] = self

    def construct(self, x: Any) -> Any:
        """Return the reversal of `x`, a tensor of any shape and a real floating dtype."""
        return self._scale(x, -ops.stop_gradient(self.lam).astype(x.dtype))

    def __call__(self, x: Any) -> Any:
        """Validate what was written to the parameter, and run `construct`."""
        native.dtype(x)
        if self.lam.requires_grad:
            raise learnable_lambda_error()
        number = self.lam.asnumpy().item()
        if number != self._number:
            self._set(lambda_as_float(number))
        return super().__call__(x)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "lam" and "_scale" in self._cells:
            self._set(_rounded(value))
        else:
            super().__setattr__(name, value)

    def _set(self, number: float) -> None:
        """Set λ, and the variable that drives the Cell unless it agrees."""
        if self._variable is not None and _rounded(self._variable.value) != number:
            self._variable.value = number
        self._write(number)

    def _write(self, number: float) -> None:
        self._number = _rounded(number)
        # Not set_data(): a compiled graph goes on with the value before.
        ops.assign(self.lam, ms.Tensor(self._number, ms.float32))

    def __repr__(self) -> str:
        return f"GradientReversal(lam={self._number:.6g})"


def _rounded(lam: Any) -> float:
    """Validate λ and round it to single precision, that of the parameter."""
    if isinstance(lam, ms.Tensor) and not lam.ndim:
        if isinstance(lam, ms.Parameter) and lam.requires_grad:
            raise learnable_lambda_error()
        lam = lam.item()
    return float(cast_lambda(lambda_as_float(lam), "float32"))
