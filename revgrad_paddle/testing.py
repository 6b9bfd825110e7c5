"""Lets the conformance suite drive Paddle."""

from __future__ import annotations

import copy
import importlib.util
import os
import pickle
import tempfile
from typing import Any, Callable, Dict, Iterable, Mapping

import numpy as np
import paddle
from paddle.distributed.fleet.utils import recompute
from paddle.incubate import autograd

import revgrad
from revgrad.testing import Harness
from revgrad_paddle.layers import GradientReversal

__all__ = ["PaddleHarness", "StaticPaddleHarness"]


class PaddleHarness(Harness):
    """Runs programs as they are; λ as a value of the framework is an argument of a built program.

    Attributes
    ----------
    layer : type
        The class of the layer that is put to the checks of layers.
    """

    backend = "paddle"
    layer: Any = GradientReversal
    # On the CPU Paddle multiplies no float16. NumPy has its bfloat16 from ml_dtypes.
    half_dtypes = ("bfloat16",) if importlib.util.find_spec("ml_dtypes") else ()
    unsupported = {
        "operations": "Paddle shows no program after its compiler",
        "rewritten": "Paddle differentiates a program as it was built",
        "vectorised": "Paddle has no vmap",
        "views": "Paddle does not see a write to the memory that a PyLayer returns by another name",
    }

    expected_failures: Mapping[str, str] = {"compiled_once": "nothing is compiled"}

    def __init__(self) -> None:
        self._built = 0

    def _static(self, function: Callable[..., Any], full_graph: bool = True) -> Callable[..., Any]:
        @paddle.jit.not_to_static
        def counted(*arguments: Any) -> Any:
            self._built += not paddle.in_dynamic_mode()
            return function(*arguments)

        # to_static reads this very code, and knows no variable number of arguments.
        def of_one(x: Any) -> Any:
            return counted(x)

        def of_two(x: Any, lam: Any) -> Any:
            return counted(x, lam)

        built: Dict[int, Any] = {
            1: paddle.jit.to_static(of_one, full_graph=full_graph),
            2: paddle.jit.to_static(of_two, full_graph=full_graph),
        }
        return lambda *arguments: built[len(arguments)](*arguments)

    def program(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Leave the function as it is."""
        return _differentiated(fn)

    def constant(self, array: Any) -> Any:
        """Return a tensor."""
        return _tensor(array)

    def values(self) -> Iterable[Any]:
        """Return a parameter, what is computed from it, and a value of a program."""
        linear = paddle.nn.Linear(2, 2)
        seen = [linear.weight, linear(paddle.ones([1, 2])), paddle.ones([2])]
        return seen

    def several_outputs(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Compute all values, and pull all cotangents back together."""

        def differentiated(program: Any) -> Any:
            def run(x: Any, gs: Any) -> Any:
                x = _variable(x)
                values = program(x)
                paddle.autograd.backward(list(values), [_tensor(g) for g in gs])
                return [_array(value) for value in values], _array(x.grad)

            return run

        return {
            "eager": differentiated(fn),
            "to_static": differentiated(self._static(fn)),
        }

    def in_place(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Write to the result, to what was reversed, and to views of them."""

        def write(how: Callable[[Any, Any], Any], copied: bool) -> Any:
            def program(x: Any) -> Any:
                h = x * 1
                y = fn(h)
                if copied:
                    h, y = h.clone(), y.clone()
                how(h, y)
                return y**2 + 10 * h

            return self.program(program, shape, dtype)

        ways: Dict[str, Callable[[Any, Any], Any]] = {
            "y.scale_(3)": lambda h, y: y.scale_(3.0),
            "h.scale_(3)": lambda h, y: h.scale_(3.0),
            "y[0] = 7": lambda h, y: y.__setitem__(0, 7.0),
            "h.detach().scale_(3)": lambda h, y: h.detach().scale_(3.0),
            "y.detach().scale_(3)": lambda h, y: y.detach().scale_(3.0),
        }
        return {name: (write(how, False), write(how, True)) for name, how in ways.items()}

    def layers(self, lam: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Copy, pickle, cast, train, load and save the layer, and build a program of it."""

        def made() -> Any:
            return self.layer(lam)

        def cast(kind: Any) -> Any:
            model = paddle.nn.Sequential(made())
            model.to(dtype=kind)
            return model

        def decorated() -> Any:
            model = paddle.nn.Sequential(made())
            return paddle.amp.decorate(model, level="O2", dtype="bfloat16")

        def evaluated() -> Any:
            layer = made()
            layer.eval()
            return layer

        def loaded() -> Any:
            with tempfile.TemporaryDirectory() as folder:
                file = os.path.join(folder, "model.pdparams")
                paddle.save(made().state_dict(), file)
                layer = self.layer(9.0)
                layer.set_state_dict(paddle.load(file))
            return layer

        def without() -> Any:
            layer = made()
            layer.set_state_dict({})
            return layer

        programs = {
            "made": made(),
            "copy.copy()": copy.copy(made()),
            "copy.deepcopy()": copy.deepcopy(made()),
            "pickled": pickle.loads(pickle.dumps(made())),
            "to(float16)": cast("float16"),
            "to(bfloat16)": cast("bfloat16"),
            "amp.decorate()": decorated(),
            "eval()": evaluated(),
            "saved and loaded": loaded(),
            "state_dict without λ": without(),
            "to_static": paddle.jit.to_static(made(), full_graph=True),
            "to_static, full_graph=False": paddle.jit.to_static(made(), full_graph=False),
            "jit.save() and load()": _saved(made(), shape, dtype),
        }
        return {name: _differentiated(each) for name, each in programs.items()}

    def assigned(self, first: Any, second: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Assign, write and load; also where a variable drives the layer, or it is a program."""
        changes: Dict[str, Callable[[Any], Any]] = {
            "layer.lam = λ": lambda layer: setattr(layer, "lam", second),
            "layer.lam = tensor": lambda layer: setattr(layer, "lam", paddle.to_tensor(second)),
            "layer.lam.set_value(λ)": lambda layer: layer.lam.set_value(paddle.to_tensor(second)),
            "set_state_dict()": lambda layer: layer.set_state_dict(
                {"lam": paddle.to_tensor(second)}
            ),
        }

        def program(change: Callable[[Any], Any], driven: bool) -> Any:
            def run(x: Any, g: Any) -> Any:
                variable = revgrad.LambdaVariable(first)
                layer = self.layer(variable if driven else first)
                change(layer)
                found = _differentiated(layer)(x, g)
                if driven and abs(variable.value - second) > 1e-6:
                    raise AssertionError(f"{variable!r} drives a layer whose λ is {second}")
                return found

            return run

        def static(x: Any, g: Any) -> Any:
            layer = self.layer(first)
            forward = paddle.jit.to_static(layer.forward, full_graph=True)
            forward(_tensor(x))
            layer.lam = second
            return _differentiated(forward)(x, g)

        programs = {name: program(change, False) for name, change in changes.items()}
        for name, change in changes.items():
            programs[f"{name}, driven by a variable"] = program(change, True)
        programs["layer.lam = λ, once to_static has built it"] = static
        return programs

    def modes(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Follow blocks without gradients, cast, recompute, build programs."""

        def after(context: Any) -> Any:
            def run(x: Any) -> Any:
                with context():
                    fn(x)
                return fn(x)

            return run

        def cast(x: Any) -> Any:
            with paddle.amp.auto_cast(level="O2", dtype="bfloat16"):
                return fn(x)

        programs = {
            "eager": fn,
            "after no_grad()": after(paddle.no_grad),
            "auto_cast()": cast,
            "recompute()": lambda x: recompute(fn, x),
            "to_static": self._static(fn),
            "to_static, full_graph=False": self._static(fn, full_graph=False),
        }
        return {name: _differentiated(each) for name, each in programs.items()}

    def instances(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Reverse a parameter, and the values of a program."""

        def parameter(x: Any, g: Any) -> Any:
            layer = paddle.nn.Layer()
            weight: Any = layer.create_parameter(list(shape), dtype=dtype)
            weight.set_value(x)
            y = fn(weight)
            paddle.autograd.backward([y], [_tensor(g)])
            return _array(y), _array(weight.grad)

        def static(x: Any, g: Any) -> Any:
            paddle.enable_static()
            try:
                main: Any = paddle.static.Program()  # type: ignore[no-untyped-call]
                with paddle.static.program_guard(main):
                    data = paddle.static.data("x", list(shape), dtype)
                    data.stop_gradient = False
                    y = fn(data)
                    gradient = paddle.static.gradients([y], [data], [paddle.to_tensor(g)])
                    return paddle.static.Executor().run(
                        main, feed={"x": x}, fetch_list=[y, *gradient]
                    )
            finally:
                paddle.disable_static()

        return {"Parameter": parameter, "pir.Value": static}

    def compilations(self) -> int:
        """Count the programs that Paddle has built in this harness."""
        return self._built

    def graph_lambda(self, fn: Any, shape: Any, dtype: Any, lam_shape: Any, lam_dtype: Any) -> Any:
        """Make λ an argument of a program that is built."""
        built = self._static(fn)

        def run(x: Any, lam: Any, g: Any) -> Any:
            lam = _tensor(lam)
            fn(_tensor(x), lam)  # what is refused is refused here, and not in words of Paddle
            return _differentiated(lambda x: built(x, lam))(x, g)

        return run

    def lambda_gradient(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Ask for the gradient of λ."""

        def run(x: Any, lam: Any, g: Any) -> Any:
            lam = _variable(lam)
            paddle.autograd.backward([fn(_tensor(x), lam)], [_tensor(g)])
            return _array(lam.grad)

        return run

    def scalar_program(self, fn: Any, dtype: Any) -> Any:
        """Build a program of a scalar."""
        built = self._static(fn)
        return lambda p: _array(built(_tensor(p)))

    def forward_mode(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Use `paddle.incubate.autograd.jvp`."""

        def run(x: Any, t: Any) -> Any:
            y, tangent = autograd.jvp(fn, _variable(x), _tensor(t))
            return _array(y), _array(tangent)

        return run

    def second_order(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Differentiate twice."""

        def run(x: Any, v: Any) -> Any:
            x = _variable(x)
            cost = (fn(x**2) ** 3).sum()
            (gradient,) = paddle.grad(cost, x, create_graph=True)
            (product,) = paddle.grad((gradient * _tensor(v)).sum(), x)
            return _array(cost), _array(product)

        return run

    def copies(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Save a program and load it; the gradient is taken afterwards."""
        loaded = _saved(_Layer(fn), shape, dtype)
        return {"paddle.jit.save() and load()": _differentiated(loaded)}


class StaticPaddleHarness(PaddleHarness):
    """Builds every program with `paddle.jit.to_static`."""

    examples = 5
    expected_failures = {
        "any_cotangent": "the residual form passes no gradient on where x is not finite",
        "half_precision": "the residual form passes no gradient on where x is not finite",
        "thread_safe": "while one thread builds a program, Paddle lets no other build one",
    }

    def program(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Build a program of the function."""
        return _differentiated(self._static(fn))


class _Layer(paddle.nn.Layer):
    def __init__(self, fn: Any) -> None:
        super().__init__()
        self.fn = paddle.jit.not_to_static(fn)

    def forward(self, x: Any) -> Any:
        return self.fn(x)


def _saved(layer: Any, shape: Any, dtype: Any) -> Any:
    """Return what is left of a layer in a file."""
    spec = [paddle.static.InputSpec(list(shape), dtype, stop_gradient=False)]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model")
        paddle.jit.save(paddle.jit.to_static(layer, input_spec=spec, full_graph=True), path)
        loaded = paddle.jit.load(path)
    loaded.train()
    return loaded


def _differentiated(fn: Any) -> Any:
    def run(x: Any, g: Any) -> Any:
        x = _variable(x)
        y = fn(x)
        paddle.autograd.backward([y], [_tensor(g)])
        return _array(y), _array(x.grad)

    return run


def _variable(array: Any) -> Any:
    tensor = _tensor(array)
    tensor.stop_gradient = False
    return tensor


def _tensor(array: Any) -> Any:
    array = np.array(array)
    if array.dtype.name == "bfloat16":
        return paddle.to_tensor(array.astype("float32")).astype("bfloat16")
    return paddle.to_tensor(array)


def _array(tensor: Any) -> Any:
    if tensor is None:
        return None
    if tensor.dtype == paddle.bfloat16:
        from ml_dtypes import bfloat16

        return tensor.detach().astype("float32").numpy().astype(bfloat16)
    return tensor.detach().numpy()
