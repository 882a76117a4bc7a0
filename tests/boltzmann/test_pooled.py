"""Groups with at most one unit on, against their k + 1 states listed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from minidgm import RBM
from minidgm.backend import Generator, asarray, to_numpy
from minidgm.boltzmann.pooled import Pooled
from minidgm.boltzmann.units import from_name
from minidgm.checks import check_model
from minidgm.distributions import AtMostOne
from minidgm.errors import DataError

SCALES = st.sampled_from([1.0, 50.0])
cases = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 2**32 - 1), SCALES)


def table(a, k):
    """Probabilities of all states of every row, by their exponentials alone."""
    states = Pooled(k).states(a.shape[1])
    weights = a @ states.T
    p = np.exp(weights - weights.max(axis=1, keepdims=True))
    return states, p / p.sum(axis=1, keepdims=True)


@given(case=cases)
@settings(max_examples=20)
def test_distribution_from_its_states(case):
    k, groups, seed, scale = case
    rng = np.random.default_rng(seed)
    a, r = scale * rng.normal(size=(2, 3, k * groups))
    states, p = table(a, k)
    d = AtMostOne(a, k)
    np.testing.assert_allclose(d.mean, p @ states, atol=1e-12)
    np.testing.assert_allclose(d.variance, p @ states - (p @ states) ** 2, atol=1e-12)
    for row, weights in enumerate(p):
        covariance = (states.T * weights) @ states - np.outer(weights @ states, weights @ states)
        np.testing.assert_allclose(d.mean_jvp(r)[row], covariance @ r[row], atol=1e-11)
        same = AtMostOne(np.tile(a[row], (len(states), 1)), k)
        np.testing.assert_allclose(np.exp(same.log_prob(states)), weights, atol=1e-12)
        assert weights[(states == d.mode[row]).all(axis=1).argmax()] == pytest.approx(weights.max())
    other = AtMostOne(r, k)
    log_q = np.log(np.maximum(table(r, k)[1], 1e-300))
    log_p = np.log(np.maximum(p, 1e-300))
    if scale == 1.0:
        np.testing.assert_allclose(d.kl(other), (p * (log_p - log_q)).sum(axis=1), atol=1e-10)
        np.testing.assert_allclose(d.entropy(), -(p * log_p).sum(axis=1), atol=1e-10)


@given(case=cases, bias=st.booleans())
@settings(max_examples=20)
def test_fill_is_the_distribution(case, bias):
    k, groups, seed, scale = case
    rng = np.random.default_rng(seed)
    x, b = scale * rng.normal(size=(5, k * groups)), rng.normal(size=k * groups)
    expected = AtMostOne(x + b if bias else x, k).mean
    mean, draw, before = np.empty_like(x), np.empty_like(x), x.copy()
    Pooled(k).fill(x, b if bias else 0.0 * b, mean=mean)
    np.testing.assert_allclose(mean, expected, atol=1e-12)
    mean[...] = 0.0
    Pooled(k).fill(x, b if bias else 0.0 * b, Generator(seed), draw=draw, mean=mean)
    np.testing.assert_allclose(mean, expected, atol=1e-12)
    assert (x == before).all()
    assert draw.reshape(5, groups, k).sum(axis=-1).max(initial=0.0) <= 1.0
    Pooled(k).fill(x, b if bias else 0.0 * b, Generator(seed), draw=x)
    assert (x == draw).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_draws_follow_the_fields(backend, dtype):
    """60,000 draws of two groups of 3, chi-square at 1e-6, whatever the blocks."""
    a = np.array([[0.3, -1.0, 0.8, 2.0, -3.0, 0.0]])
    states, p = table(a, 3)
    rows = asarray(np.repeat(a, 60_000, axis=0), backend, dtype)
    draws = to_numpy(AtMostOne(rows, 3).sample(Generator(3, backend)))
    cell = draws.reshape(-1, 2, 3) @ [1, 2, 3] @ [1, 4]
    listed = (states.reshape(-1, 2, 3) @ [1, 2, 3] @ [1, 4]).astype(int)
    counts = np.bincount(cell.astype(int), minlength=16)[listed]
    assert counts.sum() == 60_000
    assert chisquare(counts, 60_000 * p[0]).pvalue > 1e-6


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ([1e4, -1e4, 1e4, 1e4], [1, 0, 0.5, 0.5]),
        ([-1e4, -1e4, 3e38, 0.0], [0, 0, 1, 0]),
        ([61.0, 61.0, -3e38, -3e38], [0.5, 0.5, 0, 0]),
        ([89.0, 89.0, 88.0, -200.0], [0.5, 0.5, 1, 0]),
    ],
)
def test_extreme_fields_in_float32(backend, field, expected):
    a = asarray(np.array([field]), backend, "float32")
    mean = asarray(np.zeros((1, 4)), backend, "float32")
    Pooled(2).fill(a, asarray(np.zeros(4), backend, "float32"), mean=mean)
    np.testing.assert_allclose(to_numpy(mean)[0], expected, atol=1e-7)
    draw = to_numpy(AtMostOne(a, 2).sample(Generator(0, backend)))[0]
    assert set(np.flatnonzero(draw)) <= set(np.flatnonzero(expected))
    assert all(draw[i] == 1.0 for i, p in enumerate(expected) if p == 1)


@pytest.mark.parametrize(("visible", "sizes"), [("bernoulli", (2, 4)), ("gaussian", (2, 2))])
def test_an_rbm_of_pooled_hidden_units_holds_all_identities(visible, sizes):
    model = RBM(*sizes, visible=visible, hidden="pooled(2)", dtype="float64")
    assert check_model(model, max_examples=2).ok


def test_bad_input():
    with pytest.raises(ValueError, match="k >= 1"):
        Pooled(0)
    with pytest.raises(ValueError, match="multiple of 2"):
        RBM(3, 3, hidden="pooled(2)")
    with pytest.raises(ValueError, match="hidden units"):
        RBM(4, 2, visible="pooled(2)")
    with pytest.raises(ValueError, match="groups of 2"):
        AtMostOne(np.zeros((1, 3)), 2)
    with pytest.raises(TypeError, match="one size"):
        AtMostOne(np.zeros((1, 4)), 2).kl(AtMostOne(np.zeros((1, 4)), 4))
    with pytest.raises(DataError, match="at most one 1"):
        Pooled(2).check(np.array([[1.0, 1.0]]), "h")
    assert AtMostOne(np.zeros((1, 2)), 2).log_prob(np.ones((1, 2)))[0] == -np.inf
    assert from_name("pooled(3)") == Pooled(3)
