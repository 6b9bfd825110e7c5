"""`KerasHarness`: lets the conformance suite drive Keras, on the backend that it runs on."""

from __future__ import annotations

import copy
import os
import pickle
import tempfile
from typing import Any, Callable, Dict, Iterable

import keras
import numpy as np

from revgrad import LambdaVariable
from revgrad.testing import Harness
from revgrad_keras.layers import GradientReversal

__all__ = ["KerasHarness"]

_TRACES = keras.backend.backend() != "torch"


class KerasHarness(Harness):
    """Makes a functional model of each function, and takes gradients as the backend of Keras does.

    TensorFlow traces and JAX compiles what is run; PyTorch does neither.

    Attributes
    ----------
    layer : type
        The layer that is copied, loaded and assigned to.
    """

    layer: Any = GradientReversal

    backend = "keras"
    dtypes = ("float32",)  # λ is a weight of that dtype
    half_dtypes = ("float16", "bfloat16")
    subnormals = False  # TensorFlow and XLA flush them to zero on the CPU
    examples = 5
    unsupported = {
        "forward_mode": "Keras has none; see that of its backend",
        "in_place": "Keras has no operation that writes in place",
        "operations": "Keras compiles by its backend; see that of its backend",
        "rewritten": "Keras rewrites no graph",
        "vectorised": "the layer is not called under keras.ops.vectorized_map, but its backend is",
        "views": "a model returns what its backend returns; see that of its backend",
    }

    def __init__(self) -> None:
        self._traces = 0

    def _run(self, model: Any, function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        """Return a function of arrays that calls ``function(model, *tensors)``, compiled."""

        def counted(call: Callable[..., Any], *tensors: Any) -> Any:
            self._traces += 1  # runs while TensorFlow or JAX traces, and at no other time
            return function(call, *tensors)

        compiled = _compiled(model, counted if _TRACES else function, **options)
        self._traces += not _TRACES  # a program that is made once, and not compiled

        def run(*arrays: Any) -> Any:
            found = compiled(*(keras.ops.convert_to_tensor(array) for array in arrays))
            return keras.tree.map_structure(lambda y: y if y is None else _array(y), found)

        return run

    def program(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Make a model of one input."""
        return self._run(_model(fn, shape, dtype), _pulled_back)

    def several_outputs(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Make a model of several outputs."""
        model = _model(fn, shape, dtype)

        def pulled_back(call: Any, x: Any, gs: Any) -> Any:
            # The pullback of all cotangents is that of 1 to the sum of the products with them.
            ys = call(x)
            one = keras.ops.ones((), dtype)
            total = _pulled_back(
                lambda x: sum(keras.ops.sum(gs[i] * y) for i, y in enumerate(call(x))), x, one
            )
            return list(ys), total[1]

        compilers = {"one model": {}, **_COMPILERS}
        programs = {how: self._run(model, pulled_back, **each) for how, each in compilers.items()}
        return {
            how: lambda x, gs, program=program: program(x, np.stack(gs))
            for how, program in programs.items()
        }

    def layers(self, lam: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Copy, save and load, freeze; load weights into another layer, and into a shared one."""

        def model(lam: Any) -> Any:
            return _model(self.layer(lam), shape, dtype)

        def loaded(into: Any) -> Any:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "model.weights.h5")
                made.save_weights(path)
                into.load_weights(path)
            return into

        def frozen() -> Any:
            again = model(lam)
            again.trainable = False
            return again

        def with_policy(policy: str) -> Any:
            return _model(self.layer(lam, dtype=policy), shape, dtype)

        made = model(lam)
        changed = {
            **_copies(made),
            "load_weights": loaded(model(0.125)),
            "load_weights of a LambdaVariable": loaded(model(LambdaVariable(0.125))),
            "frozen": frozen(),
            "mixed_float16": with_policy("mixed_float16"),
            "bfloat16": with_policy("bfloat16"),
        }
        return {how: self._run(each, _pulled_back) for how, each in changed.items()}

    def assigned(self, first: Any, second: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Set λ when the program runs, so that each way may raise."""

        def by_variable(layer: Any, lam: Any) -> None:
            lam.value = second

        ways: Dict[str, Any] = {
            "layer.lam = ...": lambda layer, lam: setattr(layer, "lam", second),
            "set_lam": lambda layer, lam: layer.set_lam(second),
            "lam.assign": lambda layer, lam: layer.lam.assign(second),
            "lam.assign of a tensor": lambda layer, lam: layer.lam.assign(
                keras.ops.convert_to_tensor(second, "float32")
            ),
            "set_weights": lambda layer, lam: layer.set_weights([np.array(second, "float32")]),
            "LambdaVariable.value": by_variable,
        }

        def program(way: Any, shared: bool) -> Any:
            def run(x: Any, g: Any) -> Any:
                lam = LambdaVariable(first) if shared else first
                layer = self.layer(lam)
                model = _model(layer, shape, dtype)
                way(layer, lam)
                return self._run(model, _pulled_back)(x, g)

            return run

        programs = {f"{how}, shared": program(way, True) for how, way in ways.items()}
        del ways["LambdaVariable.value"]
        return {**programs, **{how: program(way, False) for how, way in ways.items()}}

    def modes(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Train, infer, compile in each way, and after a call that nothing differentiates."""
        model = _model(fn, shape, dtype)

        def in_mode(training: bool) -> Any:
            def pulled_back(call: Any, x: Any, g: Any) -> Any:
                return _pulled_back(lambda x: call(x, training=training), x, g)

            return self._run(model, pulled_back)

        def after_predict(x: Any, g: Any) -> Any:
            keras.ops.stop_gradient(model(keras.ops.convert_to_tensor(x)))
            return self._run(model, _pulled_back)(x, g)

        return {
            "training": in_mode(True),
            "inference": in_mode(False),
            "after a call": after_predict,
            **{how: self._run(model, _pulled_back, **each) for how, each in _COMPILERS.items()},
        }

    def instances(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Reverse a tensor of the backend, as a layer of the user does, and what `Input` makes."""

        class Custom(keras.layers.Layer):  # type: ignore[misc]
            def call(self, inputs: Any) -> Any:
                return fn(inputs)

            def compute_output_spec(self, inputs: Any) -> Any:
                return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)

        model = _model(Custom(autocast=False), shape, dtype)
        return {"a tensor in a layer": self._run(model, _pulled_back)}

    def constant(self, array: Any) -> Any:
        """Return a tensor."""
        return keras.ops.convert_to_tensor(array)

    def values(self) -> Iterable[Any]:
        """Return an input, an expression and a variable."""
        x = keras.Input((2,))
        return [x, x + 1, keras.layers.Dense(3)(x), keras.Variable([1.0, 2.0])]

    def compilations(self) -> int:
        """Count how often a program of this harness was traced."""
        return self._traces

    def graph_lambda(self, fn: Any, shape: Any, dtype: Any, lam_shape: Any, lam_dtype: Any) -> Any:
        """Make λ an input of the model."""
        return self._run(_of_two(fn, shape, dtype, lam_shape, lam_dtype), _pulled_back)

    def lambda_gradient(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Pull back to the input that is λ."""

        def pulled_back(call: Any, x: Any, lam: Any, g: Any) -> Any:
            return _pulled_back(lambda lam: call(x, lam), lam, g)

        run = self._run(_of_two(fn, shape, dtype, (), dtype), pulled_back)
        return lambda x, lam, g: run(x, lam, g)[1]

    def scalar_program(self, fn: Any, dtype: Any) -> Any:
        """Make a model of a scalar."""
        p = keras.Input(batch_shape=(), dtype=dtype)
        return self._run(keras.Model(p, fn(p)), lambda call, p: call(p))

    def second_order(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Differentiate the product of the gradient and `v`."""
        x = keras.Input(batch_shape=shape, dtype=dtype)
        return self._run(keras.Model(x, keras.ops.sum(fn(x**2) ** 3)), _hessian_times)

    def copies(self, fn: Any, shape: Any, dtype: Any) -> Dict[str, Any]:
        """Save and load, clone, pickle, and make anew from the configuration."""
        copies = _copies(_model(fn, shape, dtype))
        return {how: self._run(each, _pulled_back) for how, each in copies.items()}


def _model(fn: Any, shape: Any, dtype: Any) -> Any:
    x = keras.Input(batch_shape=shape, dtype=dtype)
    same = keras.layers.Identity(autocast=False)(x)  # some versions want a layer in a model
    return keras.Model(x, fn(same))


def _copies(model: Any) -> Dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        model.save(path)
        loaded = keras.models.load_model(path)
    return {
        "save and load": loaded,
        "clone_model": keras.models.clone_model(model),
        "pickle": pickle.loads(pickle.dumps(model)),
        "deepcopy": copy.deepcopy(model),
        "from_config": keras.Model.from_config(model.get_config()),
    }


def _of_two(fn: Any, shape: Any, dtype: Any, lam_shape: Any, lam_dtype: Any) -> Any:
    x = keras.Input(batch_shape=shape, dtype=dtype)
    lam = keras.Input(batch_shape=lam_shape, dtype=lam_dtype)
    return keras.Model([x, lam], fn(x, lam))


def _nested(inputs: Any) -> Any:
    return inputs[0] if len(inputs) == 1 else list(inputs)


_COMPILERS: Dict[str, Dict[str, Any]] = {}  # none on PyTorch: revgrad_torch tries torch.compile

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    def _array(tensor: Any) -> Any:
        return tensor.numpy()  # Keras makes no array of a scalar in bfloat16

    _COMPILERS["XLA"] = {"jit_compile": True}

    def _compiled(model: Any, function: Any, jit_compile: Any = None) -> Callable[..., Any]:
        def run(*tensors: Any) -> Any:
            return function(lambda *inputs, **mode: model(_nested(inputs), **mode), *tensors)

        compiled: Callable[..., Any] = tf.function(run, autograph=False, jit_compile=jit_compile)
        return compiled

    def _pulled_back(call: Any, x: Any, *rest: Any) -> Any:
        *more, g = rest
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = call(x, *more)
        return y, tape.gradient(y, x, g)

    def _hessian_times(call: Any, x: Any, v: Any) -> Any:
        with tf.GradientTape() as outer:
            outer.watch(x)
            cost, gradient = _pulled_back(call, x, None)
            slope = tf.reduce_sum(gradient * v)
        return cost, outer.gradient(slope, x)

elif keras.backend.backend() == "jax":
    import jax

    _array = keras.ops.convert_to_numpy
    _COMPILERS["without jit"] = {"jit_compile": False}

    def _compiled(model: Any, function: Any, jit_compile: Any = True) -> Callable[..., Any]:
        def run(state: Any, *tensors: Any) -> Any:
            def call(*inputs: Any, **mode: Any) -> Any:
                return model.stateless_call(*state, _nested(inputs), **mode)[0]

            return function(call, *tensors)

        if jit_compile:
            run = jax.jit(run)

        def with_state(*tensors: Any) -> Any:
            kinds = model.trainable_variables, model.non_trainable_variables
            return run([[each.value for each in kind] for kind in kinds], *tensors)

        return with_state

    def _pulled_back(call: Any, x: Any, *rest: Any) -> Any:
        *more, g = rest
        y, pullback = jax.vjp(lambda x: call(x, *more), x)
        return y, pullback(g)[0]

    def _hessian_times(call: Any, x: Any, v: Any) -> Any:
        return call(x), jax.grad(lambda x: (jax.grad(call)(x) * v).sum())(x)

else:
    import torch

    _array = keras.ops.convert_to_numpy

    def _compiled(model: Any, function: Any, jit_compile: Any = None) -> Callable[..., Any]:
        def call(*inputs: Any, **mode: Any) -> Any:
            return model(_nested(inputs), **mode)

        return lambda *tensors: function(call, *tensors)

    def _pulled_back(call: Any, x: Any, *rest: Any) -> Any:
        *more, g = rest
        x = x.requires_grad_()
        y = call(x, *more)
        return y, *torch.autograd.grad(y, x, g, create_graph=True, allow_unused=True)

    def _hessian_times(call: Any, x: Any, v: Any) -> Any:
        cost, gradient = _pulled_back(call, x, None)
        return cost, torch.autograd.grad((gradient * v).sum(), x)[0]
