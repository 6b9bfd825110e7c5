"""`reverse` in every mode of TensorFlow, on every kind of tensor, with every λ."""

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


def traced(function):
    return tf.function(function, autograph=False)


def compiled(function):
    return tf.function(function, autograph=False, jit_compile=True)


@pytest.fixture(params=[eager, traced, compiled])
def mode(request):
    return request.param


def gradient(function, x, g=None):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return tape.gradient(y, x, g)


def reverse(x, lam=0.5):
    return revgrad.reverse(x, lam)


SLOPES = {
    "plain": reverse,
    "two that cancel": lambda x: reverse(reverse(reverse(x), 2.0), 0.5),
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
    found = mode(lambda x: gradient(SLOPES[how], x))(X)
    np.testing.assert_array_equal(tf.convert_to_tensor(found), np.full(X.shape, expected))


def test_every_lambda_of_a_vectorized_map_meets_its_x(mode):
    lam = tf.constant([1.0, 2.0, 3.0])

    def each_its_own(x):
        return tf.vectorized_map(lambda pair: reverse(*pair), (x, lam))

    def one_x_for_all(x):
        return tf.vectorized_map(lambda lam: reverse(x, lam), lam)

    def per_feature(x):
        return tf.vectorized_map(lambda pair: reverse(*pair), (x, tf.stack([lam, lam * 2], 1)))

    for function, expected in (
        (each_its_own, [[-1, -1], [-2, -2], [-3, -3]]),
        (one_x_for_all, [[-6, -6]] * 3),
        (per_feature, [[-1, -2], [-2, -4], [-3, -6]]),
    ):
        np.testing.assert_array_equal(mode(lambda x: gradient(function, x))(X), expected)


def second_order(modes):
    """Return the second derivative of ``sum(reverse(x)**3)`` by two modes, the outer first."""

    def push(function):
        def pushed(x):
            with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
                y = function(x)
            return accumulator.jvp(y)

        return pushed

    def pull(function):
        return lambda x: gradient(function, x)

    takes = {"forward": push, "reverse": pull}
    outer, inner = modes
    return takes[outer](takes[inner](lambda x: reverse(x) ** 3))


@pytest.mark.parametrize("outer", ["forward", "reverse"])
@pytest.mark.parametrize("inner", ["forward", "reverse"])
def test_second_order_in_every_order_of_modes(mode, outer, inner):
    found = mode(second_order((outer, inner)))(X)
    np.testing.assert_allclose(found, 0.5**2 * 6 * X, rtol=1e-6)


def test_forward_mode_over_a_function_and_through_a_vectorized_map(mode):
    for function in (mode(reverse), lambda x: tf.vectorized_map(reverse, x)):
        with tf.autodiff.ForwardAccumulator(X, tf.ones_like(X)) as accumulator:
            y = function(X)
        np.testing.assert_array_equal(accumulator.jvp(y), np.full(X.shape, -0.5))


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


def test_the_gradient_of_a_gather_may_be_sparse(mode):
    def rows(x):
        return tf.gather(reverse(x), [0, 2, 2])

    def rows_with_one_lambda_each(x):
        return tf.gather(reverse(x, np.array([[1.0], [2.0], [3.0]])), [0, 2, 2])

    for function, expected in (
        (rows, [[-0.5] * 2, [0] * 2, [-1] * 2]),
        (rows_with_one_lambda_each, [[-1] * 2, [0] * 2, [-6] * 2]),
    ):
        found = mode(lambda x: tf.convert_to_tensor(gradient(function, x)))(X)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.skipif(tf.__version__.startswith("2.10."), reason="its custom_gradient rejects them")
def test_a_sparse_cotangent_that_is_handed_in():
    g = tf.IndexedSlices(tf.ones((1, 2)), tf.constant([1]), tf.constant([3, 2]))
    found = tf.convert_to_tensor(gradient(reverse, X, g))
    np.testing.assert_array_equal(found, [[0, 0], [-0.5, -0.5], [0, 0]])


def test_an_array_as_lambda_of_a_ragged_tensor():
    with pytest.raises(
        revgrad.InvalidLambdaError, match="a scalar as λ or factor of a ragged tensor"
    ):
        reverse(tf.ragged.constant([[1.0], [2.0, 3.0]]), np.ones((2, 1)))


def test_complex_numbers(mode):
    x = tf.constant([1 + 2j, -3j], "complex64")
    g = tf.constant([np.inf + 0j, 1 - 1j], "complex64")
    found = mode(lambda x: gradient(reverse, x, g))(x)
    np.testing.assert_array_equal(found, reference.pullback(g.numpy(), 0.5))
    np.testing.assert_array_equal(mode(reverse)(x), x)


def test_a_shape_that_is_not_known():
    slope = tf.function(
        lambda x, lam: gradient(lambda x: reverse(x, lam), x),
        input_signature=[tf.TensorSpec(None), tf.TensorSpec(None, "float64")],
        autograph=False,
    )
    for shape in ((), (3,), (2, 3)):
        np.testing.assert_array_equal(slope(tf.ones(shape), 0.5), np.full(shape, -0.5))
    np.testing.assert_array_equal(slope(X, [[1.0], [2.0], [3.0]])[:, 0], [-1, -2, -3])


# --- λ --------------------------------------------------------------------------------------------


def test_a_variable_of_tensorflow_as_lambda_and_one_trace(mode):
    variable, traces = tf.Variable(0.0), []

    def slope(x):
        traces.append(x)
        return gradient(lambda x: reverse(x, variable), x)

    run = mode(slope)
    for value in np.linspace(0, 2, 20):
        variable.assign(value)
        np.testing.assert_array_equal(run(X), np.full(X.shape, -np.float32(value)))
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
        expected = np.full(X.shape, -ramp(count / 10))
        np.testing.assert_allclose(run(X), expected, rtol=1e-5, atol=1e-7)


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
        np.testing.assert_array_equal(slope(X), np.ones(X.shape))


@pytest.mark.parametrize(
    "x, words",
    [
        (tf.constant("text"), "of dtype string, which carries no gradient"),
        (
            tf.sparse.eye(2),
            "convert a SparseTensor to a tensor. .* of a sparse tensor, pass the val",
        ),
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
    np.testing.assert_array_equal(slope(X), np.full(X.shape, -1.0))
    variable.assign(4.0)
    lam.value = 3.0
    np.testing.assert_array_equal(slope(X), np.full(X.shape, 12.0))


# --- programs -------------------------------------------------------------------------------------


# What leaves the function, and by what each cotangent is multiplied.


def test_a_tape_around_forward_mode_over_a_function():
    """TensorFlow raises there by itself; with the function around it all, it is correct."""

    def hessian_times_one(function):
        def pushed(x):
            with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
                y = function(x)
            return accumulator.jvp(y)

        return lambda x: gradient(pushed, x)

    lam, variable = revgrad.LambdaVariable(0.5), tf.Variable(0.5, trainable=False)
    for factor, expected in (
        (lambda x: variable * x, 0.5**3 * 6 * X),
        (lambda x: reverse(x, lam), 0.5**2 * 6 * X),
    ):
        with pytest.raises(tf.errors.InternalError, match="returned too few gradients"):
            hessian_times_one(traced(lambda x: factor(x) ** 3))(X)
        found = traced(hessian_times_one(lambda x: factor(x) ** 3))(X)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_two_devices():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert strategy.num_replicas_in_sync == 2
    mirrored, lam = None, revgrad.LambdaVariable(0.5)
    with strategy.scope():
        weights, mirrored = tf.Variable([1.0, 2.0]), tf.Variable(0.5, trainable=False)

    for given, change in (
        (lam, lambda value: setattr(lam, "value", value)),
        (mirrored, mirrored.assign),
    ):

        def replica():
            with tf.GradientTape() as tape:
                y = tf.reduce_sum(reverse(2 * weights, given))
            return tape.gradient(y, weights)

        step = traced(lambda: strategy.reduce("sum", strategy.run(replica), axis=None))
        for value in (0.5, 3.0):
            change(value)
            np.testing.assert_array_equal(step(), [-4 * value] * 2)
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
    np.testing.assert_array_equal(found, np.full(X.shape, -0.5))
