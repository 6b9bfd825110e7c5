"""`reverse` in every mode of TensorFlow, on every kind of tensor, with every λ."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from support.examples import assert_public
from support.processes import python

import revgrad
import revgrad_tensorflow
from revgrad import reference
from revgrad.schedules import Dann, progress
from revgrad_tensorflow import reverse_gradient, scale_gradient

X = tf.constant([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]])


eager = lambda function: function
traced = functools.partial(tf.function, autograph=False)
compiled = functools.partial(traced, jit_compile=True)


@pytest.fixture(params=[eager, traced, compiled], ids=["eager", "traced", "compiled"])
def mode(request):
    return request.param


def test_public_names():
    assert_public(revgrad_tensorflow)


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
    np.testing.assert_array_equal(found, np.broadcast_to(expected, np.shape(found)))


def reverse(x, lam=0.5):
    return revgrad.reverse(x, lam)


batched = functools.partial(tf.vectorized_map, reverse)
FUNCTIONS = {
    "map_fn": functools.partial(tf.map_fn, reverse),
    "vectorized_map twice": lambda x: tf.vectorized_map(batched, x),
    "vectorized_map of a function": lambda x: tf.vectorized_map(traced(reverse), x),
    "vectorized_map of a compiled function": lambda x: tf.vectorized_map(compiled(reverse), x),
    "cond": lambda x: tf.cond(tf.reduce_sum(x) < 9, lambda: reverse(x), lambda: x),
    "while_loop": lambda x: tf.foldl(reverse, tf.constant([4.0, 0.5, 0.25]), x),
    "recompute_grad": tf.recompute_grad(reverse),
    "a function in a function": lambda x: traced(reverse)(x),
}


@pytest.mark.parametrize("how", FUNCTIONS)
def test_control_flow_and_vectorisation(mode, how):
    same(mode(pulled(FUNCTIONS[how]))(X), -0.5)


@pytest.mark.parametrize("lams", [[1.0, 2.0, 3.0], [[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]])
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
    for function in (mode(reverse), batched):
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
    expected = np.diag(-0.5 * np.cos(X).ravel()).reshape(3, 2, 3, 2)
    np.testing.assert_allclose(whole, expected, rtol=1e-6)
    np.testing.assert_allclose(each, expected[range(3), :, range(3)], rtol=1e-6)


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
    specs = [tf.TensorSpec(None), tf.TensorSpec(None, "float64")]
    slope = traced(lambda x, lam: gradient(lambda x: reverse(x, lam), x), specs)
    for shape in ((), (3,), (2, 3)):
        same(slope(tf.ones(shape), 0.5), -0.5)
    same(slope(X, [[1.0], [2.0], [3.0]]), [[-1], [-2], [-3]])


# --- λ --------------------------------------------------------------------------------------------


def test_variables_of_tensorflow_as_lambda_and_as_factor_in_one_trace(mode):
    lam, factor, traces = tf.Variable(0.0), tf.Variable(0.0), []

    def slope(x):
        traces.append(x)
        return gradient(lambda x: scale_gradient(reverse(x, lam), factor), x)

    run = mode(slope)
    for value in np.linspace(0, 2, 20, dtype="float32"):
        lam.assign(value)
        factor.assign(-2 * value)
        same(run(X), 2 * value * value)
    assert len(traces) == (20 if mode is eager else 1)


def test_a_variable_that_a_later_trace_meets_first():
    """TensorFlow rejects variables that are made in the second trace of a function."""
    lams = [revgrad.LambdaVariable(0.5), revgrad.LambdaVariable(2.0)]
    slope = traced(lambda x, which: gradient(lambda x: reverse(x, lams[which]), x))
    assert [float(slope(X, which)[0, 0]) for which in (0, 1, 0)] == [-0.5, -2, -0.5]
    assert slope.experimental_get_tracing_count() == 2


def test_no_gradient_to_lambda_in_second_order(mode):
    lam = tf.Variable(0.5)
    slope = lambda lam: gradient(lambda x: reverse(x, lam) ** 2, X)
    assert not mode(lambda: gradient(slope, lam))()  # 0, or None


def test_a_schedule_from_a_step_counter(mode):
    ramp, step = Dann(gamma=10), tf.Variable(0, dtype="int64")

    def slope(x):
        step.assign_add(1)
        return gradient(lambda x: reverse(x, ramp(progress(step.read_value(), 10))), x)

    run = mode(slope)
    for count in range(1, 12):
        np.testing.assert_allclose(run(X), -ramp(count / 10), rtol=1e-5, atol=1e-7)


def test_a_variable_is_validated_outside_a_graph_only(mode):
    variable = tf.Variable(-1.0)
    slope = mode(lambda x: gradient(lambda x: reverse(x, variable), x))
    if mode is eager:
        with pytest.raises(revgrad.InvalidLambdaError, match="pass 1.0, not -1.0"):
            slope(X)
    else:
        same(slope(X), 1)


@pytest.mark.parametrize(
    "x, lam, words",
    [
        (X, tf.constant(True), "got a value of dtype <dtype: 'bool'>. Cast it to a float dtype"),
        (X, tf.constant(1j), "got a value of dtype <dtype: 'complex128'>"),
        (X, tf.sparse.eye(2), "or a tf.Tensor or tf.Variable; got an object of type"),
        (tf.constant("text"), 0.5, "of dtype string, which carries no gradient"),
        (tf.sparse.eye(2), 0.5, "convert a SparseTensor to a tensor. .* sparse tensor, pass"),
    ],
)
def test_what_is_rejected(mode, x, lam, words):
    error = revgrad.InvalidLambdaError if x is X else revgrad.UnsupportedTypeError
    for function in (reverse_gradient, scale_gradient):
        with pytest.raises(error, match=words):
            mode(lambda: function(x, lam))()


# --- programs -------------------------------------------------------------------------------------


def test_a_tape_around_forward_mode_over_a_function():
    """TensorFlow raises if the function captures a variable; with a function around all, not."""
    lam = revgrad.LambdaVariable(0.5)
    cube = lambda x: reverse(x, lam) ** 3
    with pytest.raises(tf.errors.InternalError, match="returned too few gradients"):
        pulled(pushed(traced(cube)))(X)
    np.testing.assert_allclose(traced(pulled(pushed(cube)))(X), 0.5**2 * 6 * X, rtol=1e-6)


def test_two_devices():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    lam = revgrad.LambdaVariable(0.5)
    with strategy.scope():
        weights, mirrored = tf.Variable([1.0, 2.0]), tf.Variable(0.5, trainable=False)
    replica = lambda: gradient(lambda x: reverse(reverse(x, lam), mirrored), weights)
    step = traced(lambda: strategy.reduce("sum", strategy.run(replica), axis=None))
    for value in (0.5, 3.0):
        lam.value = value
        mirrored.assign(2 * value)
        same(step(), 2 * value * 2 * value)
    assert step.experimental_get_tracing_count() == 1


RELOADED = """
import sys, numpy as np, tensorflow as tf
module = tf.saved_model.load(sys.argv[1])
assert "revgrad" not in sys.modules
x = tf.ones((2, 3))

def slopes(x):
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        first = tape.gradient(module.call(x), x)
    return first, tape.gradient(first, x)

for lam in (0.5, 2.0):
    module.lam.assign(lam)
    with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
        y = module.call(x)
    for first, second in (slopes(x), tf.function(slopes)(x)):
        for found, expected in ((first, -3 * lam), (second, 6 * lam**2)):
            np.testing.assert_array_equal(found, np.full((2, 3), expected))
    np.testing.assert_array_equal(accumulator.jvp(y), first)
"""


def test_a_saved_model_reverses_where_revgrad_is_not_imported(tmp_path):
    module = tf.Module()
    module.lam = tf.Variable(0.5, trainable=False)
    module.call = tf.function(lambda x: reverse(x, module.lam) ** 3, [tf.TensorSpec([None, 3])])
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
