"""`reverse_gradient`: the reversal as an autograd Function, and as plain operations for tracers."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
import torch

from revgrad import InvalidLambdaError, LambdaVariable, UnsupportedTypeError, get_backend
from revgrad.backend import (
    check_lambda_shape,
    normalize_lambda,
    no_gradient_error,
    unknown_lambda_error,
)

__all__ = ["by_residual", "learnable_lambda_error", "reverse_gradient", "reverse_judged"]


def reverse_gradient(x: Any, lam: Any) -> Any:
    """Return `x` unchanged and multiply the gradient that flows back through it by ``-lam``.

    Parameters
    ----------
    x : torch.Tensor or torch.fx.Proxy
        Any shape, a floating or complex dtype.
    lam : float, numpy.ndarray, torch.Tensor or LambdaVariable
        λ, as it is now: what it is set to before the backward pass does not count. A tensor is
        cast to the dtype of `x`, and must broadcast to its shape without enlarging it.

    Returns
    -------
    torch.Tensor
        It shares the memory of `x`, as `torch.Tensor.detach` does. What is written to the one in
        place is seen in the other, but not in the gradient that arrives at the other.

    Raises
    ------
    UnsupportedTypeError
        If `x` is no tensor, or its dtype carries no gradient.
    InvalidLambdaError
        If `lam` is not a λ, asks for a gradient, is too large for the dtype of `x`, or would
        enlarge it; or if it is a `LambdaVariable` where the program is exported, which would
        freeze it.

    Notes
    -----
    An autograd Function serves eager tensors, ``torch.func`` and ``torch.compile``. Where that
    Function would be lost, in an exported or traced program and inside the ``torch.func``
    transforms of a compiled one, stands `revgrad.backend.residual_form` instead. It passes no
    gradient on at elements of `x` that are not finite.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> reverse_gradient(x, 0.5).sum().backward()
    >>> x.grad
    tensor([-0.5000, -0.5000])
    """
    return reverse_judged(x, normalize_lambda(lam))


def reverse_judged(x: Any, lam: Any) -> Any:
    """Reverse with a λ that `revgrad.backend.normalize_lambda` has returned; see `reverse_gradient`."""
    if not isinstance(x, torch.Tensor):
        if isinstance(x, torch.fx.Proxy):  # one node, not what it consists of
            if isinstance(lam, LambdaVariable):
                raise _frozen(lam)
            return x.tracer.create_proxy("call_function", reverse_gradient, (x, lam), {})
        raise UnsupportedTypeError(
            f"reverse() got a {type(x).__name__}, which is no tensor. Pass torch.as_tensor(x)."
        )
    if not (x.is_floating_point() or x.is_complex()):
        raise no_gradient_error(x, x.dtype)
    compiling = torch.compiler.is_compiling()
    # Not is_exporting(): before PyTorch 2.13 torch.compile answers yes to that.
    recorded = compiling and torch.compiler._is_exporting_flag or torch.jit.is_tracing()
    if isinstance(lam, LambdaVariable):
        if recorded:
            raise _frozen(lam)
        if compiling:
            _make_cell(lam)
            lam = lam.cell(get_backend("torch")).tensor
        else:
            lam = lam.value
    factor = _factor(lam, x)
    transformed = torch._C._are_functorch_transforms_active()
    if recorded or compiling and transformed:
        if torch.onnx.is_in_onnx_export():
            return x  # ONNX has no gradient
        return by_residual(x, factor)
    if compiling:
        return _CompiledReverseGradient.apply(x, factor)
    if transformed:
        return _TransformedReverseGradient.apply(x, torch.as_tensor(factor, dtype=_real_dtype(x)))
    return ReverseGradient.apply(x, factor)


def by_residual(x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Return `x` with the derivative `factor`, by operations that every program can hold.

    Parameters
    ----------
    x : torch.Tensor
        Any shape, floating or complex dtype.
    factor : float or torch.Tensor
        -λ, of the dtype of `x`.

    Returns
    -------
    torch.Tensor
        Of the values of `x`.

    Notes
    -----
    It is `revgrad.backend.residual_form`, written such that TorchScript compiles it.
    """
    stopped = _stopped(x)
    residual = torch.where(torch.isfinite(stopped), x - stopped, torch.zeros_like(stopped))
    return stopped + factor * residual


def _stopped(x: torch.Tensor) -> torch.Tensor:
    if torch.jit.is_scripting() or torch.jit.is_tracing():  # they do not know the view below
        return x.detach()
    # Integers carry no gradient. A detach() is dropped where an exported program is decomposed.
    if x.is_complex():
        return torch.view_as_complex(_stopped_reals(torch.view_as_real(x.resolve_conj())))
    return _stopped_reals(x)


