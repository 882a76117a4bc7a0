"""Every family: normalised, moments, entropy and KL by brute force, samples that agree."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.special import log_ndtr

from minidgm.backend import Generator
from minidgm.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Enumerated,
    Normal,
    Rectified,
    Spin,
    rectified_moments,
)

fields = st.lists(st.floats(-6, 6), min_size=3, max_size=3).map(lambda x: np.array([x]))

DISCRETE = {
    "bernoulli": (Bernoulli, [np.array([x]) for x in np.ndindex(2, 2, 2)]),
    "spin": (Spin, [2.0 * np.array([x]) - 1.0 for x in np.ndindex(2, 2, 2)]),
    "categorical": (lambda x: Categorical(x, 3), [np.eye(3)[[i]] for i in range(3)]),
}


@pytest.mark.parametrize("family", DISCRETE)
@given(x=fields, y=fields)
@settings(max_examples=30)
def test_discrete_families_by_enumeration(family, x, y):
    make, states = DISCRETE[family]
    p, q = make(x), make(y)
    log_p = np.array([p.log_prob(s)[0] for s in states])
    log_q = np.array([q.log_prob(s)[0] for s in states])
    values = np.concatenate(states)
    weight = np.exp(log_p)
    assert weight.sum() == pytest.approx(1.0, rel=1e-12)
    np.testing.assert_allclose(weight @ values, p.mean[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(weight @ values**2 - (weight @ values) ** 2, p.variance[0], atol=1e-11)
    assert p.entropy()[0] == pytest.approx(-(weight @ log_p), abs=1e-10)
    assert p.kl(q)[0] == pytest.approx(weight @ (log_p - log_q), abs=1e-10)
    assert p.log_prob(p.mode)[0] == pytest.approx(log_p.max(), abs=1e-12)


@given(x=st.floats(-6, 6), y=st.floats(-6, 6), s=st.floats(-2, 2), t=st.floats(-2, 2))
@settings(max_examples=30)
def test_normal_against_scipy(x, y, s, t):
    p = Normal(np.array([[x]]), np.array([s]))
    q = Normal(np.array([[y]]), np.array([t]))
    mean, sd = x * math.exp(-s), math.exp(-s / 2)
    assert p.mean[0, 0] == pytest.approx(mean)
    assert p.variance[0, 0] == pytest.approx(sd**2)
    assert p.log_prob(np.array([[0.3]]))[0] == pytest.approx(stats.norm.logpdf(0.3, mean, sd))
    assert p.entropy()[0] == pytest.approx(stats.norm.entropy(mean, sd))
    other, other_sd = y * math.exp(-t), math.exp(-t / 2)
    kl = math.log(other_sd / sd) + (sd**2 + (mean - other) ** 2) / (2 * other_sd**2) - 0.5
    assert p.kl(q)[0] == pytest.approx(kl, abs=1e-9)
    # The cgf is the logarithm of the integral that normalises exp(-lambda v^2/2 + x v).
    assert p.cgf()[0, 0] == pytest.approx(mean**2 / (2 * sd**2) + math.log(sd * math.sqrt(2 * math.pi)))


@pytest.mark.parametrize("x", [-1e4, -300.0, -20.01, -19.99, -5.0, 0.0, 3.0, 12.0])
def test_rectified_moments_by_quadrature(x):
    """Integrals of h^k exp(-h^2/2 + x h) on both sides of the switch to the asymptotic series."""
    scale = 1.0 / abs(x) if x < -1 else 1.0
    shift = max(x, 0.0) ** 2 / 2
    top = 60 * scale if x < -1 else max(x, 0.0) + 12

    def integral(k):
        value, _ = integrate.quad(
            lambda h: h**k * math.exp(-h * h / 2 + x * h - shift), 0, top, epsabs=0, epsrel=1e-12, limit=400
        )
        return value

    z = integral(0)
    mean = integral(1) / z
    variance = integral(2) / z - mean**2
    third = integral(3) / z - 3 * mean * integral(2) / z + 2 * mean**3
    unit = Rectified(np.array([[x]]))
    assert unit.cgf()[0, 0] == pytest.approx(math.log(z) + shift, rel=1e-10)
    assert unit.mean[0, 0] == pytest.approx(mean, rel=1e-9)
    assert unit.variance[0, 0] == pytest.approx(variance, rel=1e-8)
    assert rectified_moments(np.array([x]))[2][0] == pytest.approx(third, rel=1e-5, abs=1e-13)
    if -6 < x < 4:
        entropy = -integrate.quad(
            lambda h: math.exp(d := unit.log_prob(np.array([[h]]))[0]) * d, 0, top, limit=400
        )[0]
        assert unit.entropy()[0] == pytest.approx(entropy, rel=1e-7)


@pytest.mark.parametrize("x", [-1e4, -30.0, -3.0, 0.0, 4.0, 60.0])
def test_rectified_samples_follow_their_cdf(x):
    """Kolmogorov-Smirnov at a false-alarm rate of 1e-6."""
    draws = Rectified(np.full((1, 20000), x)).sample(Generator(11))[0]
    assert (draws >= 0).all()
    assert stats.kstest(draws, lambda h: -np.expm1(log_ndtr(x - h) - log_ndtr(x))).pvalue > 1e-6


def test_rectified_outside_its_support():
    assert Rectified(np.array([[1.0]])).log_prob(np.array([[-0.1]]))[0] == -np.inf


@pytest.mark.parametrize(
    ("p", "mean", "variance"),
    [
        (Bernoulli(np.array([[0.7, -2.0]])), [0.668187772, 0.119202922], None),
        (Spin(np.array([[0.7, -2.0]])), [0.604367777, -0.96402758], None),
        (Normal(np.array([[0.7, -2.0]]), np.array([1.0, -1.0])), None, None),
    ],
)
def test_samples_have_the_stated_moments(p, mean, variance):
    """Mean and variance of 1e5 draws within 5.5 standard errors: false-alarm rate below 1e-6."""
    n = 100_000
    wide = type(p)(np.repeat(p.field, n, axis=0), *([p.log_precision] if isinstance(p, Normal) else []))
    draws = wide.sample(Generator(5))
    if mean is not None:
        np.testing.assert_allclose(p.mean[0], mean, rtol=1e-8)
    error = np.sqrt(p.variance[0] / n)
    assert (np.abs(draws.mean(axis=0) - p.mean[0]) < 5.5 * error).all()
    fourth = ((draws - p.mean) ** 4).mean(axis=0)
    error = np.sqrt(np.maximum(fourth - p.variance[0] ** 2, 1e-12) / n)
    assert (np.abs(((draws - p.mean) ** 2).mean(axis=0) - p.variance[0]) < 5.5 * error).all()


def test_categorical_samples_and_groups():
    """Chi-square of 60,000 draws in two groups of three at a false-alarm rate of 1e-6."""
    logits = np.array([[0.0, 1.0, -1.0, 2.0, 0.0, 0.5]])
    draws = Categorical(np.repeat(logits, 60000, axis=0), 3).sample(Generator(2))
    groups = draws.reshape(-1, 2, 3)
    assert (groups.sum(axis=-1) == 1).all()
    p = Categorical(logits, 3).mean.reshape(2, 3)
    for i in range(2):
        assert stats.chisquare(groups[:, i].sum(axis=0), 60000 * p[i]).pvalue > 1e-6
    with pytest.raises(ValueError, match="do not divide"):
        Categorical(logits, 4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("logit", [-1e4, -100.0, 100.0, 1e4])
def test_extreme_logits_stay_finite(dtype, logit):
    x = np.array([[logit]], dtype=dtype)
    likely, unlikely = (np.array([[v]], dtype=dtype) for v in (float(logit > 0), float(logit < 0)))
    assert Bernoulli(x).log_prob(likely)[0] == pytest.approx(0.0, abs=1e-30)
    assert Bernoulli(x).log_prob(unlikely)[0] == pytest.approx(-abs(logit))
    assert Spin(x).log_prob(2 * likely - 1)[0] == pytest.approx(0.0, abs=1e-30)
    assert Bernoulli(x).log_prob(likely).dtype == dtype
    for p in (Bernoulli(x), Spin(x), Rectified(x), Normal(x, np.zeros(1, dtype))):
        assert np.isfinite(p.mean).all()
        assert np.isfinite(p.cgf()).all()
        assert (p.variance >= 0).all()
        assert p.mean.dtype == p.cgf().dtype == dtype


def test_kl_across_families_is_refused():
    with pytest.raises(TypeError, match="one family"):
        Bernoulli(np.zeros((1, 2))).kl(Spin(np.zeros((1, 2))))
    with pytest.raises(TypeError, match="one family"):
        Normal(np.zeros((1, 2)), np.zeros(2)).kl(Spin(np.zeros((1, 2))))
    with pytest.raises(TypeError, match="groups of 2 to groups of 3"):
        Categorical(np.zeros((1, 6)), 2).kl(Categorical(np.zeros((1, 6)), 3))


def test_enumerated_is_a_table():
    states = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=float)
    log_weights = np.log(np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0]])) + 50.0
    table = Enumerated(states, log_weights)
    np.testing.assert_allclose(table.probabilities, [[0.1, 0.2, 0.3, 0.4], [0.25] * 4])
    np.testing.assert_allclose(table.mean, [[0.6, 0.7], [0.5, 0.5]])
    np.testing.assert_allclose(table.variance, [[0.24, 0.21], [0.25, 0.25]])
    np.testing.assert_allclose(table.log_prob(np.array([[0.0, 1.0], [1.0, 1.0]])), np.log([0.3, 0.25]))
    np.testing.assert_allclose(table.entropy()[1], np.log(4))
    np.testing.assert_array_equal(table.log_prob(np.array([[0.5, 0.0], [2.0, 0.0]])), -np.inf)
    u = np.array([[0.3, -1.0], [2.0, 0.5]])
    for p, mean, direction, moved in zip(table.probabilities, table.mean, u, table.mean_jvp(u), strict=True):
        covariance = states.T @ np.diag(p) @ states - np.outer(mean, mean)
        np.testing.assert_allclose(moved, covariance @ direction, atol=1e-15)
    many = Enumerated(states, np.repeat(log_weights[:1], 40000, axis=0)).sample(Generator(0))
    counts = np.bincount((many @ [1, 2]).astype(int), minlength=4)
    assert stats.chisquare(counts, 40000 * table.probabilities[0]).pvalue > 1e-6


def test_every_family_says_its_name():
    assert repr(Bernoulli(np.zeros((2, 3)))) == "Bernoulli(2, 3)"
    assert all(issubclass(f, Distribution) for f in (Bernoulli, Spin, Normal, Categorical, Rectified))
