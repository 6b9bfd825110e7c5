"""Lets the conformance suite drive PyTensor."""

# PyTensor has types for a part of itself.
# mypy: disable-error-code="arg-type, attr-defined, call-overload, import-not-found, list-item"
# mypy: disable-error-code="method-assign, misc, name-defined, no-redef, no-untyped-call"

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any, Callable, Dict, Iterable, Iterator, List, Sequence, Tuple

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.mode import Mode, optdb
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.graph.rewriting.basic import MergeOptimizer

from revgrad.testing import Harness

try:
    from pytensor.compile.maker import FunctionMaker
except ImportError:  # before PyTensor 3
    from pytensor.compile.function.types import FunctionMaker

__all__ = ["PytensorHarness"]

_compiling = threading.Lock()
_compilations = [0]


def _count(make: Callable[..., None]) -> Callable[..., None]:
    def counted(self: Any, *args: Any, **kwargs: Any) -> None:
        _compilations[0] += 1
        make(self, *args, **kwargs)

    return counted


FunctionMaker.__init__ = _count(FunctionMaker.__init__)


class PytensorHarness(Harness):
    """Compiles with all rewrites and the Python linker: nothing waits for a C++ compiler."""

    backend = "pytensor"
    mode = Mode(linker="py", optimizer="fast_run")
    unsupported = {"layers": "PyTensor has no layers"}

    def program(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Compile the value and the gradient in one function."""
        x = _tensor(shape, dtype)
        return self._pulled_back(x, fn(x))

    def _pulled_back(self, x: Any, y: Any, *more: Any, **options: Any) -> Any:
        g = y.type()
        gradient = _pullback(y, x, g)
        if gradient is None:
            run = self._compile([x, *more, g], y, **options)
            return lambda *arrays: (run(*arrays), None)
        return self._compile([x, *more, g], [y, gradient], **options)

    def _compile(self, inputs: List[Any], outputs: Any, **options: Any) -> Any:
        options = {"mode": self.mode, "on_unused_input": "ignore", **options}
        with _compiling:  # PyTensor's compiler shares state between threads
            return pytensor.function(inputs, outputs, **options)

    def weighted_sum(self, values: Sequence[Any], weights: Sequence[float]) -> Any:
        """Sum with constants of the dtype of the values: a Python float could raise it."""
        constants = [pt.constant(weight, dtype=values[0].dtype) for weight in weights]
        return sum(value * constant for value, constant in zip(values, constants))

    def constant(self, array: Any) -> Any:
        """Return a constant of the graph."""
        return pt.constant(array)

    def values(self) -> Iterable[Any]:
        """Return an input, an expression, a shared variable, a constant, a class of a user's."""
        x = pt.fvector()
        shared, constant = pytensor.shared(np.ones(2)), pt.constant(np.ones(2))
        return [x, x + 1, shared, constant, UsersVariable(pt.dvector, None)]

    def instances(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Hand in a class of a user's, an expression and a shared variable."""
        users = UsersVariable(_tensor(shape, dtype).type, None)
        x, g = _tensor(shape, dtype), _tensor(shape, dtype)
        shared = pytensor.shared(np.zeros(shape, dtype))
        y = fn(shared)
        run_shared = self._compile([g], [y, _pullback(y, shared, g)])

        def run(array: Any, cotangent: Any) -> Any:
            shared.set_value(array)
            return run_shared(cotangent)

        return {
            "a class of a user's": self._pulled_back(users, fn(users)),
            "an expression": self._pulled_back(x, fn(x * pt.constant(1, dtype=dtype))),
            "a shared variable": run,
        }

    def several_outputs(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Compile all values and their gradient in one function, borrowed or not."""
        x = _tensor(shape, dtype)
        ys = fn(x)
        gs = [y.type() for y in ys]
        known = [y.copy() for y in ys]  # known_grads takes each variable once
        gradient = pytensor.grad(None, x, known_grads=dict(zip(known, gs)))

        def program(borrow: bool) -> Any:
            outputs = [pytensor.Out(each, borrow=borrow) for each in (*known, gradient)]
            run = self._compile([x, *gs], outputs)

            def run_all(array: Any, cotangents: Any) -> Any:
                *values, pulled = run(array, *cotangents)
                return values, pulled

            return run_all

        return {"one function": program(False), "borrowed outputs": program(True)}

    def in_place(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Let the function overwrite its input, and update a shared `x`."""

        def overwriting(mutable: bool) -> Any:
            x = _tensor(shape, dtype)
            y, g = fn(x), x.type()
            value = y + pt.set_subtensor(x[:1], pt.constant(0, dtype=dtype))
            inputs = [pytensor.In(x, mutable=mutable, borrow=mutable), g]
            return self._compile(inputs, [value, _pullback(y, x, g)])

        def updating(copy: bool) -> Any:
            x, g = pytensor.shared(np.zeros(shape, dtype)), _tensor(shape, dtype)
            y = fn(x)
            outputs = [y + pt.constant(0, dtype=dtype) if copy else y, _pullback(y, x, g)]
            updates = [(x, pt.set_subtensor(x[:1], pt.constant(0, dtype=dtype)))]
            run = self._compile([g], outputs, updates=updates)

            def run_on(array: Any, cotangent: Any) -> Any:
                x.set_value(array)
                return run(cotangent)

            return run_on

        return {
            "an input that is overwritten": (overwriting(True), overwriting(False)),
            "a shared variable that is updated": (updating(False), updating(True)),
        }

    def modes(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Compile with all rewrites, with few, and with none."""
        modes = {str(each): Mode("py", each) for each in ("fast_run", "fast_compile", None)}
        x = _tensor(shape, dtype)
        y = fn(x)
        return {name: self._pulled_back(x, y, mode=mode) for name, mode in modes.items()}

    def views(self, fn: Any, shape: Any, dtype: Any) -> bool:
        """Look at the memory with the reversal compiled away."""
        x, array = _tensor(shape, dtype), np.ones(shape, dtype)
        y = pytensor.Out(fn(x), borrow=True)
        run = pytensor.function([pytensor.In(x, borrow=True)], y, mode=self.mode)
        return np.shares_memory(run(array), array)

    def rewritten(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Merge, canonicalise, or both, and take the gradient then."""
        rewrites = {
            "merged": MergeOptimizer(),
            "canonicalised": optdb.query("+canonicalize"),
            "merged and canonicalised": optdb.query("+merge", "+canonicalize"),
        }
        programs = {}
        for how, rewrite in rewrites.items():
            x = _tensor(shape, dtype)
            graph = FunctionGraph([x], [fn(x)])
            rewrite.rewrite(graph)
            (x,), (y,) = graph.inputs, graph.outputs
            g = y.type()
            outputs = copy.deepcopy([x, g, y, _pullback(y, x, g)])  # a graph owns its variables
            programs[how] = self._compile(outputs[:2], outputs[2:])
        return programs

    def compilations(self) -> int:
        """Count the functions that PyTensor has made since this module was imported."""
        return _compilations[0]

    def graph_lambda(self, fn: Any, shape: Any, dtype: Any, lam_shape: Any, lam_dtype: Any) -> Any:
        """Compile a function with λ as an input."""
        x, lam = _tensor(shape, dtype), _tensor(lam_shape, lam_dtype)
        return self._pulled_back(x, fn(x, lam), lam)

    def lambda_gradient(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Ask `pytensor.grad` for the gradient of λ."""
        x, lam = _tensor(shape, dtype), _tensor((), dtype)
        y = fn(x, lam)
        g = y.type()
        gradient = pytensor.grad(
            (y * g).sum(), lam, disconnected_inputs="ignore", return_disconnected="None"
        )
        if gradient is None:
            return lambda *arrays: None
        return self._compile([x, lam, g], gradient)

    def scalar_program(self, fn: Any, dtype: Any) -> Any:
        """Compile a function of a scalar."""
        p = _tensor((), dtype)
        return self._compile([p], fn(p))

    def forward_mode(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Use `pytensor.Rop`."""
        x = _tensor(shape, dtype)
        y, t = fn(x), x.type()
        return self._compile([x, t], [y, pytensor.Rop(y, x, t)])

    def second_order(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Differentiate the product of the gradient and `v`."""
        x = _tensor(shape, dtype)
        v = x.type()
        cost = (fn(x**2) ** 3).sum()
        return self._compile([x, v], [cost, pytensor.grad((pytensor.grad(cost, x) * v).sum(), x)])

    def vectorised(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Use `pytensor.scan`."""
        xs = _tensor((0, *shape), dtype)
        xs.name = "xs"  # scan names what it hands to fn after it
        ys, _ = pytensor.scan(fn, sequences=xs)
        return self._pulled_back(xs, ys)

    def operations(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Name the Ops of the compiled functions, those of inner graphs included."""
        x, g = _tensor(shape, dtype), _tensor(shape, dtype)
        forward = self._compile([x], pt.sigmoid(fn(x)).sum())
        backward = self._compile([x, g], _pullback(fn(x), x, g))
        return _ops_of(forward), _ops_of(backward)

    def copies(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Copy and pickle the graph and the compiled function, and clone the graph."""
        x = _tensor(shape, dtype)
        y = fn(x)
        compiled, other = self._pulled_back(x, y), x.type()
        return {
            "copy of the graph": self._pulled_back(*copy.deepcopy((x, y))),
            "pickle of the graph": self._pulled_back(*pickle.loads(pickle.dumps((x, y), 2))),
            "clone": self._pulled_back(other, clone_replace(y, {x: other})),
            "copy of the function": compiled.copy(),
            "pickle of the function": pickle.loads(pickle.dumps(compiled, 2)),
        }


class UsersVariable(pt.TensorVariable):
    """A class that a user derives."""


def _tensor(shape: Tuple[int, ...], dtype: str) -> Any:
    return pt.TensorType(dtype, shape=[1 if length == 1 else None for length in shape])()


def _pullback(y: Any, x: Any, g: Any) -> Any:
    # Lop would give a constant 0 where they are not connected; the suite wants to know.
    return pytensor.grad(
        None, x, known_grads={y: g}, disconnected_inputs="ignore", return_disconnected="None"
    )


def _ops_of(function: Any) -> List[str]:
    return list(_names_of(function.maker.fgraph.toposort()))


def _names_of(nodes: Iterable[Any]) -> Iterator[str]:
    for node in nodes:
        op = getattr(node.op, "scalar_op", node.op)  # what an Elemwise does to each element
        inner = getattr(node.op, "fn", None)  # of scan
        if hasattr(op, "fgraph"):  # Elemwises that were fused
            yield from _names_of(op.fgraph.toposort())
        elif inner is not None:
            yield from _ops_of(inner)
        else:
            yield type(op).__name__
