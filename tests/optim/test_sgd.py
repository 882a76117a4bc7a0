import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minidgm.optim import SGD, Momentum, Nesterov
from minidgm.parameters import Parameters


def gradients(seed, n):
    return np.random.default_rng(seed).standard_normal((n, 5))


def trajectory(optimizer, grads):
    theta = Parameters({"w": (5,)}, dtype="float64")
    grad = theta.like()
    optimizer.init(theta)
    path = []
    for g in grads:
        grad["w"] = g
        optimizer.step(theta, grad)
        path.append(theta["w"].copy())
    return np.array(path)


@given(st.floats(0.01, 1), st.floats(0.1, 0.95), st.integers(0, 99))
def test_momentum_is_the_velocity_form_of_the_book(rate, alpha, seed):
    theta, v, expected = np.zeros(5), np.zeros(5), []
    for g in gradients(seed, 6):
        v = alpha * v - rate * g  # eq. 8.15
        theta = theta + v  # eq. 8.16
        expected.append(theta)
    np.testing.assert_allclose(trajectory(SGD(rate, alpha), gradients(seed, 6)), expected, atol=1e-12)


@given(st.floats(0.01, 0.3), st.floats(0.1, 0.95), st.integers(0, 99))
def test_nesterov_follows_the_looked_ahead_parameters(rate, alpha, seed):
    # On a quadratic with curvatures a: eqs. 8.21-8.22 take the gradient at theta + alpha v; the optimizer
    # keeps phi = theta + alpha v itself, so its gradients are taken at its own parameters.
    a = np.random.default_rng(seed).uniform(0.1, 1, 5)
    theta, v = np.ones(5), np.zeros(5)
    phi = Parameters({"w": (5,)}, dtype="float64")
    phi["w"] = np.ones(5)
    grad = phi.like()
    optimizer = Nesterov(rate, alpha)
    optimizer.init(phi)
    for _ in range(6):
        v = alpha * v - rate * a * (theta + alpha * v)
        theta = theta + v
        grad["w"] = a * phi["w"]
        optimizer.step(phi, grad)
        np.testing.assert_allclose(phi["w"], theta + alpha * v, atol=1e-12)


def test_weight_decay_is_the_gradient_of_an_l2_penalty():
    w = np.random.default_rng(0).standard_normal((2, 2))
    theta = Parameters({"W": (2, 2)}, dtype="float64")
    theta["W"] = w
    optimizer = SGD(0.1, weight_decay=0.3)
    optimizer.init(theta)
    optimizer.step(theta, theta.like())
    np.testing.assert_allclose(theta["W"], w - 0.1 * 0.3 * w)


def test_the_conveniences_are_sgd():
    grads = gradients(0, 4)
    np.testing.assert_array_equal(trajectory(Momentum(0.1), grads), trajectory(SGD(0.1, 0.9), grads))
    np.testing.assert_array_equal(trajectory(Nesterov(0.1), grads), trajectory(SGD(0.1, 0.9, True), grads))
