"""`reverse_gradient` and `scale_gradient`, as autograd Functions and as plain operations."""

from typing import Any, Callable, Dict, Tuple

import torch
from torch.autograd import forward_ad

from revgrad import LambdaVariable
from revgrad._names import set_module
from revgrad._tracers import traced_as
from revgrad.backend import Lambda, normalize_factor, normalize_lambda, residual_form, resolve
from revgrad_torch._features import BATCHES_VIEWS, is_compiling, is_exporting, outside_of_graphs
from revgrad_torch.native import frozen_error, is_dispatched, is_recording, native, runs_plainly

_MOST_FACTORS = 256
_factors: Dict[Tuple[float, torch.dtype], torch.Tensor] = {}
_unwrap_if_dead = torch._C._functorch.unwrap_if_dead
_transforms_active = torch._C._are_functorch_transforms_active


def _reverse_anything(x: Any, lam: Any) -> Any:
    if isinstance(x, torch.fx.Proxy) or isinstance(lam, torch.fx.Proxy):
        return _node(reverse_gradient, x, lam, normalize_lambda)
    return multiply_gradient(x, -resolve(x, lam, native))


@set_module("revgrad_torch")
@outside_of_graphs
@traced_as(_reverse_anything)
def reverse_gradient(x: torch.Tensor, lam: Lambda) -> torch.Tensor:
    """Return `x` unchanged and multiply the gradient that flows back through it by ``-lam``.

    Parameters
    ----------
    x : torch.Tensor or torch.fx.Proxy
        Any shape, a floating or complex dtype.
    lam : float, numpy.ndarray, torch.Tensor, LambdaVariable or torch.fx.Proxy
        λ, as it is now: what it is set to before the backward pass does not count. A tensor is
        cast to the dtype of `x`, and must broadcast to its shape without enlarging it.

    Returns
    -------
    torch.Tensor
        A view of `x` where `x` is strided and nothing is compiled or transformed. PyTorch then
        raises an error where one of the two is written to in place and the result is used
        afterwards.

    Raises
    ------
    UnsupportedTypeError
        If `x` is not a tensor, or its dtype carries no gradient.
    InvalidLambdaError
        If `lam` is not a λ, asks for a gradient, is too large for the dtype of `x`, or would
        enlarge it; or if it is a `LambdaVariable` where the program is exported or traced, which
        would freeze it. The numbers of a tensor are validated where it is on the CPU and nothing
        is traced or compiled.

    Notes
    -----
    An autograd Function serves eager tensors, ``torch.func`` and ``torch.compile``. In an exported
    or traced program, and inside the ``torch.func`` transforms of a compiled one, that Function
    would be lost: there it is `revgrad.backend.residual_form`, which passes no gradient on at
    elements of `x` that are not finite.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> reverse_gradient(x, 0.5).sum().backward()
    >>> x.grad
    tensor([-0.5000, -0.5000])
    """
    # The warm path: a number, or the value of a variable, and a plain tensor.
    kind = lam.__class__
    if (kind is float or kind is LambdaVariable) and runs_plainly(x):
        return reverse_number(x, lam if kind is float else lam.value)  # type: ignore[arg-type, union-attr]
    return _reverse_anything(x, lam)  # type: ignore[no-any-return]


def reverse_number(x: torch.Tensor, lam: float) -> torch.Tensor:
    """Reverse a plain tensor, where nothing traces or transforms."""
    factor = _factors.get((lam, x.dtype))
    if factor is None:
        with torch.inference_mode(False):
            factor = -resolve(x, lam, native)
        if len(_factors) >= _MOST_FACTORS:
            _factors.clear()
        if type(factor) is torch.Tensor:  # no FakeTensor
            _factors[lam, x.dtype] = factor
    # As Function.apply does, without looking for transforms again.
    return _apply_scale(_unwrap_if_dead(x), factor)


@set_module("revgrad_torch")
@outside_of_graphs
def scale_gradient(x: torch.Tensor, factor: Lambda) -> torch.Tensor:
    """Return `x` unchanged and multiply the gradient that flows back through it by `factor`.

    Parameters
    ----------
    x : torch.Tensor or torch.fx.Proxy
        Any shape, a floating or complex dtype.
    factor : float, numpy.ndarray, torch.Tensor, LambdaVariable or torch.fx.Proxy
        Any real, finite number; a tensor as for `revgrad_torch.reverse_gradient`.

    Returns
    -------
    torch.Tensor
        As for `revgrad_torch.reverse_gradient`.

    Raises
    ------
    UnsupportedTypeError
        If `x` is not a tensor, or its dtype carries no gradient.
    InvalidLambdaError
        As for `revgrad_torch.reverse_gradient`; negative numbers are accepted.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> scale_gradient(x, torch.tensor([0.1, -0.1])).sum().backward()
    >>> x.grad
    tensor([ 0.1000, -0.1000])
    """
    if isinstance(x, torch.fx.Proxy) or isinstance(factor, torch.fx.Proxy):
        return _node(scale_gradient, x, factor, normalize_factor)  # type: ignore[no-any-return]
    return multiply_gradient(x, resolve(x, factor, native, signed=True))


