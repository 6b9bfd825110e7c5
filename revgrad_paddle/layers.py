"""`GradientReversal`: the reversal as a layer, with λ in a buffer."""

from __future__ import annotations

from typing import Any, Dict

import paddle

from revgrad import LambdaVariable
from revgrad._names import set_module
from revgrad._tracers import not_rewritten
from revgrad.backend import cast_lambda, lambda_as_float, learnable_lambda_error
from revgrad_paddle.native import is_readable, native
from revgrad_paddle.ops import reverse_gradient

__all__ = ["GradientReversal"]


@set_module("revgrad_paddle")
class GradientReversal(paddle.nn.Layer):
    """The identity, whose gradient is multiplied by ``-lam``; λ is a buffer, not a parameter.

    Parameters
    ----------
    lam : float, paddle.Tensor or LambdaVariable, optional
        λ at first: real, finite, at least 0. A `revgrad.LambdaVariable` drives the layer: what it
        is set to is written to the buffer, and what is assigned to the layer or loaded into it is
        written to the variable.

    Attributes
    ----------
    lam : paddle.Tensor
        λ, a float32 tensor of no dimensions. It is in the ``state_dict``, and stays float32 when
        the layer is cast. Assign a number, ``layer.lam = 0.3``, to set it. A program that
        ``paddle.jit.to_static`` has built sees it at its next run.

    Raises
    ------
    InvalidLambdaError
        If `lam`, or what is assigned to the attribute, is not a λ. What ``set_state_dict`` or
        ``set_value`` write to the buffer is validated at the next forward pass outside a program,
        where the buffer is on the CPU.

    Examples
    --------
    >>> import paddle
    >>> layer = GradientReversal(0.5)
    >>> x = paddle.ones([2])
    >>> x.stop_gradient = False
    >>> layer(x).sum().backward()
    >>> x.grad.tolist()
    [-0.5, -0.5]
    >>> layer.lam = 2
    >>> layer
    GradientReversal(lam=2)
    """

    def __init__(self, lam: Any = 1.0) -> None:
        super().__init__()
        self._variable = lam if isinstance(lam, LambdaVariable) else None
        self._number = _rounded(lam.value if isinstance(lam, LambdaVariable) else lam)
        self.register_buffer("lam", _tensor(self._number))
        self._follow()

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Return the reversal of `x`, as `revgrad_paddle.reverse_gradient` does."""
        return _reverse(self, x)

    def extra_repr(self) -> str:
        """Return λ."""
        return f"lam={self._number:.6g}"

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "lam" and "lam" in self._buffers:
            self._set(_rounded(value))
        else:
            super().__setattr__(name, value)

    def _read(self) -> float:
        """Return what the buffer holds, validated unless it is what was written last."""
        number = self._buffers["lam"].item()
        if number != self._number:
            self._set(lambda_as_float(number))
        return self._number

    def _set(self, number: float) -> None:
        """Set λ, and the variable that drives the layer unless it agrees."""
        if self._variable is not None and _rounded(self._variable.value) != number:
            self._variable.value = number
        self._write(number)

    def _write(self, number: float) -> None:
        """Write λ to the buffer, in place: a program that reads it sees it."""
        self._number = _rounded(number)
        self._buffers["lam"].set_value(_tensor(self._number))

    def _follow(self) -> None:
        if self._variable is not None:
            self._variable.cell(native).add(self)
            self._write(self._variable.value)

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._follow()

    def _apply(self, *arguments: Any, **options: Any) -> Any:
        if is_readable(self._buffers["lam"]):
            self._read()
        super()._apply(*arguments, **options)
        lam = self._buffers["lam"]
        if lam.dtype != paddle.float32:
            self._buffers["lam"] = paddle.to_tensor(self._number, paddle.float32, lam.place)
        return self


@not_rewritten
def _reverse(layer: GradientReversal, x: paddle.Tensor) -> paddle.Tensor:
    lam = layer._buffers["lam"]
    return reverse_gradient(x, layer._read() if is_readable(lam) else lam)


def _tensor(number: float) -> Any:
    return paddle.to_tensor(number, dtype=paddle.float32)


def _rounded(lam: Any) -> float:
    """Validate λ and round it to single precision, that of the buffer."""
    if isinstance(lam, paddle.Tensor) and not lam.ndim:
        if not lam.stop_gradient:
            raise learnable_lambda_error()
        lam = lam.item()
    return float(cast_lambda(lambda_as_float(lam), "float32"))
