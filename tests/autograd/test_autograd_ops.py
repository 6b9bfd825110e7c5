"""`reverse` under every operator of autograd, on every value, with every λ."""

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad, make_jvp, make_vjp
from autograd.tracer import getval

import revgrad
from revgrad import reference
from revgrad_autograd import reverse_gradient

X = np.array([0.5, -1.0, 2.0])
COMPLEX = np.array([1 + 2j, np.inf + 0j, 1 - 1j])


def half(x):
    return revgrad.reverse(x, 0.5)


def loss(x, lam=0.3):
    return anp.sum(revgrad.reverse(anp.tanh(x), lam) ** 2)


EXPECTED = -0.3 * grad(lambda x: anp.sum(anp.tanh(x) ** 2))(X)


@pytest.mark.parametrize(
    "gradient",
    [
        grad(loss),
        autograd.elementwise_grad(loss),
        autograd.jacobian(loss),
        lambda x: autograd.value_and_grad(loss)(x)[1],
        lambda x: grad(lambda x: autograd.checkpoint(loss)(x))(x),
    ],
)
def test_operators(gradient):
    np.testing.assert_allclose(gradient(X), EXPECTED, rtol=1e-12)


def test_hessians():
    def f(x):
        return anp.sum(anp.sin(revgrad.reverse(x, 0.3)))

    expected = 0.3**2 * np.diag(-np.sin(X))
    np.testing.assert_allclose(autograd.hessian(f)(X), expected, atol=1e-12)
    np.testing.assert_allclose(autograd.make_hvp(f)(X)[0](X), expected @ X, atol=1e-12)
    np.testing.assert_allclose(make_jvp(grad(f))(X)(X)[1], expected @ X, atol=1e-12)
    twice = make_jvp(lambda x: make_jvp(f)(x)(X)[1])(X)(X)[1]
    np.testing.assert_allclose(twice, X @ expected @ X, atol=1e-12)


def test_the_third_derivative():
    third = grad(grad(grad(lambda x: revgrad.reverse(x, 2.0) ** 3)))
    assert third(1.5) == (-2.0) ** 3 * 6


def test_the_hessian_of_complex_numbers_keeps_its_parts_apart():
    def product(change):
        gradient = grad(lambda x: anp.real(anp.sum(change(x) ** 3)))
        return make_vjp(gradient)(np.array([1 + 2j, -3j]))[0](np.array([1 - 1j, 2.0 + 0j]))

    twice = product(lambda x: revgrad.reverse(x, 2.0))
    np.testing.assert_allclose(twice, 4 * product(lambda x: x), rtol=1e-12)


def test_dicts_and_lists_of_parameters():
    f = lambda parameters: anp.sum(half(parameters["w"][0]) * parameters["b"])
    found = grad(f)({"w": [X], "b": 2.0})
    np.testing.assert_array_equal(found["w"][0], [-1.0] * 3)
    assert found["b"] == X.sum()


def test_what_is_not_traced_stays_with_numpy():
    assert revgrad.get_backend("numpy").reverse(X, 0.5) is X
    assert isinstance(half(np.float32(1)), np.float32)
    assert reverse_gradient(1.5, 0.5) == 1.5


@pytest.mark.parametrize(
    "x",
    [
        *(1.5, np.float32(1.5), np.asarray(1.5), X.astype(np.longdouble)),
        *(1.5 + 2j, np.complex64(1j), COMPLEX, COMPLEX.astype("complex64")),
    ],
)
def test_numbers_and_arrays_of_every_float(x):
    pullback, y = make_vjp(half)(x)
    assert y is x
    for came in (pullback(x), make_jvp(half)(x)(x)[1]):
        np.testing.assert_array_equal(came, reference.pullback(np.asarray(x), 0.5))
        assert np.asarray(came).dtype == np.asarray(x).dtype


@pytest.mark.parametrize("call", [revgrad.reverse, reverse_gradient])
def test_a_lam_that_asks_for_its_gradient_is_rejected(call):
    both = lambda pair: anp.sum(call(pair[0], pair[1]))
    words = "is traced, so autograd is asked for its gradient, and λ has none. Keep λ out of"
    for differentiate in (grad(both), make_jvp(both)((X, 0.5))):
        with pytest.raises(revgrad.InvalidLambdaError, match=words):
            differentiate((X, 0.5))
    with pytest.raises(revgrad.InvalidLambdaError):
        grad(lambda lam: anp.sum(call(X, lam)))(0.5)
    found = grad(lambda pair: anp.sum(call(pair[0], getval(pair[1]))))((X, 0.5))
    np.testing.assert_array_equal(found[0], [-0.5] * 3)
    assert found[1] == 0


@pytest.mark.parametrize("x", [[1.0, 2.0], "text", None, 3, (X,), {"a": X}])
def test_what_is_not_an_array_is_rejected(x):
    with pytest.raises(revgrad.UnsupportedTypeError, match="Expected an array; got a .* Pass the"):
        reverse_gradient(x, 0.5)


def test_a_box_of_a_tuple_is_rejected():
    for call, words in ((revgrad.reverse, "No backend cla"), (reverse_gradient, "got a SequenceB")):
        with pytest.raises(revgrad.UnsupportedTypeError, match=words):
            grad(lambda x: anp.sum(call(x, 0.5)[0]))((X,))


def test_a_schedule_of_a_traced_progress():
    ramp = revgrad.schedules.Dann(gamma=10)
    slope = grad(lambda p: ramp(p))(np.float64(0.1))
    assert abs(slope - (ramp(0.1 + 1e-6) - ramp(0.1 - 1e-6)) / 2e-6) < 1e-6
