"""`GradientReversal`: the reversal as a module, with λ in a buffer."""

# No "from __future__ import annotations": torch.fx writes the annotations of forward() into code.
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Union

import numpy as np
import torch

from revgrad import InvalidLambdaError, LambdaVariable
from revgrad._names import set_module
from revgrad._tracers import traced_as
from revgrad.backend import lambda_as_float, learnable_lambda_error
from revgrad_torch._features import is_compiling, outside_of_graphs
from revgrad_torch.native import is_readable, native, runs_plainly
from revgrad_torch.ops import reverse_gradient, reverse_number, scripted_residual


def _reverse_in_graph(module: Any, x: torch.Tensor) -> torch.Tensor:
    return reverse_gradient(x, module.lam)


@outside_of_graphs
@traced_as(_reverse_in_graph)
def _reverse(module: Any, x: torch.Tensor) -> torch.Tensor:
    lam = module._buffers["lam"]
    # The warm path: what reverse_gradient() does with a number, which costs less than a tensor.
    if runs_plainly(x) and lam.__class__ is torch.Tensor and lam.is_cpu and not lam.requires_grad:
        number = lam.item()
        return reverse_number(x, number if number == module._number else module._read(lam))
    return reverse_gradient(x, lam)


@set_module("revgrad_torch")
class GradientReversal(torch.nn.Module):
    """The identity, whose gradient is multiplied by ``-lam``; λ is a buffer, not a parameter.

    Parameters
    ----------
    lam : float, torch.Tensor or LambdaVariable, optional
        λ at first: real, finite, at least 0. A `revgrad.LambdaVariable` drives the module: what it
        is set to is written to the buffer, and what is assigned to or loaded into the module is
        written to the variable.

    Attributes
    ----------
    lam : torch.Tensor
        λ, a float32 tensor of no dimensions. It is in the ``state_dict``, follows ``to(device)``,
        and stays float32 when the module is cast. Assign a number, ``module.lam = 0.3``, to set
        it; nothing is compiled again.

    Raises
    ------
    InvalidLambdaError
        If `lam`, or what is assigned to the attribute or loaded, is not a λ. What is written to
        the buffer in place is validated at the next forward pass, where the buffer is on the CPU
        and nothing is traced or compiled.

    Notes
    -----
    A copy or a pickle of the module that does not hold the `LambdaVariable` too is driven by a
    copy of it. A ``state_dict`` without λ, of another layer, loads, and leaves λ as it is.

    Examples
    --------
    >>> import torch
    >>> module = GradientReversal(0.5)
    >>> x = torch.ones(2, requires_grad=True)
    >>> module(x).sum().backward()
    >>> x.grad
    tensor([-0.5000, -0.5000])
    >>> module.lam = 2
    >>> module
    GradientReversal(lam=2)
    """

    if TYPE_CHECKING:

        @property
        def lam(self) -> torch.Tensor: ...

        @lam.setter
        def lam(self, value: Union[float, torch.Tensor]) -> None: ...

    def __init__(self, lam: Any = 1.0) -> None:
        super().__init__()
        self._variable = lam if isinstance(lam, LambdaVariable) else None
        # What the buffer holds. It is asked where the buffer cannot be: on a meta device.
        self._number = _rounded(lam.value if isinstance(lam, LambdaVariable) else lam)
        with torch.inference_mode(False):
            self.register_buffer("lam", torch.tensor(self._number, dtype=torch.float32))
        self._follow()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the reversal of `x`.

        Parameters
        ----------
        x : torch.Tensor
            Any shape, a floating or complex dtype.

        Returns
        -------
        torch.Tensor
            As for `revgrad_torch.reverse_gradient`.
        """
        if torch.jit.is_scripting():  # type: ignore[attr-defined]
            return scripted_residual(x, -self.lam.to(x.dtype))
        else:
            return _reverse(self, x)

    def reset_parameters(self) -> None:
        """Write λ to the buffer again, after the module was materialised from a meta device."""
        self._write(self._number)

    def extra_repr(self) -> str:
        """Return λ."""
        lam = self.lam
        return f"lam={lam.item() if is_readable(lam) else self._number:.6g}"

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "lam":
            super().__setattr__(name, value)
        elif not isinstance(value, torch.Tensor) or is_readable(value):
            # Loaded by assignment, or into a replica. A tensor on the CPU is just a number.
            moves = isinstance(value, torch.Tensor) and (self.lam.is_meta or not value.is_cpu)
            self._set(_as_float(value), value.device if moves else None)
        elif value.requires_grad:
            raise learnable_lambda_error()
        elif is_compiling():
            self.lam.copy_(value)
        else:
            self._buffers["lam"] = value.detach().to(torch.float32)

    def _set(self, number: float, device: Optional[torch.device] = None) -> None:
        """Set λ, on that device, and the variable that drives the module unless it agrees."""
        rounded = number if is_compiling() else _rounded(number)
        if device not in (None, self.lam.device):
            with torch.inference_mode(False):
                self._buffers["lam"] = torch.empty((), dtype=torch.float32, device=device)
        if self._variable is not None and _rounded(self._variable.value) != rounded:
            self._variable.value = number
        self._write(rounded)

    def _write(self, number: float) -> None:
        """Write λ to the buffer, in place: DistributedDataParallel, say, sees it."""
        with torch.no_grad():
            self.lam.fill_(number)
        if not is_compiling():
            self._number = number

    def _read(self, lam: torch.Tensor) -> float:
        """Return what the buffer holds, validated unless it is what was written last."""
        number = lam.item()
        if number != self._number:
            if lam.dtype != torch.float32 and number == torch.tensor(self._number).to(lam.dtype):
                # FullyShardedDataParallel has cast the data of the buffer.
                lam.data = torch.tensor(self._number, dtype=torch.float32, device=lam.device)
            else:
                self._number = lambda_as_float(number)
        return self._number

    def _follow(self) -> None:
        """Let the variable write to the buffer, now and whenever it is set."""
        if self._variable is not None:
            with self._variable._lock:  # its setter holds it, too
                self._variable.cell(native).add(self)
                self._write(self._variable.value)

    def __setstate__(self, state: Dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._follow()

    def _replicate_for_data_parallel(self) -> Any:
        replica = super()._replicate_for_data_parallel()  # type: ignore[no-untyped-call]
        replica._variable = None
        replica._buffers["lam"] = self.lam.clone()  # to be assigned to, which writes in place
        return replica

    def _apply(self, fn: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        if is_readable(self.lam):
            self._read(self.lam)
        with torch.inference_mode(False):
            super()._apply(fn, *arguments, **options)  # type: ignore[no-untyped-call]
            if self.lam.dtype != torch.float32:  # half() and the like
                self._buffers["lam"] = self.lam.to(torch.float32)
        self._write(self._number)  # to_empty() leaves garbage
        return self

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *more: Any) -> None:
        metadata, _strict, missing, _unexpected, errors = more
        key = prefix + "lam"
        loaded = state_dict.get(key)
        if isinstance(loaded, torch.Tensor) and tuple(loaded.shape) not in ((), (1,)):
            # Before anything is written. PyTorch 2.8 takes the first of several numbers.
            errors.append(
                f"size mismatch for {key}: copying a param with shape {loaded.shape} from "
                f"checkpoint, the shape in current model is {self.lam.shape}."
            )
            return
        number = _rounded(loaded.reshape(())) if is_readable(loaded) else None
        super()._load_from_state_dict(state_dict, prefix, *more)
        if key in missing:  # the file of another layer
            missing.remove(key)
        if number is not None:
            assigns = metadata.get("assign_to_params_buffers")
            self._set(number, loaded.device if assigns else None)


def _as_float(lam: Any) -> float:
    """Validate a number or a tensor of no dimensions."""
    if isinstance(lam, torch.Tensor) and not lam.dim():
        if lam.requires_grad:
            raise learnable_lambda_error()
        lam = lam.item()
    return lambda_as_float(lam)


def _rounded(lam: Any) -> float:
    """Validate λ and round it to single precision, that of the buffer."""
    number = _as_float(lam)
    if number > _LARGEST:
        raise InvalidLambdaError(
            f"λ = {number} is too large for the buffer, which is float32: it would become infinite."
        )
    return float(np.float32(number))


_LARGEST = torch.finfo(torch.float32).max
