import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidgm.optim import Adam, AdamW
from minidgm.optim.base import BLOCK
from minidgm.parameters import Parameters


def paper(theta, grads, rate, beta1, beta2, eps, decay=0.0):
    """Algorithm 1 of Kingma & Ba 2015, line by line, with the decay of Loshchilov & Hutter 2019."""
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    for t, g in enumerate(grads, start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        theta = theta - rate * (m_hat / (np.sqrt(v_hat) + eps) + decay * theta)
    return theta


@given(
    st.floats(1e-3, 1),
    st.sampled_from([0.0, 0.5, 0.9]),
    st.sampled_from([0.0, 0.9, 0.999]),
    st.sampled_from([1e-8, 0.1]),
    st.sampled_from([0.0, 0.2]),
    st.integers(0, 99),
)
def test_it_is_the_algorithm_of_the_paper(rate, beta1, beta2, eps, decay, seed):
    rng = np.random.default_rng(seed)
    start, grads = rng.standard_normal((3, 2)), rng.standard_normal((5, 3, 2))
    theta = Parameters({"W": (3, 2)}, dtype="float64")
    theta["W"] = start
    grad = theta.like()
    optimizer = AdamW(rate, (beta1, beta2), eps, weight_decay=decay)
    optimizer.init(theta)
    for g in grads:
        grad["W"] = g
        optimizer.step(theta, grad)
    np.testing.assert_allclose(theta["W"], paper(start, grads, rate, beta1, beta2, eps, decay), atol=1e-10)


def test_the_decay_of_adam_enters_the_moments_and_that_of_adamw_does_not():
    theta = Parameters({"W": (1, 1)}, dtype="float64")
    theta["W"] = [[1.0]]
    for optimizer, expected in [(Adam(0.1, weight_decay=0.5), 0.9), (AdamW(0.1, weight_decay=0.5), 0.95)]:
        moved = theta.copy()
        optimizer.init(moved)
        optimizer.step(moved, theta.like())
        assert moved["W"].item() == pytest.approx(expected, abs=1e-6)


def test_every_block_of_a_long_buffer_is_updated():
    n = 2 * BLOCK + 17
    theta = Parameters({"W": (1, n), "b": (5,)})
    grad = theta.like()
    grad.buffer[...] = 1.0
    optimizer = Adam(0.1, weight_decay=1e-9, clip=1e9)
    optimizer.init(theta)
    optimizer.step(theta, grad)
    np.testing.assert_allclose(theta.buffer, -0.1, rtol=1e-5)
