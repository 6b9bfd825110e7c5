"""The adapter of PyTorch: how λ is cast and stored, and what the installed version can do."""

import sys
import weakref
from typing import Any

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.autograd import forward_ad

from revgrad import InvalidLambdaError, LambdaVariable, UnsupportedTypeError
from revgrad.backend import Native, learnable_lambda_error, no_gradient_error, too_large_error
from revgrad_torch._features import is_compiling, is_exporting, proxy_mode

# The real dtype of each dtype that PyTorch computes gradients in: not float8, say.
REAL_DTYPES = {
    torch.float16: torch.float16,
    torch.bfloat16: torch.bfloat16,
    torch.float32: torch.float32,
    torch.float64: torch.float64,
    torch.complex32: torch.float16,
    torch.complex64: torch.float32,
    torch.complex128: torch.float64,
}

# The classes of tensors that hold their numbers themselves.
PLAIN = frozenset({torch.Tensor, torch.nn.Parameter})

is_tracing = torch._C._is_tracing
transforms_active = torch._C._are_functorch_transforms_active
# How many modes see each operation: make_fx, aot_function, FakeTensorMode and others.
is_dispatched = torch._C._len_torch_dispatch_stack


def is_recording() -> bool:
    """Say whether the program is exported or traced by torch.jit: only plain operations stay."""
    return is_exporting() if is_compiling() else is_tracing()


def runs_plainly(x: object) -> bool:
    """Say whether `x` is a plain tensor and nothing traces, transforms or pushes it forward."""
    return (
        x.__class__ in PLAIN
        and not (is_tracing() or transforms_active() or is_dispatched())
        and forward_ad._current_level < 0
    )


def is_readable(value: Any) -> bool:
    """Say whether it is a tensor whose numbers can be asked for, on whatever device."""
    if is_compiling() or value.__class__ not in PLAIN or value.is_meta or is_dispatched():
        return False
    return not (transforms_active() and torch._C._functorch.is_functorch_wrapped_tensor(value))


class LambdaCell(weakref.WeakSet):  # type: ignore[type-arg]
    """The modules that a `revgrad.LambdaVariable` drives: each change is written to them."""


class TorchNative(Native):
    """λ becomes a tensor of the real dtype of `x`: a number one of no dimensions on the CPU.

    PyTorch multiplies tensors of all devices by such a one.
    """

    lambda_words = "a torch.Tensor"

    def dtype(self, x: Any) -> torch.dtype:
        """Return the real floating dtype that belongs to the dtype of `x`."""
        if not isinstance(x, torch.Tensor):
            raise UnsupportedTypeError(
                f"Expected a torch.Tensor; got a {type(x).__name__}. Pass torch.as_tensor(x)."
            )
        if x.dtype not in REAL_DTYPES:
            raise no_gradient_error(x, x.dtype)
        return REAL_DTYPES[x.dtype]

    def constant(self, value: Any, x: torch.Tensor) -> torch.Tensor:
        """Return a tensor of the dtype of `x` that holds a number or an array."""
        dtype = self.dtype(x)
        largest = torch.finfo(dtype).max
        if not isinstance(value, np.ndarray):
            if not -largest <= value <= largest:
                raise too_large_error(value, x.dtype)
            if is_compiling() or isinstance(x, FakeTensor):
                # A product: torch.compile takes a number that fills a tensor for a constant.
                return torch.mul(x.new_ones((), dtype=dtype), value)
            # On the CPU whatever the default device is, and fit for autograd.
            with torch.inference_mode(False):
                return torch.full((), value, dtype=dtype, device="cpu")
        # PyTorch reads no other dtypes and orders of bytes; while it compiles, it has read it.
        if not is_compiling() and not (value.dtype.char in "efd" and value.dtype.isnative):
            value = value.astype(float)
        if (abs(value) > largest).any():
            raise too_large_error(value, x.dtype)
        return self.cast(torch.from_numpy(value).to(x.device), x)

    def is_value(self, value: object) -> bool:
        """Accept a tensor."""
        return isinstance(value, torch.Tensor)

    def is_real(self, value: torch.Tensor) -> bool:
        """Reject complex and boolean tensors."""
        return not value.is_complex() and value.dtype != torch.bool

    def known_number(self, value: torch.Tensor) -> Any:
        """Return the number or array of a tensor on the CPU, while nothing is traced."""
        if value.requires_grad:
            raise learnable_lambda_error()
        if not is_readable(value) or is_tracing() or not value.is_cpu:
            return None
        return value.detach().double().numpy() if value.dim() else value.item()

    def cast(self, value: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return a copy, which keeps the value that λ has now."""
        copied = value.detach().to(self.dtype(x), copy=True)
        distributed = sys.modules.get("torch.distributed.tensor")
        kind: Any = distributed.DTensor if distributed else ()
        if distributed and copied.dim() and isinstance(x, kind) and not isinstance(copied, kind):
            placements = [distributed.Replicate()] * x.device_mesh.ndim
            copied = kind.from_local(copied, x.device_mesh, placements)
        return copied

    def read_variable(self, variable: LambdaVariable, x: torch.Tensor) -> Any:
        """Return the value; in a compiled program an input that holds it."""
        if is_recording() or not is_compiling() and proxy_mode() is not None:
            raise frozen_error(variable)
        if is_compiling():
            # An attribute that is an array is an input, whatever variable it comes from. It lies
            # on the default device.
            number = torch.from_numpy(variable._number)
            return number if number.is_cpu else number.to(x.device)
        return variable.value

    def new_cell(self, value: float) -> LambdaCell:
        """Return a `LambdaCell`, to which modules are added."""
        return LambdaCell()

    def set_cell(self, cell: LambdaCell, value: float) -> None:
        """Write `value` to the buffers of the modules."""
        for module in cell:
            module._write(value)


def frozen_error(variable: LambdaVariable) -> InvalidLambdaError:
    """Build the error for a variable in a program that would keep its value of now."""
    return InvalidLambdaError(
        f"{variable!r} was given as λ to a program that is exported or traced, which would freeze "
        "its value. Use revgrad_torch.GradientReversal, whose λ is a buffer, or make λ an argument "
        "of the program: a tensor."
    )


native = TorchNative()
