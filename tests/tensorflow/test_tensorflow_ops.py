"""`reverse` in every mode of TensorFlow, on every kind of tensor, with every λ."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from support.processes import python

import revgrad
from revgrad import reference
from revgrad.schedules import Dann, progress
from revgrad_tensorflow import reverse_gradient, scale_gradient

X = tf.constant([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]])


def eager(function):
    return function


traced = functools.partial(tf.function, autograph=False)
compiled = functools.partial(traced, jit_compile=True)


@pytest.fixture(params=[eager, traced, compiled], ids=["eager", "traced", "compiled"])
def mode(request):
    return request.param


def gradient(function, x, g=None):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return tape.gradient(y, x, g)


def pushed(function):
    """Return what forward mode makes of a function, at a tangent of ones."""

    def push(x):
        with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
            y = function(x)
        return accumulator.jvp(y)

    return push


def pulled(function):
    return lambda x: gradient(function, x)


def same(found, expected):
    """Compare, where `expected` may be one number for all elements."""
    found = tf.convert_to_tensor(found)
    np.testing.assert_array_equal(found, np.broadcast_to(expected, found.shape))


def reverse(x, lam=0.5):
    return revgrad.reverse(x, lam)


SLOPES = {
    "map_fn": lambda x: tf.map_fn(reverse, x),
    "vectorized_map": lambda x: tf.vectorized_map(reverse, x),
    "vectorized_map twice": lambda x: tf.vectorized_map(
        lambda row: tf.vectorized_map(reverse, row), x
    ),
    "vectorized_map of a function": lambda x: tf.vectorized_map(traced(reverse), x),
    "vectorized_map of a compiled function": lambda x: tf.vectorized_map(compiled(reverse), x),
    "cond": lambda x: tf.cond(tf.reduce_sum(x) < 9, lambda: reverse(x), lambda: x),
    "while_loop": lambda x: tf.while_loop(
        lambda step, _: step < 3,
        lambda step, x: (step + 1, reverse(x, 0.5**step)),
        (0.0, reverse(x, 4.0)),
        maximum_iterations=5,
    )[1],
    "recompute_grad": tf.recompute_grad(reverse),
    "a function in a function": lambda x: traced(reverse)(x),
}


@pytest.mark.parametrize("how", SLOPES)
def test_control_flow_and_vectorisation(mode, how):
    expected = {"while_loop": 0.5}.get(how, -0.5)
    same(mode(pulled(SLOPES[how]))(X), expected)


@pytest.mark.parametrize(
    "lams", [[1.0, 2.0, 3.0], [[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]], ids=["each", "per feature"]
)
def test_every_lambda_of_a_vectorized_map_meets_its_x(mode, lams):
    lams = tf.constant(lams)
    zipped = pulled(lambda x: tf.vectorized_map(lambda pair: reverse(*pair), (x, lams)))
    same(mode(zipped)(X), -tf.reshape(lams, (3, -1)))
    one_x_for_all = pulled(lambda x: tf.vectorized_map(lambda lam: reverse(x, lam), lams))
    same(mode(one_x_for_all)(X), -tf.reduce_sum(lams, 0))


@pytest.mark.parametrize("outer", [pushed, pulled])
@pytest.mark.parametrize("inner", [pushed, pulled])
def test_second_order_in_every_order_of_modes(mode, outer, inner):
    found = mode(outer(inner(lambda x: reverse(x) ** 3)))(X)
    np.testing.assert_allclose(found, 0.5**2 * 6 * X, rtol=1e-6)


def test_forward_mode_over_a_function_and_through_a_vectorized_map(mode):
    for function in (mode(reverse), lambda x: tf.vectorized_map(reverse, x)):
        same(pushed(function)(X), -0.5)


@pytest.mark.parametrize("pfor", [True, False])
def test_jacobians(mode, pfor):
    def jacobians(x):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = tf.sin(reverse(x))
        each = tape.batch_jacobian(y, x, experimental_use_pfor=pfor)
        return each, tape.jacobian(y, x, experimental_use_pfor=pfor)

    if mode is compiled and not pfor:
        pytest.skip("XLA compiles no loop of unknown length")
    each, whole = mode(jacobians)(X)
    for sample in range(3):
        expected = np.diag(-0.5 * np.cos(X[sample]))
        np.testing.assert_allclose(each[sample], expected, rtol=1e-6)
        np.testing.assert_allclose(whole[sample, :, sample], expected, rtol=1e-6)


@pytest.mark.parametrize(
    "lam, expected",
    [(0.5, [[-0.5], [0], [-1]]), (np.array([[1.0], [2.0], [3.0]]), [[-1], [0], [-6]])],
)
def test_the_gradient_of_a_gather_may_be_sparse(mode, lam, expected):
    def rows(x):
        return tf.gather(reverse(x, lam), [0, 2, 2])

    same(mode(lambda x: tf.convert_to_tensor(gradient(rows, x)))(X), expected)


@pytest.mark.skipif(tf.__version__.startswith("2.10."), reason="its custom_gradient rejects them")
def test_a_sparse_cotangent_that_is_handed_in():
    g = tf.IndexedSlices(tf.ones((1, 2)), tf.constant([1]), tf.constant([3, 2]))
    same(gradient(reverse, X, g), [[0], [-0.5], [0]])


def test_an_array_as_lambda_of_a_ragged_tensor():
    with pytest.raises(revgrad.InvalidLambdaError, match="a scalar as λ or factor of a ragged"):
        reverse(tf.ragged.constant([[1.0], [2.0, 3.0]]), np.ones((2, 1)))


def test_complex_numbers(mode):
    x = tf.constant([1 + 2j, -3j], "complex64")
    g = tf.constant([np.inf + 0j, 1 - 1j], "complex64")
    same(mode(lambda x: gradient(reverse, x, g))(x), reference.pullback(g.numpy(), 0.5))
    same(mode(reverse)(x), x)


def test_a_shape_that_is_not_known():
    slope = tf.function(
        lambda x, lam: gradient(lambda x: reverse(x, lam), x),
        input_signature=[tf.TensorSpec(None), tf.TensorSpec(None, "float64")],
        autograph=False,
    )
    for shape in ((), (3,), (2, 3)):
        same(slope(tf.ones(shape), 0.5), -0.5)
    same(slope(X, [[1.0], [2.0], [3.0]]), [[-1], [-2], [-3]])


# --- λ --------------------------------------------------------------------------------------------


def test_a_variable_of_tensorflow_as_lambda_and_one_trace(mode):
    variable, traces = tf.Variable(0.0), []

    def slope(x):
        traces.append(x)
        return gradient(lambda x: reverse(x, variable), x)

    run = mode(slope)
    for value in np.linspace(0, 2, 20):
        variable.assign(value)
        same(run(X), -np.float32(value))
    assert len(traces) == (20 if mode is eager else 1)


def test_a_variable_that_a_later_trace_meets_first():
    """TensorFlow rejects variables that are made in the second trace of a function."""
    lams = [revgrad.LambdaVariable(0.5), revgrad.LambdaVariable(2.0)]
    slope = traced(lambda x, which: gradient(lambda x: reverse(x, lams[which]), x))
    assert [float(slope(X, which)[0, 0]) for which in (0, 1, 0)] == [-0.5, -2, -0.5]
    assert slope.experimental_get_tracing_count() == 2


def test_no_gradient_to_lambda_in_second_order(mode):
    lam = tf.Variable(0.5)

    def slope(x):
        with tf.GradientTape() as outer:
            size = tf.reduce_sum(gradient(lambda x: reverse(x, lam) ** 2, x))
        return outer.gradient(size, lam, unconnected_gradients="zero")

    assert mode(slope)(X) == 0


def test_a_schedule_from_a_step_counter(mode):
    ramp, step = Dann(gamma=10), tf.Variable(0, dtype="int64")

    def slope(x):
        found = gradient(lambda x: reverse(x, ramp(progress(step.read_value(), 10))), x)
        step.assign_add(1)
        return found

    run = mode(slope)
    for count in range(12):
        np.testing.assert_allclose(run(X), -ramp(count / 10), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "lam, words",
    [
        (tf.constant(True), "got a value of dtype <dtype: 'bool'>. Cast it to a float dtype"),
        (tf.constant(1j), "got a value of dtype <dtype: 'complex128'>"),
        (tf.sparse.eye(2), "or a tf.Tensor or tf.Variable; got an object of type"),
    ],
)
def test_an_invalid_lambda(mode, lam, words):
    with pytest.raises(revgrad.InvalidLambdaError, match=words):
        mode(lambda: reverse_gradient(X, lam))()


def test_a_variable_is_validated_outside_a_graph_only(mode):
    variable = tf.Variable(-1.0)
    slope = mode(lambda x: gradient(lambda x: reverse(x, variable), x))
    if mode is eager:
        with pytest.raises(revgrad.InvalidLambdaError, match="pass 1.0, not -1.0"):
            slope(X)
    else:
        same(slope(X), 1)


@pytest.mark.parametrize(
    "x, words",
    [
        (tf.constant("text"), "of dtype string, which carries no gradient"),
        (tf.sparse.eye(2), "convert a SparseTensor to a tensor. .* a sparse tensor, pass the val"),
    ],
)
def test_an_x_that_carries_no_gradient(mode, x, words):
    for function in (reverse_gradient, scale_gradient):
        with pytest.raises(revgrad.UnsupportedTypeError, match=words):
            mode(lambda: function(x, 0.5))()


# --- scale_gradient -------------------------------------------------------------------------------


def test_a_variable_as_factor(mode):
    variable, lam = tf.Variable(-2.0, trainable=False), revgrad.LambdaVariable(0.5)
    slope = mode(lambda x: gradient(lambda x: scale_gradient(scale_gradient(x, variable), lam), x))
    same(slope(X), -1)
    variable.assign(4.0)
    lam.value = 3.0
    same(slope(X), 12)


# --- programs -------------------------------------------------------------------------------------


def test_a_tape_around_forward_mode_over_a_function():
    """TensorFlow raises there by itself; with the function around it all, it is correct."""
    lam, variable = revgrad.LambdaVariable(0.5), tf.Variable(0.5, trainable=False)
    for factor, expected in (
        (lambda x: variable * x, 0.5**3 * 6 * X),
        (lambda x: reverse(x, lam), 0.5**2 * 6 * X),
    ):
        with pytest.raises(tf.errors.InternalError, match="returned too few gradients"):
            pulled(pushed(traced(lambda x: factor(x) ** 3)))(X)
        found = traced(pulled(pushed(lambda x: factor(x) ** 3)))(X)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_two_devices():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert strategy.num_replicas_in_sync == 2
    lam = revgrad.LambdaVariable(0.5)
    with strategy.scope():
        weights, mirrored = tf.Variable([1.0, 2.0]), tf.Variable(0.5, trainable=False)

    for given, change in (
        (lam, lambda value: setattr(lam, "value", value)),
        (mirrored, mirrored.assign),
    ):

        def replica():
            return gradient(lambda weights: reverse(2 * weights, given), weights)

        step = traced(lambda: strategy.reduce("sum", strategy.run(replica), axis=None))
        for value in (0.5, 3.0):
            change(value)
            same(step(), -4 * value)
        assert step.experimental_get_tracing_count() == 1


RELOADED = """
import sys, numpy as np, tensorflow as tf
module = tf.saved_model.load(sys.argv[1])
assert "revgrad" not in sys.modules
x = tf.ones((2, 3))

