"""Lets the conformance suite drive MindSpore."""

from __future__ import annotations

import copy
import os
import tempfile
from typing import Any, Callable, Dict, Iterable

import mindspore as ms
import numpy as np
from mindspore import nn, ops

import revgrad
from revgrad.testing import Harness
from revgrad_mindspore.cells import GradientReversal

__all__ = ["MindSporeHarness"]

_COMPILED = "MindSpore reads the source of what it compiles, and not that of revgrad: the Cell is"


class MindSporeHarness(Harness):
    """Runs programs in PyNative mode; the Cell in Graph mode too.

    Attributes
    ----------
    cell : type
        The class of the Cell that is put to the checks of layers.
    """

    backend = "mindspore"
    cell: Any = GradientReversal
    subnormals = False  # MindSpore takes them for zero on the CPU
    expected_failures = {
        "schedule_in_graph": "mindspore.ops.tanh of float32 is wrong in the fifth digit on the CPU",
    }
    unsupported = {
        "compilations": f"{_COMPILED} for compiled graphs, and has tests of its own",
        "copies": f"{_COMPILED} for exported graphs, and MindIR is for inference",
        "forward_mode": f"{_COMPILED} for jvp, which compiles",
        "operations": "MindSpore shows no operations of what it has compiled",
        "rewritten": "MindSpore differentiates what it has parsed",
        "threads": "operations from several threads may end the process in MindSpore 2.10",
        "vectorised": f"{_COMPILED} for vmap, which compiles",
    }

    def evaluate(self, fn: Any, x: Any, g: Any) -> Any:
        """Compute the value, and the gradient of its product with `g`."""
        return _pulled_back(fn, x, g)

    def constant(self, array: Any) -> Any:
        """Return a tensor."""
        return _tensor(array)

    def values(self) -> Iterable[Any]:
        """Return a parameter and what is computed from it."""
        dense = nn.Dense(2, 2)
        return [dense.weight, dense(ops.ones((1, 2)))]

    def views(self, fn: Any, shape: Any, dtype: Any) -> bool:
        """Compare where the data lies."""
        x = _tensor(np.ones(shape, dtype))
        return bool(fn(x).data_ptr() == x.data_ptr())

    def several_outputs(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Compute all values, and pull all cotangents back together."""

        def run(x: Any, gs: Any) -> Any:
            weights = [_tensor(g) for g in gs]

            def total(x: Any) -> Any:
                return sum((y * g).sum() for y, g in zip(fn(x), weights))

            values = fn(_tensor(x))
            return [_array(value) for value in values], _array(ms.grad(total)(_tensor(x)))

        return {"PyNative": run}

    def in_place(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Write to the result, and to what was reversed."""

        def write(how: Callable[[Any, Any], Any], copied: bool) -> Any:
            def program(x: Any) -> Any:
                h = x * 1
                y = fn(h)
                if copied:
                    h, y = h * 1, y * 1
                how(h, y)
                return y * y + 10 * h

            return self.program(program, shape, dtype)

        ways: Dict[str, Callable[[Any, Any], Any]] = {
            "y.mul_(3)": lambda h, y: y.mul_(3.0),
            "h.mul_(3)": lambda h, y: h.mul_(3.0),
            "y[0] = 7": lambda h, y: y.__setitem__(0, 7.0),
            "h[0] = 7": lambda h, y: h.__setitem__(0, 7.0),
        }
        return {name: (write(how, False), write(how, True)) for name, how in ways.items()}

    def layers(self, lam: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Copy, cast, train, save and load the Cell, and compile it."""

        def made() -> Any:
            return self.cell(lam)

        def loaded() -> Any:
            with tempfile.TemporaryDirectory() as folder:
                file = os.path.join(folder, "model.ckpt")
                ms.save_checkpoint(nn.SequentialCell(made()), file)
                model = nn.SequentialCell(self.cell(9.0))
                ms.load_param_into_net(model, ms.load_checkpoint(file))
            return model

        cells = {
            "made": made(),
            "in a SequentialCell": nn.SequentialCell(made()),
            "copy.deepcopy()": copy.deepcopy(made()),
            "set_train()": made().set_train(),
            "saved and loaded": loaded(),
        }
        programs = {name: _differentiated(cell) for name, cell in cells.items()}
        programs["Graph mode"] = _in_graph_mode(_differentiated(made()))
        programs["jit"] = _differentiated(_compiled(made()))
        return programs

    def assigned(self, first: Any, second: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Assign, write and load; also where a variable drives the Cell, or it is compiled."""

        def by_loading(cell: Any) -> None:
            ms.load_param_into_net(cell, {"lam": ms.Parameter(ms.Tensor(second, ms.float32))})

        changes: Dict[str, Callable[[Any], Any]] = {
            "cell.lam = λ": lambda cell: setattr(cell, "lam", second),
            "cell.lam = tensor": lambda cell: setattr(cell, "lam", ms.Tensor(second, ms.float32)),
            "cell.lam.set_data(λ)": lambda cell: cell.lam.set_data(ms.Tensor(second, ms.float32)),
            "load_param_into_net()": by_loading,
        }

        def program(change: Callable[[Any], Any], driven: bool) -> Any:
            def run(x: Any, g: Any) -> Any:
                variable = revgrad.LambdaVariable(first)
                cell = self.cell(variable if driven else first)
                change(cell)
                found = _pulled_back(cell, x, g)
                if driven and abs(variable.value - second) > 1e-6:
                    raise AssertionError(f"{variable!r} drives a Cell whose λ is {second}")
                return found

            return run

        def compiled(x: Any, g: Any) -> Any:
            cell = self.cell(first)
            program = _differentiated(_compiled(cell))
            program(x, g)
            cell.lam = second
            return program(x, g)

        programs = {name: program(change, False) for name, change in changes.items()}
        for name, change in changes.items():
            programs[f"{name}, driven by a variable"] = program(change, True)
        programs["cell.lam = λ, once it is compiled"] = compiled
        return programs

    def modes(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Recompute, and call from a Cell."""

        class Model(nn.Cell):  # type: ignore[misc, unused-ignore]
            def construct(self, x: Any) -> Any:
                return fn(x)

        def recomputed(x: Any) -> Any:
            return ms.recompute(Model(), x)

        return {
            "a function": _differentiated(fn),
            "a Cell": _differentiated(Model()),
            "a Cell, set_train()": _differentiated(Model().set_train()),
            "recompute()": _differentiated(recomputed),
        }

    def instances(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Reverse a parameter, and differentiate by value_and_grad and vjp."""

        def parameter(x: Any, g: Any) -> Any:
            weight, g = ms.Parameter(_tensor(x)), _tensor(g)
            gradient = ms.grad(lambda: (fn(weight) * g).sum(), None, weight)()
            return _array(fn(weight)), _array(gradient)

        def by_vjp(x: Any, g: Any) -> Any:
            def call(x: Any) -> Any:
                return fn(x)

            y, pullback = ms.vjp(call, _tensor(x))
            return _array(y), _array(pullback(_tensor(g))[0])

        return {"Parameter": parameter, "vjp": by_vjp}

    def graph_lambda(self, fn: Any, shape: Any, dtype: Any, lam_shape: Any, lam_dtype: Any) -> Any:
        """Make λ a tensor."""
        return lambda x, lam, g: _pulled_back(lambda x: fn(x, _tensor(lam)), x, g)

    def lambda_gradient(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Ask for the gradient of λ."""

        def run(x: Any, lam: Any, g: Any) -> Any:
            x, g = _tensor(x), _tensor(g)
            return _array(ms.grad(lambda lam: (fn(x, lam) * g).sum())(_tensor(lam)))

        return run

    def scalar_program(self, fn: Any, dtype: Any) -> Any:
        """Compute a function of a scalar."""
        return lambda p: _array(fn(_tensor(p)))

    def second_order(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Differentiate the product of the gradient and `v`."""

        def cost(x: Any) -> Any:
            return (fn(x**2) ** 3).sum()

        def run(x: Any, v: Any) -> Any:
            x, v = _tensor(x), _tensor(v)
            product = ms.grad(lambda x: (ms.grad(cost)(x) * v).sum())(x)
            return _array(cost(x)), _array(product)

        return run


def _compiled(cell: Any) -> Any:
    def call(x: Any) -> Any:
        return cell(x)

    return ms.jit(call)


def _in_graph_mode(run: Any) -> Any:
    def within(x: Any, g: Any) -> Any:
        ms.set_context(mode=ms.GRAPH_MODE)
        try:
            return run(x, g)
        finally:
            ms.set_context(mode=ms.PYNATIVE_MODE)

    return within


def _differentiated(fn: Any) -> Any:
    return lambda x, g: _pulled_back(fn, x, g)


def _pulled_back(fn: Any, x: Any, g: Any) -> Any:
    x, g = _tensor(x), _tensor(g)

    def total(x: Any) -> Any:
        y = fn(x)
        return (y * g).sum(), y

    (_, y), gradient = ms.value_and_grad(total, has_aux=True)(x)
    return _array(y), _array(gradient)


def _tensor(array: Any) -> Any:
    return ms.Tensor(np.array(array))


def _array(tensor: Any) -> Any:
    return tensor.asnumpy()
