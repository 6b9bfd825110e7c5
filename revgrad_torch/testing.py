"""Lets the conformance suite drive PyTorch."""

from __future__ import annotations

import copy
import importlib.util
import io
import pickle
import types
from typing import Any, Callable, Dict, Iterable, List

import numpy as np
import torch
import torch.utils.checkpoint
from functorch.compile import make_boxed_func  # type: ignore[import-untyped]
from torch._dynamo.backends.common import aot_autograd

import revgrad
from revgrad.testing import Harness
from revgrad_torch._features import ASSIGNS, COMPILES, EXPORTS, UNSUPPORTED
from revgrad_torch.modules import GradientReversal

__all__ = ["EagerTorchHarness", "TorchHarness", "compiled_operations"]

# PyTorch has no types for these.
jit: Any = torch.jit
forward_ad: Any = torch.autograd.forward_ad
# What gives memory another name and computes nothing.
_NOT_COUNTED = {"alias", "detach", "view", "view_as"}
_compilations = [0]


def _counted(graph: Any, inputs: Any) -> Any:
    _compilations[0] += 1
    return make_boxed_func(graph.forward)


_count = aot_autograd(fw_compiler=_counted)


class TorchHarness(Harness):
    """Compiles every program with torch.compile; autograd runs its backward pass.

    Where torch.compile would break the graph at every reversal, programs run as they are.

    Attributes
    ----------
    module : type
        The class of the module that is put to the checks of layers.
    """

    backend = "torch"
    unsupported = UNSUPPORTED
    module: Any = GradientReversal
    # NumPy has its bfloat16 from ml_dtypes.
    half_dtypes = ("float16", "bfloat16")[: 2 if importlib.util.find_spec("ml_dtypes") else 1]

    def program(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Compile the function."""
        compiled = _compiled(fn, fullgraph=False)  # some checks do in it what nobody can trace
        return _differentiated(compiled)

    def constant(self, array: Any) -> Any:
        """Return a tensor."""
        return _tensor(array)

    def several_outputs(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Compile with two backends, break the graph, add views, recompute."""

        def broken(x: Any) -> Any:
            values = fn(x)
            torch._dynamo.graph_break()
            return tuple(value * 1.0 for value in values)

        def viewed(x: Any) -> Any:
            return tuple(value.view(-1) for value in fn(x))

        def recomputed(x: Any) -> Any:
            return torch.utils.checkpoint.checkpoint(fn, x, use_reentrant=False)

        programs = {
            "eager": fn,
            "aot_eager": _compiled(fn, "aot_eager"),
            "aot_eager, graph break": _compiled(_own(broken), "aot_eager", fullgraph=False),
            "aot_eager, views": _compiled(viewed, "aot_eager"),
            "aot_eager, checkpoint": _compiled(recomputed, "aot_eager"),
            "inductor": _compiled(fn, "inductor"),
            "inductor, graph break": _compiled(_own(broken), "inductor", fullgraph=False),
        }

        def differentiated(program: Any) -> Any:
            def run(x: Any, gs: Any) -> Any:
                x = _tensor(x).requires_grad_()
                values = [value.view(shape) for value in program(x)]
                (gradient,) = torch.autograd.grad(values, x, [_tensor(g) for g in gs])
                return [_array(value) for value in values], _array(gradient)

            return run

        return {name: differentiated(program) for name, program in programs.items()}

    def in_place(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Write to the result, to what was reversed, and to views of them."""

        def write(how: Callable[[Any, Any], Any], copied: bool) -> Any:
            def program(x: Any) -> Any:
                h = x * 1
                y = fn(h)
                if copied:
                    h, y = h.clone(), y.clone()
                how(h, y)
                return y + 10 * h

            return program

        writes = {
            "y.relu_()": lambda h, y: y.relu_(),
            "h.relu_()": lambda h, y: h.relu_(),
            "y.view(-1).mul_(3)": lambda h, y: y.view(-1).mul_(3),
            "y[0] = 7": lambda h, y: y.__setitem__(0, 7),
            "y.detach().mul_(3)": lambda h, y: y.detach().mul_(3),
            "torch.nn.ReLU(inplace=True)": lambda h, y: torch.nn.ReLU(inplace=True)(y),
        }
        programs = {}
        for name, how in writes.items():
            pair = write(how, False), write(how, True)
            programs[name] = tuple(_differentiated(each) for each in pair)
            programs[f"{name}, dual numbers"] = tuple(_pushed_forward(each) for each in pair)
            programs[f"{name}, torch.func"] = tuple(_by_vjp(each) for each in pair)
            programs[f"{name}, aot_eager"] = (
                _differentiated(_compiled(pair[0], "aot_eager")),
                _differentiated(pair[1]),
            )
        return programs

    def layers(self, lam: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Copy, cast, move, materialise, load, replicate, freeze, save and load the module."""

        def made() -> Any:
            return self.module(lam)

        def on_meta() -> Any:
            with torch.device("meta"):
                return made()

        def loaded(module: Any, **options: Any) -> Any:
            module.load_state_dict(made().state_dict(), **options)
            return module

        def reset() -> Any:
            module = on_meta().to_empty(device="cpu")
            module.reset_parameters()
            return module

        def replica() -> Any:
            module = made()
            copied = module._replicate_for_data_parallel()
            copied.lam = torch.tensor(9.0)
            return module

        def in_inference_mode() -> Any:
            with torch.inference_mode():
                module = made()
            module.lam = float(lam)
            return module

        def cast_by_data() -> Any:  # as FullyShardedDataParallel casts buffers
            module = made()
            module.lam.data = module.lam.to(torch.bfloat16)
            return module

        def frozen(make: Any) -> Any:
            return jit.freeze(make(made().eval()))

        x = torch.ones(shape, dtype=getattr(torch, dtype))
        modules = {
            "made": made(),
            "copy.copy()": copy.copy(made()),
            "copy.deepcopy()": copy.deepcopy(made()),
            "pickled": pickle.loads(pickle.dumps(made())),
            "half().float()": made().half().float(),
            "to(torch.bfloat16)": made().to(torch.bfloat16),
            "to_empty()": made().to_empty(device="cpu"),
            "meta, to_empty()": on_meta().to_empty(device="cpu"),
            "meta, to_empty(), reset_parameters()": reset(),
            "loaded": loaded(self.module(9.0)),
            "state_dict without λ": made(),
            "beside a replica": replica(),
            "made in inference mode": in_inference_mode(),
            "buffer cast to bfloat16": cast_by_data(),
            "torch.save() and load()": _through_file(
                torch.save, lambda file: torch.load(file, weights_only=False), made()
            ),
            "torch.jit.script": jit.script(made()),
            "torch.jit.script, frozen": frozen(jit.script),
            "torch.jit.trace, frozen": frozen(lambda module: jit.trace(module, x)),
            "torch.compile": torch.compile(made(), backend="aot_eager", fullgraph=COMPILES),
        }
        if ASSIGNS:
            modules["loaded by assignment"] = loaded(self.module(9.0), assign=True)
            modules["meta, loaded by assignment"] = loaded(on_meta(), assign=True)
        modules["state_dict without λ"].load_state_dict({})
        return {name: _differentiated(module) for name, module in modules.items()}

    def assigned(self, first: Any, second: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Assign, fill and load; also where a variable drives the module."""

        def program(change: Any, driven: bool) -> Any:
            def run(x: Any, g: Any) -> Any:
                variable = revgrad.LambdaVariable(first)
                module = self.module(variable if driven else first)
                change(module)
                found = _pulled_back(module, x, g)
                if driven and abs(variable.value - second) > 1e-6:
                    raise AssertionError(f"{variable!r} drives a module whose λ is {second}")
                return found

            return run

        def loaded(module: Any, **options: Any) -> None:
            module.load_state_dict({"lam": torch.tensor(second)}, **options)

        changes: Dict[str, Callable[[Any], Any]] = {
            "module.lam = λ": lambda module: setattr(module, "lam", second),
            "module.lam = tensor": lambda module: setattr(module, "lam", torch.tensor(second)),
            "module.lam.fill_(λ)": lambda module: module.lam.fill_(second),
            "load_state_dict()": loaded,
        }
        if ASSIGNS:
            changes["load_state_dict(assign=True)"] = lambda module: loaded(module, assign=True)
            changes["meta, load_state_dict(assign=True)"] = lambda module: loaded(
                module.to("meta"), assign=True
            )
        programs = {name: program(change, False) for name, change in changes.items()}
        del changes["module.lam.fill_(λ)"]
        for name, change in changes.items():
            programs[f"{name}, driven by a variable"] = program(change, True)
        return programs

    def modes(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Train and evaluate, follow blocks without gradients, recompute, cast."""

        def after(make: Callable[[], Any]) -> Any:
            def run(x: Any) -> Any:
                with make():
                    fn(x)
                return fn(x)

            return run

        def deterministic(x: Any) -> Any:
            before = torch.are_deterministic_algorithms_enabled()
            torch.use_deterministic_algorithms(True)
            try:
                return fn(x)
            finally:
                torch.use_deterministic_algorithms(before)

        def within(make: Callable[[], Any]) -> Any:
            def run(x: Any) -> Any:
                with make():
                    return fn(x)

            return run

        programs = {
            "train()": _Module(fn).train(),
            "eval()": _Module(fn).eval(),
            "after no_grad()": after(torch.no_grad),
            "after inference_mode()": after(torch.inference_mode),
            "deterministic": deterministic,
            "autocast": within(lambda: torch.autocast("cpu", dtype=torch.bfloat16)),
            "anomaly detection": within(lambda: torch.autograd.detect_anomaly(check_nan=False)),
            "default device": within(lambda: torch.device("meta")),
            "checkpoint, reentrant": lambda x: torch.utils.checkpoint.checkpoint(
                fn, x, use_reentrant=True
            ),
            "checkpoint, not reentrant": lambda x: torch.utils.checkpoint.checkpoint(
                fn, x, use_reentrant=False
            ),
        }
        return {name: _by_backward(each) for name, each in programs.items()}

    def instances(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Reverse parameters, tensors of a user's class, and what `torch.func` makes."""

        def of_a_user(x: Any) -> Any:
            y = fn(x.as_subclass(_UsersTensor))
            if type(y) is not _UsersTensor:
                raise AssertionError(f"a {type(y).__name__} came back")
            return y.as_subclass(torch.Tensor)

        return {
            "Parameter": _by_backward(fn),
            "view": _differentiated(lambda x: fn(x[:])),
            "subclass": _differentiated(of_a_user),
            "torch.func.vjp": _by_vjp(fn),
            "torch.func.functional_call": _differentiated(
                lambda x: torch.func.functional_call(_Module(fn), {}, (x,))
            ),
        }

    def values(self) -> Iterable[Any]:
        """Return a parameter, a buffer, a tensor of a user's class, and a proxy of torch.fx."""
        ones = torch.ones(2)
        seen = [ones, torch.nn.Parameter(ones), ones.as_subclass(_UsersTensor)]
        torch.fx.symbolic_trace(lambda x: seen.append(x))
        return seen

    def views(self, fn: Any, shape: Any, dtype: Any) -> bool:
        """Compare where the data lies."""
        x = torch.ones(shape, dtype=getattr(torch, dtype), requires_grad=True)
        return bool(fn(x).data_ptr() == x.data_ptr())

    def rewritten(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Trace with torch.fx, export and decompose, trace with torch.jit."""
        x = torch.ones(shape, dtype=getattr(torch, dtype))
        programs = {
            "torch.fx": torch.fx.symbolic_trace(_Module(fn)),
            "torch.jit.trace": jit.trace(_Module(fn), (x,)),
        }
        if EXPORTS:
            exported = torch.export.export(_Module(fn), (x,), strict=False)
            programs["torch.export, decomposed"] = exported.run_decompositions().module()
        return {how: _differentiated(each) for how, each in programs.items()}

    def compilations(self) -> int:
        """Count the graphs that torch.compile has made in this harness."""
        return _compilations[0]

    def graph_lambda(self, fn: Any, shape: Any, dtype: Any, lam_shape: Any, lam_dtype: Any) -> Any:
        """Make λ an argument of a compiled function."""
        compiled = _compiled(fn)

        def run(x: Any, lam: Any, g: Any) -> Any:
            lam = _tensor(lam)
            fn(_tensor(x), lam)  # its errors are raised here, not in the words of Dynamo
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

        dual = _pushed_forward(fn)

        def run(x: Any, t: Any) -> Any:
            y, tangent = dual(x, t)
            others: Any = torch.func.jvp(fn, (_tensor(x),), (_tensor(t),))
            for each, other in zip((y, tangent), others):
                np.testing.assert_array_equal(each, _array(other))
            return y, tangent

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
        programs = {}
        for strict in [False] * EXPORTS + [True] * COMPILES:
            exported = torch.export.export(_Module(fn), x, strict=strict)
            loaded = _through_file(torch.export.save, torch.export.load, exported).module()
            programs[f"torch.export, strict={strict}, save and load"] = loaded
        traced = jit.trace(_Module(fn), x)
        programs["torch.jit.trace, save and load"] = _through_file(jit.save, jit.load, traced)
        return {how: _differentiated(each) for how, each in programs.items()}


class EagerTorchHarness(TorchHarness):
    """Runs programs as they are."""

    expected_failures = {"compiled_once": "nothing is compiled"}

    def program(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Leave the function as it is."""
        return _differentiated(fn)


class _UsersTensor(torch.Tensor):
    pass


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

    if not COMPILES:
        return fn
    return torch.compile(_own(call), backend=backend, fullgraph=fullgraph)


def _own(fn: Any) -> Any:
    # torch.compile keeps its programs by code object, and gives up after a few of them.
    return types.FunctionType(
        fn.__code__.replace(), fn.__globals__, fn.__name__, None, fn.__closure__
    )


def _through_file(save: Any, load: Any, what: Any) -> Any:
    file = io.BytesIO()
    save(what, file)
    file.seek(0)
    return load(file)


def _differentiated(fn: Any) -> Any:
    return lambda x, g: _pulled_back(fn, x, g)


def _pulled_back(fn: Any, x: Any, g: Any) -> Any:
    x = _tensor(x)
    if x.is_floating_point():
        x.requires_grad_()
    y = fn(x)
    (gradient,) = torch.autograd.grad(y, x, _tensor(g), allow_unused=True)
    return _array(y), _array(gradient)


def _by_backward(fn: Any) -> Any:
    def run(x: Any, g: Any) -> Any:
        x = torch.nn.Parameter(_tensor(x))
        y = fn(x)
        y.backward(_tensor(g))
        return _array(y), _array(x.grad)

    return run


def _by_vjp(fn: Any) -> Any:
    def run(x: Any, g: Any) -> Any:
        both: Any = torch.func.vjp(fn, _tensor(x))
        return _array(both[0]), _array(both[1](_tensor(g))[0])

    return run


def _pushed_forward(fn: Any) -> Any:
    def run(x: Any, t: Any) -> Any:
        with forward_ad.dual_level():
            y, tangent = forward_ad.unpack_dual(fn(forward_ad.make_dual(_tensor(x), _tensor(t))))
        return _array(y), _array(tangent)

    return run


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