def _stopped_reals(x: torch.Tensor) -> torch.Tensor:
    size = x.element_size()
    integer = torch.int64 if size == 8 else torch.int32 if size == 4 else torch.int16
    return x.view(integer).view(x.dtype)


class _CompiledReverseGradient(torch.autograd.Function):
    """The Function that torch.compile traces; it refuses one that has a `jvp`."""

    @staticmethod
    def forward(ctx: Any, x: Any, factor: Any) -> Any:
        # Not by save_for_backward: a checkpoint would recompute it, with the λ of that time.
        ctx.factor = factor
        # Not a view: autograd asks the tangent of a view to be a view, and lets nobody write to it.
        return x.detach()

    @staticmethod
    def backward(ctx: Any, g: Any) -> Tuple[Any, None]:
        return _scale(g, ctx.factor), None


class ReverseGradient(_CompiledReverseGradient):
    """The Function for eager tensors, dual numbers included."""

    @staticmethod
    def jvp(ctx: Any, tangent: Any, _: Any) -> Any:
        return None if tangent is None else _scale(tangent, ctx.factor)


class _TransformedReverseGradient(torch.autograd.Function):
    """The Function for torch.func, which asks for another form; it costs three times as much."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Any, factor: Any) -> Any:
        return x.detach()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[1])
        ctx.save_for_forward(inputs[1])

    @staticmethod
    def backward(ctx: Any, g: Any) -> Tuple[Any, None]:
        return _scale(g, *ctx.saved_tensors), None

    @staticmethod
    def jvp(ctx: Any, tangent: Any, _: Any) -> Any:
        return None if tangent is None else _scale(tangent, *ctx.saved_tensors)


def _scale(g: Any, factor: Any) -> Any:
    if g.is_complex():  # as a complex product, inf would become nan
        return torch.complex(g.real * factor, g.imag * factor)
    return g * factor


def _factor(lam: Any, x: torch.Tensor) -> Any:
    """Return -λ: a number, or a tensor of the real dtype that belongs to the dtype of `x`."""
    dtype = _real_dtype(x)
    if isinstance(lam, float):
        if lam > torch.finfo(dtype).max:
            raise _too_large(lam, x)
        # A number is rounded to single precision where it meets a tensor of half.
        return -lam if dtype.itemsize >= 4 else torch.tensor(-lam, dtype=dtype)
    if isinstance(lam, np.ndarray):
        check_lambda_shape(lam.shape, x.shape)
        factor = -torch.from_numpy(np.array(lam)).to(x.device, dtype)
        if not factor.isfinite().all():
            raise _too_large(lam.max(), x)
        return factor
    if not isinstance(lam, torch.Tensor):
        raise unknown_lambda_error(lam, "a torch.Tensor")
    if lam.requires_grad:
        raise learnable_lambda_error()
    if lam.is_complex() or lam.dtype == torch.bool:
        raise InvalidLambdaError(
            f"λ must be real; got a tensor of dtype {lam.dtype}. Cast it to a float dtype."
        )
    if lam.dim():
        check_lambda_shape(lam.shape, x.shape)
    return -lam.to(dtype)  # a new tensor, which keeps the value that λ has now


def _real_dtype(x: torch.Tensor) -> torch.dtype:
    return x.real.dtype if x.is_complex() else x.dtype


def learnable_lambda_error() -> InvalidLambdaError:
    """Build the error for a λ that asks for a gradient."""
    return InvalidLambdaError(
        "λ asks for a gradient (requires_grad=True), and the reversal gives it none: it would "
        "never move. Give lam.detach() or a number, and change λ by hand or by a schedule."
    )


def _too_large(lam: float, x: torch.Tensor) -> InvalidLambdaError:
    return InvalidLambdaError(
        f"λ = {lam} is too large for x of dtype {x.dtype}: it would become infinite."
    )


def _frozen(lam: LambdaVariable) -> InvalidLambdaError:
    return InvalidLambdaError(
        f"{lam!r} was given as λ to a program that is exported or traced, which would freeze its "
        "value. Use revgrad_torch.GradientReversal, whose λ is a buffer, or make λ an argument of "
        "the program: a tensor."
    )


def _make_cell(lam: LambdaVariable) -> None:
    lam.cell(get_backend("torch"))


# torch.compile runs it while it traces: the lock in there cannot be traced. Its id guards `lam`.
_make_cell._dynamo_marked_constant = True  # type: ignore[attr-defined]
