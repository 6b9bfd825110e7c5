"""Lets the conformance kit drive PyTorch."""

from __future__ import annotations

import importlib.util
import io
import types
from typing import Any, Callable, Dict, Iterable, List

import numpy as np
import torch
import torch.autograd.forward_ad as forward_ad
from functorch.compile import make_boxed_func
from torch._dynamo.backends.common import aot_autograd

from revgrad.testing import Harness

__all__ = ["EagerTorchHarness", "TorchHarness", "compiled_operations"]

# What gives memory another name and computes nothing.
_NOT_COUNTED = {"alias", "detach", "view", "view_as"}
_compilations = [0]


def _counted(graph: Any, inputs: Any) -> Any:
    _compilations[0] += 1
    return make_boxed_func(graph.forward)


_count = aot_autograd(fw_compiler=_counted)


class TorchHarness(Harness):
    """Compiles every program with torch.compile; autograd runs its backward pass."""

    backend = "torch"
    # NumPy has its bfloat16 from ml_dtypes.
    half_dtypes = ("float16", "bfloat16")[: 2 if importlib.util.find_spec("ml_dtypes") else 1]

    def program(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Compile the function."""
        compiled = _compiled(fn, fullgraph=False)  # some checks do in it what nobody can trace
        return _differentiated(compiled)

    def constant(self, array: Any) -> Any:
        """Return a tensor."""
        return _tensor(array)

    def values(self) -> Iterable[Any]:
        """Return a parameter, a buffer, a tensor of a user's class, and what transforms make."""

        class UsersTensor(torch.Tensor):
            pass

        ones = torch.ones(2)
        seen = [ones, torch.nn.Parameter(ones), ones.as_subclass(UsersTensor)]

        def see(x: Any) -> Any:
            seen.append(x)
            return x.sum()

        torch.func.vmap(see)(ones)
        torch.func.grad(see)(ones)
        torch.fx.symbolic_trace(see)
        return seen

    def views(self, fn: Any, shape: Any, dtype: Any) -> bool:
        """Compare where the data lies."""
        x = torch.ones(shape, dtype=getattr(torch, dtype), requires_grad=True)
        return fn(x).data_ptr() == x.data_ptr()

    def rewritten(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Trace with torch.fx, export and decompose, trace with torch.jit."""
        x = torch.ones(shape, dtype=getattr(torch, dtype))
        exported = torch.export.export(_Module(fn), (x,))
        traced = torch.jit.trace(_Module(fn), (x,))
        ways = {
            "torch.fx": torch.fx.symbolic_trace(_Module(fn)),
            "torch.export, decomposed": exported.run_decompositions().module(),
            "torch.jit.trace": traced,
        }
        return {how: _differentiated(each) for how, each in ways.items()}

    def compilations(self) -> int:
        """Count the graphs that torch.compile has made in this harness."""
        return _compilations[0]

    def graph_lambda(self, fn: Any, shape: Any, dtype: Any, lam_shape: Any, lam_dtype: Any) -> Any:
        """Make λ an argument of a compiled function."""
        compiled = _compiled(fn)

        def run(x: Any, lam: Any, g: Any) -> Any:
            lam = _tensor(lam)
            fn(_tensor(x), lam)  # what is refused is refused here, and not in words of Dynamo
            return _pulled_back(lambda x: compiled(x, lam), x, g)

        return run

    def lambda_gradient(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Ask for the gradient of λ."""

        def run(x: Any, lam: Any, g: Any) -> Any:
            lam = _tensor(lam).requires_grad_()
            fn(_tensor(x), lam).backward(_tensor(g))
            return _array(lam.grad)

        return run

    def scalar_program(self, fn: Any, dtype: Any) -> Any:
        """Compile a function of a scalar."""
        compiled = _compiled(fn)
        return lambda p: _array(compiled(_tensor(p)))

    def forward_mode(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Use dual numbers, and demand that torch.func.jvp gives the same."""

        def run(x: Any, t: Any) -> Any:
            x, t = _tensor(x), _tensor(t)
            with forward_ad.dual_level():
                y, tangent = forward_ad.unpack_dual(fn(forward_ad.make_dual(x, t)))
            for each, other in zip((y, tangent), torch.func.jvp(fn, (x,), (t,))):
                torch.testing.assert_close(each, other, rtol=0, atol=0, equal_nan=True)
            return _array(y), _array(tangent)

        return run

    def second_order(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Differentiate twice, and demand that torch.func gives the same, forward over reverse."""

        def cost(x: Any) -> Any:
            return (fn(x**2) ** 3).sum()

        def run(x: Any, v: Any) -> Any:
            x, v = _tensor(x).requires_grad_(), _tensor(v)
            value = cost(x)
            (gradient,) = torch.autograd.grad(value, x, create_graph=True)
            (product,) = torch.autograd.grad((gradient * v).sum(), x)
            other = torch.func.jvp(torch.func.grad(cost), (x.detach(),), (v,))[1]
            torch.testing.assert_close(product, other)
            return _array(value), _array(product)

        return run

    def vectorised(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Use torch.func.vmap, and differentiate through it."""
        return self.program(torch.func.vmap(fn), shape, dtype)

    def operations(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Read the operations out of the graphs that torch.compile makes."""
        forward: List[str] = []
        backward: List[str] = []

        def noted(names: List[str]) -> Any:
            def note(graph: Any, inputs: Any) -> Any:
                names.extend(compiled_operations(graph))
                return make_boxed_func(graph.forward)

            return note

        backend = aot_autograd(fw_compiler=noted(forward), bw_compiler=noted(backward))
        x = torch.ones(shape, dtype=getattr(torch, dtype), requires_grad=True)
        with torch.no_grad():
            _compiled(lambda x: torch.tanh(fn(x)), backend)(x)
        used, forward[:] = list(forward), []
        _compiled(fn, backend)(x).backward(torch.ones_like(x))
        return used, backward

    def copies(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Export and trace, write to bytes and read again; the gradient is taken afterwards."""
        x = (torch.ones(shape, dtype=getattr(torch, dtype)),)
        ways = {}
        for strict in (False, True):
            file = io.BytesIO()
            torch.export.save(torch.export.export(_Module(fn), x, strict=strict), file)
            file.seek(0)
            ways[f"torch.export, strict={strict}, save and load"] = torch.export.load(file).module()
        file = io.BytesIO()
        torch.jit.save(torch.jit.trace(_Module(fn), x), file)
        file.seek(0)
        ways["torch.jit.trace, save and load"] = torch.jit.load(file)
        return {how: _differentiated(each) for how, each in ways.items()}


class EagerTorchHarness(TorchHarness):
    """Runs programs as they are."""

    expected_failures = {"compiled_once": "nothing is compiled"}

    def program(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Leave the function as it is."""
        return _differentiated(fn)


class _Module(torch.nn.Module):
    def __init__(self, fn: Any) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: Any) -> Any:
        return self.fn(x)


def compiled_operations(graph: Any) -> List[str]:
    """Return the operations of a graph of ATen operations that compute something.

    Parameters
    ----------
    graph : torch.fx.GraphModule
        What torch.compile hands to a compiler of forward or backward passes.

    Returns
    -------
    list of str
        Names as in ``"mul"``, in the order of the graph.
    """
    names = (
        node.target.overloadpacket.__name__
        for node in graph.graph.nodes
        if isinstance(node.target, torch._ops.OpOverload)
    )
    return [name for name in names if name not in _NOT_COUNTED]


def _compiled(fn: Callable[..., Any], backend: Any = _count, fullgraph: bool = True) -> Any:
    def call(*arguments: Any) -> Any:
        return fn(*arguments)

    # torch.compile keeps its programs by code object, and gives up after a few of them.
    own = types.FunctionType(
        call.__code__.replace(), call.__globals__, "call", None, call.__closure__
    )
    return torch.compile(own, backend=backend, fullgraph=fullgraph)


def _differentiated(fn: Any) -> Any:
    return lambda x, g: _pulled_back(fn, x, g)


def _pulled_back(fn: Any, x: Any, g: Any) -> Any:
    x = _tensor(x)
    if x.is_floating_point():
        x.requires_grad_()
    y = fn(x)
    (gradient,) = torch.autograd.grad(y, x, _tensor(g), allow_unused=True)
    return _array(y), _array(gradient)


def _tensor(array: Any) -> Any:
    array = np.array(array)
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view("int16")).view(torch.bfloat16)
    return torch.from_numpy(array)


def _array(tensor: Any) -> Any:
    if tensor is None:
        return None
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        from ml_dtypes import bfloat16

        return tensor.contiguous().view(torch.int16).numpy().view(bfloat16)
    return tensor.numpy()
