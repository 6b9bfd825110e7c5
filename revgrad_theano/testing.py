"""The harness: lets the conformance suite drive Theano."""

from __future__ import annotations

import revgrad_theano.compat  # noqa: F401  before theano

import copy
import pickle
import threading
from typing import Any, Callable, Dict, Iterable, Iterator, List, Sequence, Tuple

import numpy as np
import theano
import theano.tensor as T
from theano.compile import FunctionMaker
from theano.compile.debugmode import DebugMode
from theano.tensor.inplace import exp_inplace

from revgrad.testing import Harness

try:  # Theano-PyMC 1.1 renamed theano.gof
    from theano.graph.fg import FunctionGraph
    from theano.graph.opt import MergeOptimizer
except ImportError:
    from theano.gof import FunctionGraph, MergeOptimizer

__all__ = ["TheanoHarness"]

_compiling = threading.Lock()
_compilations = [0]


def _count(make: Callable[..., None]) -> Callable[..., None]:
    def counted(self: Any, *args: Any, **kwargs: Any) -> None:
        _compilations[0] += 1
        make(self, *args, **kwargs)

    return counted


FunctionMaker.__init__ = _count(FunctionMaker.__init__)


class UsersVariable(T.TensorVariable):  # type: ignore[misc, unused-ignore]
    """A class that a user derives."""