def slope(x):
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(module.call(x))
        first = tape.gradient(y, x)
    return first, outer.gradient(first, x)

for lam in (0.5, 2.0):
    module.lam.assign(lam)
    for run in (slope, tf.function(slope)):
        first, second = run(x)
        np.testing.assert_array_equal(first, np.full((2, 3), -3 * lam))
        np.testing.assert_array_equal(second, np.full((2, 3), 6 * lam**2))
    with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
        y = module.call(x)
    np.testing.assert_array_equal(accumulator.jvp(y), np.full((2, 3), -3 * lam))
"""


def test_a_saved_model_reverses_where_revgrad_is_not_imported(tmp_path):
    module = tf.Module()
    module.lam = tf.Variable(0.5, trainable=False)
    module.call = tf.function(
        lambda x: -(reverse(x, module.lam) ** 3) * -1.0, [tf.TensorSpec([None, 3])]
    )
    tf.saved_model.save(module, str(tmp_path))
    python(tmp_path, code=RELOADED, cwd=tmp_path)


FIRST_CALL = """
import tensorflow as tf, revgrad
from revgrad.schedules import Dann, progress

lam = revgrad.LambdaVariable(0.5)

@tf.function
def slope(x, step):
    y = {first}
    return tf.gradients(revgrad.reverse(x, lam), x)

slope(tf.constant(1.0), tf.constant(3.0))
"""


@pytest.mark.parametrize("first", ["revgrad.reverse(x, 0.5)", "Dann()(progress(step, 10))"])
def test_autograph_leaves_the_first_call_as_it_is(tmp_path, first):
    """It would rewrite the code of the discovery, for seconds, and warn of what it cannot."""
    (tmp_path / "program.py").write_text(FIRST_CALL.format(first=first))
    assert "AutoGraph" not in python("program.py", cwd=tmp_path).stderr


def test_graphs_of_tensorflow_1():
    with tf.Graph().as_default():
        x = tf.compat.v1.placeholder("float32", (3, 2))
        (slope,) = tf.gradients(reverse(x), x)
        with tf.compat.v1.Session() as session:
            found = session.run(slope, {x: X.numpy()})
    same(found, -0.5)
