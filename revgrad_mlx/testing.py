"""Lets the conformance suite drive MLX."""

from __future__ import annotations

import copy
import importlib.util
import os
import pickle
import re
import tempfile
from typing import Any, Callable, Dict, Iterable, List

import mlx.core as mx
import numpy as np
from mlx.nn.layers import containers
from mlx.nn.layers.linear import Linear
from mlx.nn.utils import checkpoint, value_and_grad

import revgrad
from revgrad.testing import Harness
from revgrad_mlx.modules import GradientReversal

Sequential: Any = containers.Sequential  # it has no types

__all__ = ["EagerMlxHarness", "MlxHarness", "compiled_operations"]


class MlxHarness(Harness):
    """Compiles every program with `mlx.core.compile`.

    Attributes
    ----------
    module : type
        The class of the module that is put to the checks of layers.
    """

    backend = "mlx"
    module: Any = GradientReversal
    # A GPU has no float64.
    dtypes = ("float32", "float64")[: 2 if mx.default_device() == mx.Device(mx.cpu) else 1]
    # NumPy has its bfloat16 from ml_dtypes.
    half_dtypes = ("float16", "bfloat16")[: 2 if importlib.util.find_spec("ml_dtypes") else 1]
    unsupported = {
        "copies": "mlx.core.export_function writes no custom function, and raises",
        "rewritten": "MLX differentiates what the function does, before it compiles",
    }
    expected_failures = {
        "zero_overhead": "mlx.core.compile merges no operation with one beyond a custom function",
    }
    if "float64" in dtypes:
        expected_failures["schedule_in_graph"] = (
            "mlx.core.cos and exp of float64 compute in float32"
        )

    def __init__(self) -> None:
        self._traces = 0

    def _compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            self._traces += 1  # runs while MLX traces, and at no other time
            return function(*arguments)

        return _on_arrays(mx.compile(counted))

    def program(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Compile the value and the pullback."""
        return self._compiled(lambda x, g: _pulled_back(fn, x, g))

    def constant(self, array: Any) -> Any:
        """Return an array."""
        return _mlx(array)

    def values(self) -> Iterable[Any]:
        """Return arrays that are not traced."""
        return [mx.ones(2), mx.random.normal((2,)), Linear(2, 2).weight]

    def views(self, fn: Any, shape: Any, dtype: Any) -> bool:
        """Compare where the data lies."""
        x = _mlx(np.ones(shape, dtype))
        y = fn(x)
        mx.eval(x, y)
        first, second = (np.array(each, copy=False).ctypes.data for each in (x, y))
        return bool(first == second)

    def several_outputs(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Compute all values and their pullback in one program, and the values in one."""

        def run(fn: Any) -> Any:
            return lambda x, gs: _pulled_back_all(fn, x, gs)

        return {
            "eager": _on_arrays(run(fn)),
            "compiled": self._compiled(run(fn)),
            "differentiated after mx.compile": _on_arrays(run(mx.compile(fn))),
        }

    def in_place(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Assign to an item of the result, and of what was reversed; add in place."""

        def assign_result(h: Any, y: Any) -> Any:
            y[0] = 7
            return h, y

        def assign_input(h: Any, y: Any) -> Any:
            h[0] = 7
            return h, y

        def add(h: Any, y: Any) -> Any:
            y += h
            return h, y

        def write(how: Any, copied: bool) -> Any:
            def program(x: Any) -> Any:
                h = x * 1
                y = fn(h)
                if copied:
                    h, y = h + 0, y + 0
                h, y = how(h, y)
                return y + 10 * h

            return self.program(program, shape, dtype)

        ways = {"y[0] = 7": assign_result, "h[0] = 7": assign_input, "y += h": add}
        return {name: (write(how, False), write(how, True)) for name, how in ways.items()}

    def layers(self, lam: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Copy, pickle, cast, freeze, train, save and load the module, and compile its state."""

        def made() -> Any:
            return self.module(lam)

        def cast(kind: Any) -> Any:
            module = made()
            module.set_dtype(kind)
            return module

        def unfrozen() -> Any:
            model: Any = Sequential(made())
            model.freeze()
            model.unfreeze()
            if model.trainable_parameters()["layers"][0]:
                raise AssertionError("λ is trainable")
            return model

        def loaded() -> Any:
            with tempfile.TemporaryDirectory() as folder:
                file = os.path.join(folder, "weights.safetensors")
                made().save_weights(file)
                module = self.module(9.0)
                module.load_weights(file)
                mx.eval(module.parameters())
            return module

        def compiled() -> Any:
            model = Sequential(made())
            return mx.compile(model, inputs=model.state)

        programs = {
            "made": made(),
            "copy.copy()": copy.copy(made()),
            "copy.deepcopy()": copy.deepcopy(made()),
            "pickled": pickle.loads(pickle.dumps(made())),
            "set_dtype(float16)": cast(mx.float16),
            "set_dtype(bfloat16)": cast(mx.bfloat16),
            "freeze(), unfreeze()": unfrozen(),
            "train()": made().train(),
            "eval()": made().eval(),
            "saved and loaded": loaded(),
            "compiled with its state": compiled(),
            "nn.utils.checkpoint": checkpoint(made()),
        }
        return {name: _differentiated(each) for name, each in programs.items()}

    def assigned(self, first: Any, second: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Assign, update and load; also where a variable drives the module, or it is compiled."""

        def by_update(module: Any) -> None:
            module.update({"lam": mx.array(second)})

        def by_loading(module: Any) -> None:
            module.load_weights([("lam", mx.array(second))])

        changes: Dict[str, Callable[[Any], None]] = {
            "module.lam = λ": lambda module: setattr(module, "lam", second),
            "module.lam = array": lambda module: setattr(module, "lam", mx.array(second)),
            "update()": by_update,
            "load_weights()": by_loading,
        }

        def program(change: Callable[[Any], None], driven: bool) -> Any:
            def run(x: Any, g: Any) -> Any:
                variable = revgrad.LambdaVariable(first)
                module = self.module(variable if driven else first)
                compiled = mx.compile(module, inputs=module.state)
                compiled(_mlx(x))
                change(module)
                if driven and abs(variable.value - second) > 1e-6:
                    raise AssertionError(f"{variable!r} drives a module whose λ is {second}")
                return _differentiated(compiled)(x, g)

            return run

        programs = {name: program(change, False) for name, change in changes.items()}
        for name, change in changes.items():
            programs[f"{name}, driven by a variable"] = program(change, True)
        return programs

    def modes(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Run eagerly, compiled before and after the gradient, without compiling, recomputed."""

        def disabled(x: Any, g: Any) -> Any:
            mx.disable_compile()
            try:
                return _differentiated(mx.compile(fn))(x, g)
            finally:
                mx.enable_compile()

        return {
            "eager": _differentiated(fn),
            "compiled": self.program(fn, shape, dtype),
            "differentiated after mx.compile": _differentiated(mx.compile(fn)),
            "compiling disabled": disabled,
            "checkpoint": _differentiated(mx.checkpoint(fn)),
        }

    def instances(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Hand in what each transform hands to a function, and an array of a user's class."""

        def by_grad(x: Any, g: Any) -> Any:
            return fn(x), mx.grad(lambda x: (fn(x) * g).sum())(x)

        def by_value_and_grad(x: Any, g: Any) -> Any:
            model = Sequential(fn)
            model.x = x
            cost = value_and_grad(model, lambda: (model(model.x) * g).sum())
            return fn(x), cost()[1]["x"]

        programs = {
            "grad": by_grad,
            "nn.value_and_grad": by_value_and_grad,
            "vmap": mx.vmap(lambda x, g: _pulled_back(fn, x, g)),
        }
        return {kind: _on_arrays(run) for kind, run in programs.items()}

    def compilations(self) -> int:
        """Count how often MLX has traced a function of this harness."""
        return self._traces

    def graph_lambda(self, fn: Any, shape: Any, dtype: Any, lam_shape: Any, lam_dtype: Any) -> Any:
        """Make λ an argument of the compiled function."""
        return self._compiled(lambda x, lam, g: _pulled_back(lambda x: fn(x, lam), x, g))

    def lambda_gradient(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Ask for the pullback to λ."""
        return self._compiled(lambda x, lam, g: mx.vjp(lambda lam: fn(x, lam), [lam], [g])[1][0])

    def scalar_program(self, fn: Any, dtype: Any) -> Any:
        """Compile a function of a scalar."""
        return self._compiled(fn)

    def forward_mode(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Use `mlx.core.jvp`."""

        def pushed(x: Any, t: Any) -> Any:
            values, tangents = mx.jvp(fn, [x], [t])
            return values[0], tangents[0]

        return self._compiled(pushed)

    def second_order(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Differentiate the product of the gradient and `v`."""

        def cost(x: Any) -> Any:
            return (fn(x**2) ** 3).sum()

        return self._compiled(
            lambda x, v: (cost(x), mx.grad(lambda x: (mx.grad(cost)(x) * v).sum())(x))
        )

    def vectorised(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Use `mlx.core.vmap`, and differentiate through it."""
        return self.program(mx.vmap(fn), shape, dtype)

    def operations(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Read the primitives out of the graphs of compiled functions."""
        x = mx.ones(shape)
        forward = mx.compile(lambda x: mx.tanh(fn(x * 2)))
        backward = mx.compile(lambda x, g: mx.vjp(fn, [x], [g])[1][0] * 1)
        return compiled_operations(forward(x)), compiled_operations(backward(x, x))


class EagerMlxHarness(MlxHarness):
    """Runs programs as they are."""

    expected_failures = {**MlxHarness.expected_failures, "compiled_once": "nothing is compiled"}

    def program(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Leave the function as it is."""
        return _differentiated(fn)


def compiled_operations(value: mx.array) -> List[str]:
    """Return the primitives, compiled ones included, that compute an array.

    Parameters
    ----------
    value : mlx.core.array
        Not evaluated yet.

    Returns
    -------
    list of str
        Names as in ``"CompiledBroadcastMultiply"``.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "graph.dot")
        mx.export_to_dot(file, value)
        with open(file, encoding="utf-8") as text:
            return re.findall(r'label ="(\w+)"', text.read())


def _pulled_back(fn: Any, x: Any, g: Any) -> Any:
    values, gradients = mx.vjp(fn, [x], [g])
    return values[0], gradients[0]


def _pulled_back_all(fn: Any, x: Any, gs: Any) -> Any:
    values, gradients = mx.vjp(fn, [x], list(gs))
    return values, gradients[0]


def _differentiated(fn: Any) -> Any:
    return _on_arrays(lambda x, g: _pulled_back(fn, x, g))


def _on_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of MLX arrays take and return those of NumPy."""

    def run(*arrays: Any) -> Any:
        given = [
            [_mlx(x) for x in each] if isinstance(each, list) else _mlx(each) for each in arrays
        ]
        return _numpy(function(*given))

    return run


def _mlx(array: Any) -> mx.array:
    array = np.array(array)
    if array.dtype.name == "bfloat16":
        return mx.array(array.astype("float32")).astype(mx.bfloat16)
    return mx.array(array, getattr(mx, array.dtype.name.replace("bool", "bool_")))


def _numpy(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_numpy(each) for each in value]
    if value.dtype == mx.bfloat16:
        from ml_dtypes import bfloat16

        return np.array(value.astype(mx.float32)).astype(bfloat16)
    return np.array(value)
