"""Lets the conformance kit drive Keras, on the backend that it was imported with."""

from __future__ import annotations

import os
import pickle
import tempfile
from typing import Any, Callable, Dict, Iterable

import keras

from revgrad.testing import Harness

__all__ = ["KerasHarness"]

_TRACES = keras.backend.backend() != "torch"


class KerasHarness(Harness):
    """Makes a functional model of each function, and takes gradients as the backend of Keras does.

    TensorFlow traces and JAX compiles what is run; PyTorch does neither.
    """

    backend = "keras"
    dtypes = ("float32",)  # λ is a weight of that dtype
    half_dtypes = ("float16", "bfloat16")
    subnormals = False  # TensorFlow and XLA take them for zero on the CPU
    examples = 5

    def __init__(self) -> None:
        self._traces = 0

    def _run(self, model: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function of arrays that calls ``function(model, *tensors)``, compiled."""

        def counted(call: Callable[..., Any], *tensors: Any) -> Any:
            self._traces += 1  # runs while TensorFlow or JAX traces, and at no other time
            return function(call, *tensors)

        compiled = _compiled(model, counted if _TRACES else function)
        self._traces += not _TRACES  # a program that is made once, and not compiled

        def run(*arrays: Any) -> Any:
            found = compiled(*(keras.ops.convert_to_tensor(array) for array in arrays))
            if isinstance(found, tuple):
                return tuple(y if y is None else _array(y) for y in found)
            return _array(found)

        return run

    def program(self, fn: Any, shape: Any, dtype: Any) -> Any:
        """Make a model of one input."""
        x = keras.Input(batch_shape=shape, dtype=dtype)
        same = keras.layers.Identity(autocast=False)(x)  # some versions want a layer in a model
        return self._run(keras.Model(x, fn(same)), _pulled_back)

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
        x = keras.Input(batch_shape=shape, dtype=dtype)
        model = keras.Model(x, fn(x))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.keras")
            model.save(path)
            loaded = keras.models.load_model(path)
        ways = {
            "save and load": loaded,
            "clone_model": keras.models.clone_model(model),
            "pickle": pickle.loads(pickle.dumps(model)),
            "from_config": keras.Model.from_config(model.get_config()),
        }
        return {how: self._run(each, _pulled_back) for how, each in ways.items()}


def _of_two(fn: Any, shape: Any, dtype: Any, lam_shape: Any, lam_dtype: Any) -> Any:
    x = keras.Input(batch_shape=shape, dtype=dtype)
    lam = keras.Input(batch_shape=lam_shape, dtype=lam_dtype)
    return keras.Model([x, lam], fn(x, lam))


def _nested(inputs: Any) -> Any:
    return inputs[0] if len(inputs) == 1 else list(inputs)


if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    def _array(tensor: Any) -> Any:
        return tensor.numpy()  # Keras makes no array of a scalar in bfloat16

    def _compiled(model: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*tensors: Any) -> Any:
            return function(lambda *inputs: model(_nested(inputs)), *tensors)

        return tf.function(run, autograph=False)

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

    def _compiled(model: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        @jax.jit
        def run(state: Any, *tensors: Any) -> Any:
            def call(*inputs: Any) -> Any:
                return model.stateless_call(*state, _nested(inputs))[0]

            return function(call, *tensors)

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

    def _compiled(model: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *tensors: function(lambda *inputs: model(_nested(inputs)), *tensors)

    def _pulled_back(call: Any, x: Any, *rest: Any) -> Any:
        *more, g = rest
        x = x.requires_grad_()
        y = call(x, *more)
        return y, *torch.autograd.grad(y, x, g, create_graph=True, allow_unused=True)

    def _hessian_times(call: Any, x: Any, v: Any) -> Any:
        cost, gradient = _pulled_back(call, x, None)
        return cost, torch.autograd.grad((gradient * v).sum(), x)[0]
