"""`reverse_gradient` and `scale_gradient`: a PyLayer, and plain operations in a program."""

from __future__ import annotations

from typing import Any, cast

import paddle
from paddle.autograd import PyLayer

from revgrad._names import set_module
from revgrad._tracers import not_rewritten
from revgrad.backend import Lambda, residual_form, resolve
from revgrad_paddle.native import native

__all__ = ["multiply_gradient", "reverse_gradient", "scale_gradient"]


@set_module("revgrad_paddle")
@not_rewritten
def reverse_gradient(x: paddle.Tensor, lam: Lambda) -> paddle.Tensor:
    """Return `x` unchanged and multiply the gradient that flows back through it by ``-lam``.

    Parameters
    ----------
    x : paddle.Tensor or paddle.pir.Value
        Any shape, a floating or complex dtype.
    lam : float, numpy.ndarray, paddle.Tensor, paddle.pir.Value or LambdaVariable
        λ, as it is at the forward pass. A number is a constant of a program that
        ``paddle.jit.to_static`` builds; a tensor that is an argument of it is not. An array or a
        tensor must broadcast to `x` without enlarging it.

    Returns
    -------
    paddle.Tensor or paddle.pir.Value
        A copy of `x`.

    Raises
    ------
    UnsupportedTypeError
        If `x` is not a tensor, or its dtype carries no gradient.
    InvalidLambdaError
        If `lam` is not a λ, asks for a gradient, is too large for the dtype of `x`, or would
        enlarge it; or if it is a `LambdaVariable` in a program that is built. The numbers of a
        tensor are validated where it is on the CPU and no program is built.

    Notes
    -----
    It copies: Paddle does not see that what a PyLayer returns was written to by another name. In a
    program it is `revgrad.backend.residual_form`, which ``paddle.jit.save`` keeps, and which passes
    no gradient on at elements of `x` that are not finite.

    Examples
    --------
    >>> import paddle
    >>> x = paddle.to_tensor([1.0, 2.0], stop_gradient=False)
    >>> reverse_gradient(x, 0.5).sum().backward()
    >>> x.grad.tolist()
    [-0.5, -0.5]
    """
    resolved: Any = resolve(x, lam, native)
    # paddle.neg adds zero, and would make 0.0 of -0.0.
    minus: Any = paddle.full_like(resolved, -1)
    return cast(paddle.Tensor, multiply_gradient(x, minus * resolved))


@set_module("revgrad_paddle")
@not_rewritten
def scale_gradient(x: paddle.Tensor, factor: Lambda) -> paddle.Tensor:
    """Return `x` unchanged and multiply the gradient that flows back through it by `factor`.

    Parameters
    ----------
    x : paddle.Tensor or paddle.pir.Value
        Any shape, a floating or complex dtype.
    factor : float, numpy.ndarray, paddle.Tensor, paddle.pir.Value or LambdaVariable
        Any real, finite number. What `revgrad_paddle.reverse_gradient` says of λ holds for it.

    Returns
    -------
    paddle.Tensor or paddle.pir.Value
        A copy of `x`.

    Raises
    ------
    UnsupportedTypeError
        If `x` is not a tensor, or its dtype carries no gradient.
    InvalidLambdaError
        As for `revgrad_paddle.reverse_gradient`; negative numbers are accepted.

    Examples
    --------
    >>> import paddle
    >>> x = paddle.to_tensor([1.0, 2.0], stop_gradient=False)
    >>> scale_gradient(x, paddle.to_tensor([0.5, -2.0])).sum().backward()
    >>> x.grad.tolist()
    [0.5, -2.0]
    """
    return cast(paddle.Tensor, multiply_gradient(x, resolve(x, factor, native, signed=True)))


def multiply_gradient(x: Any, factor: Any) -> Any:
    """Return `x` with a gradient that is multiplied by a resolved factor."""
    if paddle.in_dynamic_mode():
        return _Scale.apply(x, factor)  # type: ignore[no-untyped-call]
    # Plain operations are what paddle.jit.save writes. They work on a copy: Paddle computes x - s
    # in the memory of x, even where x is an output of the program, or shares it with s.
    return residual_form(paddle.assign(x), factor, _stopped, paddle)


def _stopped(x: Any) -> Any:
    copied = paddle.assign(x)
    copied.stop_gradient = True
    return copied


class _Scale(PyLayer):
    @staticmethod
    def forward(ctx: Any, x: Any, factor: Any) -> Any:
        ctx.factor = factor
        return paddle.assign(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        if g.is_complex():  # as a complex product, inf would become nan
            return paddle.complex(g.real() * ctx.factor, g.imag() * ctx.factor)
        return g * ctx.factor
