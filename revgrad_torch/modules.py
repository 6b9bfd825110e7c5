"""`GradientReversal`: the reversal as a module, with λ in a buffer."""

from typing import Any, Callable, Dict

import torch

from revgrad import InvalidLambdaError, LambdaVariable, get_backend
from revgrad_torch.ops import by_residual, learnable_lambda_error, reverse_gradient

__all__ = ["GradientReversal"]


class GradientReversal(torch.nn.Module):
    """The identity, whose gradient is multiplied by ``-lam``; λ is a buffer, and no parameter.

    Parameters
    ----------
    lam : float or LambdaVariable, optional
        λ at first: real, finite, at least 0. A `revgrad.LambdaVariable` drives the module: what it
        is set to is written to the buffer.

    Attributes
    ----------
    lam : torch.Tensor
        λ, a float32 tensor of no dimensions. It is in the ``state_dict``, follows ``to(device)``,
        and stays float32 when the module is cast. Assign a number, ``module.lam = 0.3``, to set
        it; nothing is compiled again.

    Raises
    ------
    InvalidLambdaError
        If `lam`, or what is assigned to the attribute, is not a λ.

    Notes
    -----
    A copy or a pickle of the module that does not hold the `LambdaVariable` too is driven by a
    copy of it.

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

    def __init__(self, lam: Any = 1.0) -> None:
        super().__init__()
        self._driver = lam if isinstance(lam, LambdaVariable) else None
        value = _number(lam.value if self._driver else lam)
        self.register_buffer("lam", torch.tensor(value, dtype=torch.float32))
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
            Equal to `x` bit for bit.
        """
        if torch.jit.is_scripting():
            return by_residual(x, -self.lam.to(x.dtype))
        else:
            return reverse_gradient(x, self.lam)

    def extra_repr(self) -> str:
        """Return λ."""
        return "lam=..." if self.lam.is_meta else f"lam={self.lam.item():.6g}"

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "lam":
            super().__setattr__(name, value)
            return
        # In place: what holds the buffer, DistributedDataParallel say, sees it.
        self.lam.fill_(_number(value))

    def __setstate__(self, state: Dict[str, Any]) -> None:
        super().__setstate__(state)
        self._follow()

    def _follow(self) -> None:
        if self._driver is not None:
            self._driver.cell(get_backend("torch")).modules.add(self)

    def _apply(self, fn: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        before = self.lam
        super()._apply(fn, *arguments, **options)
        if self.lam.dtype != before.dtype:  # half() and the like
            self._buffers["lam"] = before.to(self.lam.device)
        return self


def _number(lam: Any) -> float:
    if isinstance(lam, torch.Tensor) and not lam.dim():
        if lam.requires_grad:
            raise learnable_lambda_error()
        lam = lam.item()
    value = LambdaVariable(lam).value
    if value > torch.finfo(torch.float32).max:
        raise InvalidLambdaError(
            f"λ = {value} is too large for the buffer, which is float32: it would become infinite."
        )
    return value