class TheanoHarness(Harness):
    """Compiles with all rewrites and the Python linker: nothing waits for a C++ compiler."""

    backend = "theano"
    # That rewrite fails, with a page of log and no harm, where a sum has a length of 1.
    mode = theano.Mode(linker="py", optimizer="fast_run").excluding("local_sum_prod_mul_by_scalar")
    unsupported = {"layers": "Theano has no layers"}

    def apply(self, fn: Callable[..., Any], x: Any, *args: Any) -> Any:
        """Return ``fn(x)`` for a Theano variable; where `fn` takes something else, wrap it."""
        return fn(x, *args)

    def program(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Compile the value and the gradient in one function."""
        x = tensor(shape, dtype)
        return self._pulled_back(x, self.apply(fn, x))

    def _pulled_back(self, x: Any, y: Any, *more: Any, **options: Any) -> Any:
        g = y.type()
        gradient = _pullback(y, x, g)
        if gradient is None:
            run = self._compile([x, *more, g], y, **options)
            return lambda *arrays: (run(*arrays), None)
        return self._compile([x, *more, g], [y, gradient], **options)

    def _compile(self, inputs: List[Any], outputs: Any, **options: Any) -> Any:
        options = {"mode": self.mode, "on_unused_input": "ignore", **options}
        with _compiling:  # Theano's compiler shares state between threads
            return theano.function(inputs, outputs, **options)

    def weighted_sum(self, values: Sequence[Any], weights: Sequence[float]) -> Any:
        """Sum with constants of the dtype of the values: a Python float could raise it."""
        constants = [T.constant(weight, dtype=values[0].dtype) for weight in weights]
        return sum(value * constant for value, constant in zip(values, constants))

    def constant(self, array: Any) -> Any:
        """Return a constant of the graph."""
        return T.constant(array)

    def values(self) -> Iterable[Any]:
        """Return inputs, an expression, a shared variable, a constant, a class of a user's."""
        import theano.sparse

        x, sparse = T.fvector(), theano.sparse.csr_matrix(dtype="float32")
        shared, constant = theano.shared(np.ones(2)), T.constant(np.ones(2))
        return [x, x + 1, shared, constant, sparse, UsersVariable(T.dvector)]

    def views(self, fn: Any, shape: Any, dtype: Any) -> bool:
        """Look at the memory with the reversal compiled away, and with the Op still there."""
        array = np.ones(shape, dtype)
        for optimizer in ("fast_run", None):
            x = tensor(shape, dtype)
            run = theano.function(
                [theano.In(x, borrow=True)],
                theano.Out(self.apply(fn, x), borrow=True),
                mode=theano.Mode(linker="py", optimizer=optimizer),
            )
            if not np.shares_memory(run(array), array):
                return False
        return True

    def rewritten(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Merge, canonicalise, or both, and take the gradient then."""
        query = theano.compile.mode.optdb.query
        rewrites = {
            "merged": MergeOptimizer(),
            "canonicalised": query("+canonicalize"),
            "merged and canonicalised": query("+merge", "+canonicalize"),
        }
        programs = {}
        for how, rewrite in rewrites.items():
            x = tensor(shape, dtype)
            graph = FunctionGraph([x], [self.apply(fn, x)])
            rewrite.optimize(graph)
            (x,), (y,) = graph.inputs, graph.outputs
            g = y.type()
            outputs = copy.deepcopy([x, g, y, _pullback(y, x, g)])  # a graph owns its variables
            programs[how] = self._compile(outputs[:2], outputs[2:])
        return programs

    def several_outputs(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Return all values, borrow all of them, or store them in shared variables."""
        x = tensor(shape, dtype)
        ys = self.apply(fn, x)
        gs = [y.type() for y in ys]
        # Not with known_grads: the gradient that is known of h is not added to that through h.
        gradient = theano.grad(sum((y * g).sum() for y, g in zip(ys, gs)), x)
        outputs = self._compile([x, *gs], [*ys, gradient])
        borrowed = self._compile(
            [theano.In(each, borrow=True) for each in [x, *gs]],
            [theano.Out(each, borrow=True) for each in [*ys, gradient]],
        )
        cells = [theano.shared(np.zeros(shape, dtype), broadcastable=x.broadcastable) for _ in ys]
        updated = self._compile([x, *gs], gradient, updates=list(zip(cells, ys)))

        def values(run: Any) -> Any:
            def run_all(x: Any, gs: Any) -> Any:
                *found, gradient = run(x, *gs)
                return found, gradient

            return run_all

        def update(x: Any, gs: Any) -> Any:
            gradient = updated(x, *gs)
            return [cell.get_value() for cell in cells], gradient

        return {
            "outputs": values(outputs),
            "borrowed outputs": values(borrowed),
            "updates of shared variables": update,
        }

    def in_place(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Overwrite the reversal with an Op that works in place, or let the compiler do so."""

        def incremented(y: Any, in_place: bool) -> Any:
            return T.inc_subtensor(y[:1], T.constant(2, dtype=dtype), inplace=in_place)

        def exp(y: Any, in_place: bool) -> Any:
            return exp_inplace(y) if in_place else T.exp(y)

        def program(write: Any, beside: Any, in_place: bool) -> Any:
            def run(*arrays: Any) -> Any:  # an error of the compiler is one of the program
                x = tensor(shape, dtype)
                h = x * T.constant(1, dtype=dtype)
                y, g = write(self.apply(fn, h), in_place) + beside(h), x.type()
                outputs = [y, _pullback(y, x, g)]
                # Without rewrites, which Theano does not make for what a user writes in place.
                plain = theano.Mode(linker="py", optimizer=None)
                return self._compile([x, g], outputs, accept_inplace=True, mode=plain)(*arrays)

            return run

        def mutable(is_mutable: bool) -> Any:
            x = tensor(shape, dtype)
            y, g = T.exp(self.apply(fn, x)), x.type()
            return self._compile(
                [theano.In(x, mutable=is_mutable), theano.In(g, mutable=is_mutable)],
                [y, _pullback(y, x, g)],
            )

        def pair(write: Any, beside: Any) -> Any:
            return program(write, beside, True), program(write, beside, False)

        return {
            "exp_inplace, with h afterwards": pair(exp, lambda h: h),
            "exp_inplace, with a function of h": pair(exp, T.sqr),
            "inc_subtensor in place": pair(incremented, T.sqr),
            "an input that may be overwritten": (mutable(True), mutable(False)),
        }

    def modes(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Compile with each optimizer, in DebugMode, and with test values computed on the way."""
        modes = {
            f"optimizer={optimizer}": theano.Mode(linker="py", optimizer=optimizer)
            for optimizer in (None, "fast_compile", "fast_run_stable", "fast_run")
        }
        modes["DebugMode"] = DebugMode(check_c_code=False, check_py_code=True)
        x = tensor(shape, dtype)
        y = self.apply(fn, x)
        programs = {name: self._pulled_back(x, y, mode=mode) for name, mode in modes.items()}
        change_flags = getattr(theano.config, "change_flags", None)  # of Theano-PyMC
        with (change_flags or theano.change_flags)(compute_test_value="raise"):
            x = tensor(shape, dtype)
            x.tag.test_value = np.ones(shape, dtype)
            y, g = self.apply(fn, x), x.type()
            g.tag.test_value = x.tag.test_value
            outputs = [y, _pullback(y, x, g)]
        programs["compute_test_value"] = self._compile([x, g], outputs)
        return programs

    def instances(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Differentiate with respect to a shared variable, and to a class of a user's."""
        shared = theano.shared(np.zeros(shape, dtype))
        y, g = self.apply(fn, shared), shared.type()
        run = self._compile([g], [y, _pullback(y, shared, g)])

        def run_shared(x: Any, g: Any) -> Any:
            shared.set_value(x)
            return run(g)

        x = UsersVariable(tensor(shape, dtype).type)
        return {
            "shared variable": run_shared,
            "class of a user": self._pulled_back(x, self.apply(fn, x)),
        }

    def compilations(self) -> int:
        """Count the functions that Theano has made since this module was imported."""
        return _compilations[0]

    def graph_lambda(self, fn: Any, shape: Any, dtype: Any, lam_shape: Any, lam_dtype: Any) -> Any:
        """Compile a function with λ as an input."""
        x, lam = tensor(shape, dtype), tensor(lam_shape, lam_dtype)
        return self._pulled_back(x, self.apply(fn, x, lam), lam)

    def lambda_gradient(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Ask `theano.grad` for the gradient of λ."""
        x, lam = tensor(shape, dtype), tensor((), dtype)
        y = self.apply(fn, x, lam)
        g = y.type()
        gradient = theano.grad(
            (y * g).sum(), lam, disconnected_inputs="ignore", return_disconnected="None"
        )
        if gradient is None:
            return lambda *arrays: None
        return self._compile([x, lam, g], gradient)

    def scalar_program(self, fn: Any, dtype: Any) -> Any:
        """Compile a function of a scalar."""
        p = tensor((), dtype)
        return self._compile([p], fn(p))

    def forward_mode(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Use `theano.Rop`."""
        x = tensor(shape, dtype)
        y, t = self.apply(fn, x), x.type()
        return self._compile([x, t], [y, theano.Rop(y, x, t)])

    def second_order(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Differentiate the product of the gradient and `v`."""
        x = tensor(shape, dtype)
        v = x.type()
        cost = (self.apply(fn, x**2) ** 3).sum()
        return self._compile([x, v], [cost, theano.grad((theano.grad(cost, x) * v).sum(), x)])

    def vectorised(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Use `theano.scan`."""
        xs = tensor((0, *shape), dtype)
        xs.name = "xs"  # scan names what it hands to fn after it
        ys, _ = theano.scan(lambda x: self.apply(fn, x), sequences=xs)
        return self._pulled_back(xs, ys)

    def operations(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Name the Ops of the compiled functions, those of inner graphs included."""
        x, g = tensor(shape, dtype), tensor(shape, dtype)
        forward = self._compile([x], T.nnet.sigmoid(self.apply(fn, x)).sum())
        backward = self._compile([x, g], _pullback(self.apply(fn, x), x, g))
        return _ops_of(forward), _ops_of(backward)

    def copies(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Copy and pickle the graph and the compiled function, and clone the graph."""
        x = tensor(shape, dtype)
        y = self.apply(fn, x)
        compiled, other = self._pulled_back(x, y), x.type()
        return {
            "copy of the graph": self._pulled_back(*copy.deepcopy((x, y))),
            "pickle of the graph": self._pulled_back(*pickle.loads(pickle.dumps((x, y), 2))),
            "clone": self._pulled_back(other, _clone(y, {x: other})),
            "copy of the function": compiled.copy(),
            "pickle of the function": pickle.loads(pickle.dumps(compiled, 2)),
        }


def _clone(y: Any, replace: Dict[Any, Any]) -> Any:
    clone = getattr(theano, "clone", None) or theano.clone_replace  # renamed by Theano-PyMC 1.1
    return clone(y, replace=replace)


def tensor(shape: Tuple[int, ...], dtype: str) -> Any:
    """Return an input of that dtype, with a length of 1 fixed where it is 1."""
    return T.TensorType(dtype, [length == 1 for length in shape])()


def _pullback(y: Any, x: Any, g: Any) -> Any:
    # Lop would give a constant 0 where they are not connected; the suite has to know.
    return theano.grad(
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
