"""`reverse_gradient` and `scale_gradient`: a Cell with a `bprop`."""

from __future__ import annotations

from typing import Any, Tuple

import mindspore as ms
from mindspore import nn, ops

from revgrad._names import set_module
from revgrad.backend import Lambda, resolve
from revgrad_mindspore.native import native

__all__ = ["multiply_gradient", "reverse_gradient", "scale_gradient"]


@set_module("revgrad_mindspore")
def reverse_gradient(x: ms.Tensor, lam: Lambda) -> ms.Tensor:
    """Return `x` unchanged and multiply the gradient that flows back through it by ``-lam``.

    It is for PyNative mode. In a function that MindSpore compiles, use
    `revgrad_mindspore.GradientReversal`.

    Parameters
    ----------
    x : mindspore.Tensor
        Any shape, a real floating dtype.
    lam : float, numpy.ndarray, mindspore.Tensor or LambdaVariable
        λ, as it is at the forward pass. An array or a tensor must broadcast to `x` without
        enlarging it.

    Returns
    -------
    mindspore.Tensor
        Of the values of `x`, in its memory.

    Raises
    ------
    UnsupportedTypeError
        If `x` is not a tensor, or its dtype is complex or carries no gradient.
    InvalidLambdaError
        If `lam` is not a λ, asks for a gradient, is too large for the dtype of `x`, or would
        enlarge it. The numbers of a tensor are validated where MindSpore computes on the CPU.

    Examples
    --------
    >>> import mindspore as ms
    >>> ms.grad(lambda x: reverse_gradient(x, 0.5).sum())(ms.ops.ones(2)).asnumpy().tolist()
    [-0.5, -0.5]
    """
    result: ms.Tensor = multiply_gradient(x, -resolve(x, lam, native))
    return result


@set_module("revgrad_mindspore")
def scale_gradient(x: ms.Tensor, factor: Lambda) -> ms.Tensor:
    """Return `x` unchanged and multiply the gradient that flows back through it by `factor`.

    Parameters
    ----------
    x : mindspore.Tensor
        Any shape, a real floating dtype.
    factor : float, numpy.ndarray, mindspore.Tensor or LambdaVariable
        Any real, finite number. What `revgrad_mindspore.reverse_gradient` says of λ holds for it.

    Returns
    -------
    mindspore.Tensor
        Of the values of `x`, in its memory.

    Raises
    ------
    UnsupportedTypeError
        As for `revgrad_mindspore.reverse_gradient`.
    InvalidLambdaError
        As for `revgrad_mindspore.reverse_gradient`; negative numbers are accepted.

    Examples
    --------
    >>> import mindspore as ms
    >>> ms.grad(lambda x: scale_gradient(x, -2).sum())(ms.ops.ones(2)).asnumpy().tolist()
    [-2.0, -2.0]
    """
    result: ms.Tensor = multiply_gradient(x, resolve(x, factor, native, signed=True))
    return result


class Scale(nn.Cell):  # type: ignore[misc, unused-ignore]
    """The identity, whose gradient is multiplied by a factor of the dtype of `x`."""

    def construct(self, x: Any, factor: Any) -> Any:
        """Return `x` under another name; MindSpore keeps a write to one from the other."""
        return ops.identity(x)

    def bprop(self, x: Any, factor: Any, out: Any, dout: Any) -> Tuple[Any, Any]:
        """Return the gradients of `x` and of `factor`; by operators, which are differentiated."""
        return dout * factor, factor * 0


multiply_gradient = Scale()
