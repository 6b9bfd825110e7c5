"""Operations that the reversal adds to a TensorFlow program, and its time over ``x * 1.0``.

Run ``python benchmarks/tensorflow_graph.py``. Two traced gradients are timed alternately; the
median of the ratios is printed, with the range of the middle third.
"""

import re
import statistics
import timeit

import numpy as np
import tensorflow as tf

import revgrad
from revgrad_tensorflow.testing import graph_operations


def main() -> None:
    """Print the operations, the traces and the ratios."""
    x = tf.ones((8, 8))
    variable, lam = tf.Variable(0.3), revgrad.LambdaVariable(0.3)
    print("operations, as TensorFlow has optimised the graph, and as XLA has compiled it:")
    givens = {"a number": 0.3, "a tf.Variable": variable, "a LambdaVariable": lam}
    for what, given in givens.items():
        programs = {
            "tanh(reverse(x))": lambda x: tf.tanh(revgrad.reverse(x, given)),
            "pullback of reverse": lambda x: pullback(x, given),
        }
        for part, program in programs.items():
            graph = graph_operations(tf.function(program, autograph=False), x)
            print(f"  λ {what:16}  {part:19}  {graph}  {hlo_operations(program, x)}")

    print("traces over 20 values of λ:")
    for jit_compile in (False, True):
        counts = {
            "an argument": traces(jit_compile, tf.constant),
            "a tf.Variable": traces(jit_compile, lambda value: changed(variable, value)),
            "a LambdaVariable": traces(jit_compile, lambda value: changed(lam, value)),
        }
        print(f"  {'XLA' if jit_compile else 'no XLA'}: {counts}")

    for size in (8, 2048):
        print(f"time of forward and backward at {size}x{size} as a ratio to x * 1.0: {ratio(size)}")


def pullback(g, lam):
    """Return the pullback of the cotangent `g`."""
    with tf.GradientTape() as tape:
        tape.watch(g)
        y = revgrad.reverse(g, lam)
    return tape.gradient(y, g, g)


def hlo_operations(function, *arguments):
    """Return the operations of a function compiled by XLA."""
    compiled = tf.function(function, autograph=False, jit_compile=True)
    text = compiled.experimental_get_compiler_ir(*arguments)(stage="optimized_hlo")
    names = re.findall(r"= \S+ ([\w-]+)\(", text)
    return [name for name in names if name not in {"parameter", "fusion", "constant", "broadcast"}]


def changed(lam, value):
    """Set the value of a variable, and return the variable."""
    if isinstance(lam, tf.Variable):
        lam.assign(value)
    else:
        lam.value = value
    return lam


def traces(jit_compile, lam_at) -> int:
    """Return how often a gradient is traced over 20 values of λ; each result is checked."""
    step, x = tf.function(pullback, autograph=False, jit_compile=jit_compile), tf.ones((8, 8))
    for value in np.linspace(0, 2, 20, dtype="float32"):
        np.testing.assert_array_equal(step(x, lam_at(value)), np.full((8, 8), -value))
    return step.experimental_get_tracing_count()


def times_one(x):
    """Multiply by 1."""
    return x * 1.0


def by_revgrad(x):
    """Reverse with λ = 0.3."""
    return revgrad.reverse(x, 0.3)


def ratio(size: int) -> str:
    """Return the median ratio of the times, with the range of the middle third."""
    x = tf.ones((size, size))

    def gradient(function):
        def run(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = tf.reduce_sum(tf.tanh(function(x)))
            return tape.gradient(y, x)

        return tf.function(run, autograph=False)

    loops = [timeit.Timer(lambda f=gradient(f): f(x)) for f in (by_revgrad, times_one)]
    count = max(1, min(2000, 40_000_000 // size**2))
    for loop in loops:
        loop.timeit(count)
    ratios = sorted(loops[0].timeit(count) / loops[1].timeit(count) for _ in range(15))
    return f"{statistics.median(ratios):.3f} ({ratios[5]:.3f} to {ratios[9]:.3f})"


if __name__ == "__main__":
    main()