def multiply_gradient(x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Return `x` unchanged and multiply the gradient that flows back through it by a tensor.

    Parameters
    ----------
    x : torch.Tensor
        Any shape, floating or complex dtype.
    factor : torch.Tensor
        What `revgrad.backend.resolve` returned, or its negative.

    Returns
    -------
    torch.Tensor
        Of the values of `x`.
    """
    recording, compiling = is_recording(), is_compiling()
    transformed = _transforms_active() or not compiling and forward_ad._current_level >= 0
    if recording or compiling and transformed:
        if torch.onnx.is_in_onnx_export():
            return x  # ONNX has no gradient
        return residual_form(x, factor, _stopped, torch)  # type: ignore[no-any-return]
    if transformed:
        return _ScaleAnywhere.apply(x, factor)  # type: ignore[no-untyped-call,no-any-return]
    if compiling and not (x.requires_grad and torch.is_grad_enabled()):
        return x.detach()
    if compiling or is_dispatched():
        return _ScaleInGraph.apply(x, factor)  # type: ignore[no-untyped-call,no-any-return]
    return _Scale.apply(x, factor)  # type: ignore[no-untyped-call,no-any-return]


def _node(function: Callable[..., Any], x: Any, lam: Any, normalize: Callable[[Any], Any]) -> Any:
    """Let torch.fx record the call: one node, not what it consists of."""
    proxy = x if isinstance(x, torch.fx.Proxy) else lam
    if isinstance(lam, LambdaVariable):
        raise frozen_error(lam)
    if not isinstance(lam, (torch.fx.Proxy, torch.Tensor)):
        lam = normalize(lam)
    return proxy.tracer.create_proxy("call_function", function, (x, lam), {})


class _Scale(torch.autograd.Function):
    """The Function for eager tensors."""

    @staticmethod
    def forward(ctx: Any, x: Any, factor: Any) -> Any:
        # Not by save_for_backward: a checkpoint would recompute it, with the λ of that time.
        ctx.factor = factor
        # A view, so that PyTorch raises where the gradient would be wrong after a write in place.
        try:
            return x.view_as(x)
        except NotImplementedError:  # a sparse tensor
            return x.clone()

    @staticmethod
    def backward(ctx: Any, g: Any) -> Tuple[Any, None]:
        return _product(g, ctx.factor) if g.is_complex() else g * ctx.factor, None


_apply_scale: Callable[..., torch.Tensor] = super(torch.autograd.Function, _Scale).apply


class _ScaleInGraph(torch.autograd.Function):
    """The Function for torch.compile, which rejects one that has a `jvp`."""

    @staticmethod
    def forward(ctx: Any, x: Any, factor: Any) -> Any:
        ctx.save_for_backward(factor)  # compiled autograd loses a tensor that is an attribute
        # Neither a view, a clone nor a product with 1: AOTAutograd takes a view of the result for
        # one of `x`, and inductor merges clones, and from PyTorch 2.15 on such products, so that
        # two outputs of the program would be one tensor, with one gradient. This is computed in
        # the kernel that makes `x`.
        if x.is_complex():
            return torch.view_as_complex(_same(torch.view_as_real(x.resolve_conj())))
        return _same(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Tuple[Any, None]:
        return _product(g, ctx.saved_tensors[0]), None


class _ScaleAnywhere(torch.autograd.Function):
    """The Function for torch.func and dual numbers; it costs three times as much."""

    # It copies: a view would need a tangent that is a view, and there PyTorch does not see that a
    # view is written to.

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Any, factor: Any) -> Any:
        return x.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[1])
        ctx.save_for_forward(inputs[1])

    backward = staticmethod(_ScaleInGraph.backward)

    @staticmethod
    def jvp(ctx: Any, tangent: Any, _: Any) -> Any:
        return None if tangent is None else _product(tangent, *ctx.saved_tensors)


def _same(x: Any) -> Any:
    """Return a tensor that equals `x`, bit for bit, by an operation that no pass removes."""
    return torch.maximum(x, x) if x.layout == torch.strided else x * 1


def _product(g: Any, factor: Any) -> Any:
    if g.dtype.is_complex:  # as a complex product, inf would become nan
        return torch.complex(g.real * factor, g.imag * factor)
    return g * factor


def scripted_residual(x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Return `x` with the derivative `factor`, which is at most 0, in the words of TorchScript."""
    stopped = _stopped_in_script(x)
    residual = torch.where(torch.isfinite(stopped), x - stopped, torch.zeros_like(stopped))
    return stopped + factor * residual


def _stopped_in_script(x: torch.Tensor) -> torch.Tensor:
    # Not detach(), which torch.jit.freeze removes.
    with torch.no_grad():
        stopped = x.clone()
    return stopped


def _stopped(x: torch.Tensor) -> torch.Tensor:
    if not is_compiling() and torch._C._is_tracing():
        return torch.jit.script(_stopped_in_script)(x)  # type: ignore[no-any-return]
    if not BATCHES_VIEWS and _transforms_active() and not is_exporting():
        return x.detach()  # vmap has no rule for the views below
    # Integers carry no gradient. A detach() is dropped where an exported program is decomposed.
    if x.is_complex():
        return torch.view_as_complex(_stopped(torch.view_as_real(x.resolve_conj())))
    integers = {2: torch.int16, 4: torch.int32, 8: torch.int64}
    return x.view(integers[x.element_size()]).view(x.dtype)
