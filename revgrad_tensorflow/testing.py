"""`TensorflowHarness`: lets the conformance suite drive TensorFlow."""

from __future__ import annotations

import tempfile
from typing import Any, Callable, Dict, Iterable, List, Tuple, cast

import numpy as np
import tensorflow as tf

from revgrad.testing import Harness

__all__ = ["TensorflowHarness", "graph_operations"]

# Operations that move data and compute nothing.
_NOT_COUNTED = {"_Arg", "_Retval", "_DeviceArg", "_DeviceRetval", "Const", "NoOp"}

_MODES = ("eager", "graph", "xla")

# Before TensorFlow 2.14 the bfloat16 of its arrays was one of its own.
_HAS_ML_DTYPES = tf.bfloat16.as_numpy_dtype.__module__ == "ml_dtypes"


class TensorflowHarness(Harness):
    """Traces everything with `tf.function`.

    Attributes
    ----------
    mode : str
        ``"graph"``; in a subclass ``"xla"``, to compile too, or ``"eager"``, to trace nothing.
    """

    backend = "tensorflow"
    half_dtypes = ("float16", "bfloat16") if _HAS_ML_DTYPES else ("float16",)
    subnormals = False  # TensorFlow flushes them to zero on the CPU
    mode = "graph"
    unsupported = {
        "layers": "the layer for TensorFlow is that of revgrad_keras",
        "rewritten": "TensorFlow optimises a graph after the gradient was taken, not before",
    }

    def __init__(self) -> None:
        self._traces = 0

    def _traced(
        self, function: Callable[..., Any], *specs: Any, mode: str = ""
    ) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            self._traces += 1  # runs while TensorFlow traces, and at no other time
            return function(*arguments)

        mode = mode or self.mode
        if mode == "eager":
            return counted
        traced: Any = tf.function(counted, autograph=False, jit_compile=mode == "xla" or None)
        return cast(Callable[..., Any], traced.get_concrete_function(*specs))

    def _function(self, function: Callable[..., Any], *specs: Any) -> Callable[..., Any]:
        return _on_arrays(self._traced(function, *specs))

    def program(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Trace the value and the pullback."""
        return self._pulled_back(fn, shape, dtype)

    def _pulled_back(self, fn: Any, shape: Any, dtype: Any, *lam: Any, mode: str = "") -> Any:
        def pulled_back(x: Any, *rest: Any) -> Any:
            *lam, g = rest
            return _pulled_back(lambda x: fn(x, *lam), x, g)

        x, g = tf.TensorSpec(shape, dtype), tf.TensorSpec(None, dtype)  # fn may return a scalar
        return _on_arrays(self._traced(pulled_back, x, *lam, g, mode=mode))

    def constant(self, array: Any) -> Any:
        """Return a tensor."""
        return tf.constant(array)

    def values(self) -> Iterable[Any]:
        """Return a tensor, a variable and a ragged tensor; `program` traces."""
        x = tf.constant([1.0, 2.0])
        return [x, tf.Variable(x), tf.ragged.constant([[1.0], [2.0, 3.0]])]

    def several_outputs(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Take the gradient inside the function, and around it."""

        def pulled_back(function: Any) -> Any:
            def run(x: Any, gs: Any) -> Any:
                with tf.GradientTape() as tape:
                    tape.watch(x)
                    ys = function(x)
                return ys, tape.gradient(ys, x, [gs[i] for i in range(len(ys))])

            return run

        x, gs = tf.TensorSpec(shape, dtype), tf.TensorSpec((None, *shape), dtype)
        programs = {
            "a tape in the function": self._function(pulled_back(fn), x, gs),
            "a tape around the function": _on_arrays(pulled_back(self._traced(fn, x))),
        }
        return {
            how: lambda x, gs, program=program: program(x, np.stack(gs))
            for how, program in programs.items()
        }

    def in_place(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Assign to a variable that was reversed; no tensor of TensorFlow can be written to."""
        variable = tf.Variable(tf.zeros(shape, dtype))

        def program(copied: Any) -> Any:
            def pulled_back(x: Any, g: Any) -> Any:
                variable.assign(x)
                with tf.GradientTape() as tape:
                    y = fn(copied(variable))
                    variable.assign(tf.nn.relu(variable))
                    y = y + variable
                return y, tape.gradient(y, variable, g)

            return self._function(pulled_back, *[tf.TensorSpec(shape, dtype)] * 2)

        return {"assign": (program(lambda x: x), program(lambda x: x * tf.ones_like(x)))}

    def modes(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Run eagerly, traced, compiled, and where functions run eagerly or nothing is recorded."""

        def after_one_that_is_not_recorded(x: Any) -> Any:
            with tf.GradientTape() as tape, tape.stop_recording():
                fn(x)
            return fn(x)

        def functions_run_eagerly(*arrays: Any) -> Any:
            tf.config.run_functions_eagerly(True)
            try:
                return _on_arrays(tf.function(lambda x, g: _pulled_back(fn, x, g)))(*arrays)
            finally:
                tf.config.run_functions_eagerly(False)

        return {
            **{mode: self._pulled_back(fn, shape, dtype, mode=mode) for mode in _MODES},
            "after one that is not recorded": self.program(
                after_one_that_is_not_recorded, shape, dtype
            ),
            "run_functions_eagerly": functions_run_eagerly,
        }

    def instances(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Reverse variables, one of a strategy among them, and a ragged tensor."""
        zeros = tf.zeros(shape, dtype)
        variables = {
            "a variable": tf.Variable(zeros),
            "a variable that is not trained": tf.Variable(zeros, trainable=False),
        }
        with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
            variables["a mirrored variable"] = tf.Variable(zeros)

        def program(variable: Any) -> Any:
            traced = self._function(
                lambda g: _pulled_back(fn, variable, g), tf.TensorSpec(shape, dtype)
            )

            def run(x: Any, g: Any) -> Any:
                variable.assign(x)
                return traced(g)

            return run

        programs = {name: program(variable) for name, variable in variables.items()}
        if shape:
            programs["a ragged tensor"] = self.program(
                lambda x: fn(tf.RaggedTensor.from_row_lengths(x, shape[:1])).flat_values,
                shape,
                dtype,
            )
        return programs

    def views(self, fn: Any, shape: Any, dtype: Any) -> bool:
        """Look at the memory of tensors that are not traced."""
        x = tf.ones(shape, dtype)
        y = fn(x)
        return np.shares_memory(np.asarray(memoryview(x)), np.asarray(memoryview(y)))

    def compilations(self) -> int:
        """Count how often TensorFlow has traced a function of this harness."""
        return self._traces

    def graph_lambda(self, fn: Any, shape: Any, dtype: Any, lam_shape: Any, lam_dtype: Any) -> Any:
        """Make λ an argument of the traced function."""
        return self._pulled_back(fn, shape, dtype, tf.TensorSpec(lam_shape, lam_dtype))

    def lambda_gradient(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Ask a tape for the gradient of λ."""
        x, lam = tf.TensorSpec(shape, dtype), tf.TensorSpec((), dtype)
        return self._function(
            lambda x, lam, g: _pulled_back(lambda lam: fn(x, lam), lam, g)[1], x, lam, x
        )

    def scalar_program(self, fn: Any, dtype: Any) -> Any:
        """Trace a function of a scalar."""
        return self._function(fn, tf.TensorSpec((), dtype))

    def forward_mode(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Use `tf.autodiff.ForwardAccumulator`, inside the function."""

        def pushed(x: Any, t: Any) -> Any:
            with tf.autodiff.ForwardAccumulator(x, t) as accumulator:
                y = fn(x)
            return y, accumulator.jvp(y)

        return self._function(pushed, *[tf.TensorSpec(shape, dtype)] * 2)

    def second_order(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Differentiate the product of the gradient and `v`, with one tape inside another."""

        def product(x: Any, v: Any) -> Any:
            with tf.GradientTape() as outer:
                outer.watch(x)
                with tf.GradientTape() as inner:
                    inner.watch(x)
                    cost = tf.reduce_sum(fn(x**2) ** 3)
                slope = tf.reduce_sum(inner.gradient(cost, x) * v)
            return cost, outer.gradient(slope, x)

        return self._function(product, *[tf.TensorSpec(shape, dtype)] * 2)

    def vectorised(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Use `tf.vectorized_map`."""
        return self.program(lambda xs: tf.vectorized_map(fn, xs), (None, *shape), dtype)

    def operations(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Read the operations of the graphs that TensorFlow has optimised."""
        x = tf.ones(shape, dtype)
        forward = tf.function(lambda x: tf.tanh(fn(x)), autograph=False)
        backward = tf.function(lambda x, g: _pulled_back(fn, x, g)[1], autograph=False)
        return graph_operations(forward, x), graph_operations(backward, x, x)

    def copies(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Save a module and load it again; the gradient is taken afterwards."""
        module = tf.Module()
        specs = [tf.TensorSpec(shape, dtype)]
        module.call = tf.function(fn, input_signature=specs, autograph=False)
        with tempfile.TemporaryDirectory() as folder:
            tf.saved_model.save(module, folder)
            loaded = tf.saved_model.load(folder)
        return {"SavedModel": self.program(loaded.call, shape, dtype)}


def graph_operations(function: Any, *arguments: Any) -> List[str]:
    """Return the operations of a traced function, as TensorFlow has optimised it.

    Parameters
    ----------
    function : callable
        What `tf.function` returned.
    *arguments : tensors
        The arguments of the run.

    Returns
    -------
    list of str
        Names as in ``"Mul"``, without those that only move data.
    """
    from tensorflow.python.eager import context  # there is no public access to the graph that runs

    traced = function.get_concrete_function(*arguments)
    context.enable_run_metadata()  # for the first run, which optimises
    try:
        traced(*arguments)
        graphs = context.export_run_metadata().function_graphs
    finally:
        context.disable_run_metadata()
    graph = graphs[-1].post_optimization_graph  # the others are of what ran before
    nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
    return [node.op for node in nodes if node.op not in _NOT_COUNTED]


def _pulled_back(fn: Any, x: Any, g: Any) -> Tuple[Any, Any]:
    with tf.GradientTape() as tape:
        if x.dtype.is_floating:  # fn rejects any other
            tape.watch(x)
        y = fn(x)
    gradient = tape.gradient(y, x, g)
    # The gradient of a gather, which vectorized_map makes, is an IndexedSlices.
    return y, gradient if gradient is None else tf.convert_to_tensor(gradient)


def _on_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(*arrays: Any) -> Any:
        found = function(*(tf.constant(array) for array in arrays))
        return tf.nest.map_structure(lambda y: y if y is None else y.numpy(), found)

    return run
