"""Gamma, MultivariateNormal and Blocks against SciPy, in density, moments, entropy and samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from minidgm import Generator
from minidgm.backend import asarray, to_numpy
from minidgm.distributions import Bernoulli, Blocks, Gamma, MultivariateNormal

DRAWS = 20_000


@given(st.integers(0, 10**6))
@settings(max_examples=15)
def test_gamma_density(seed):
    rng = np.random.default_rng(seed)
    shape, rate, x = np.exp(rng.normal(size=3)), np.exp(rng.normal(size=(4, 3))), rng.gamma(1.0, size=(4, 3))
    ours, theirs = Gamma(shape, rate), stats.gamma(shape, scale=1.0 / rate)
    np.testing.assert_allclose(ours.log_prob(x), theirs.logpdf(x).sum(axis=1))
    np.testing.assert_allclose(ours.mean, theirs.mean())
    np.testing.assert_allclose(ours.variance, theirs.var())
    np.testing.assert_allclose(ours.entropy(), theirs.entropy().sum(axis=1))


def test_gamma_draws(backend):
    """Kolmogorov-Smirnov at 1e-6 for each of two shapes."""
    shape, rate = np.array([0.3, 4.0]), np.full((DRAWS, 2), 2.5)
    draws = to_numpy(Gamma(asarray(shape, backend), asarray(rate, backend)).sample(Generator(0, backend)))
    assert (draws > 0.0).all()
    for i in range(2):
        assert stats.kstest(draws[:, i], stats.gamma(shape[i], scale=0.4).cdf).pvalue > 1e-6 / 2


@given(st.integers(0, 10**6), st.integers(1, 4))
@settings(max_examples=15)
def test_multivariate_density(seed, d):
    rng = np.random.default_rng(seed)
    B = rng.normal(size=(3, d, d))
    precision = B @ B.swapaxes(1, 2) + 0.3 * np.eye(d)
    field, x = rng.normal(size=(2, 3, d))
    ours = MultivariateNormal(field, precision)
    unnormalized = (field * x).sum(axis=1) - 0.5 * np.einsum("ni,nij,nj->n", x, precision, x)
    np.testing.assert_allclose(unnormalized - ours.log_normalizer(), ours.log_prob(x), rtol=1e-9, atol=1e-9)
    for i in range(3):
        C = np.linalg.inv(precision[i])
        assert ours.log_prob(x)[i] == pytest.approx(stats.multivariate_normal(C @ field[i], C).logpdf(x[i]))
        np.testing.assert_allclose(ours.variance[i], np.diag(C))
        np.testing.assert_allclose(ours.mean[i], C @ field[i])


def test_multivariate_draws(backend):
    """Whitened by the exact covariance: each margin standard normal, 1e-6 in all; the signs of L too."""
    A = np.array([[2.0, 0.9, 0.0], [0.9, 1.0, -0.3], [0.0, -0.3, 0.5]])
    field = np.tile([1.0, -1.0, 0.5], (DRAWS, 1))
    given = MultivariateNormal(asarray(field, backend), asarray(np.tile(A, (DRAWS, 1, 1)), backend))
    draws = to_numpy(given.sample(Generator(0, backend)))
    C = np.linalg.inv(A)
    rotated = (draws - C @ field[0]) @ np.linalg.cholesky(A)
    for i in range(3):
        assert stats.kstest(rotated[:, i], stats.norm.cdf).pvalue > 1e-6 / 6
        sd = np.sqrt(C[i, i])
        assert stats.kstest(draws[:, i], stats.norm((C @ field[0])[i], sd).cdf).pvalue > 1e-6 / 6
    none = MultivariateNormal(asarray(field[:0], backend), asarray(np.zeros((0, 3, 3)), backend))
    assert none.sample(Generator(0, backend)).shape == (0, 3)


def test_blocks(backend):
    bits = Bernoulli(asarray(np.array([[0.5, -1.0], [2.0, 0.0]]), backend))
    reals = Gamma(asarray(np.array([2.0]), backend), asarray(np.array([[1.0], [3.0]]), backend))
    both = Blocks([bits, reals], [2, 1])
    x = asarray(np.array([[1.0, 0.0, 0.7], [0.0, 1.0, 2.0]]), backend)
    expected = to_numpy(bits.log_prob(x[:, :2])) + to_numpy(reals.log_prob(x[:, 2:]))
    np.testing.assert_allclose(to_numpy(both.log_prob(x)), expected)
    np.testing.assert_allclose(to_numpy(both.entropy()), to_numpy(bits.entropy()) + to_numpy(reals.entropy()))
    assert both.variance.shape == both.mean.shape == (2, 3)
    out = asarray(np.zeros((2, 3)), backend)
    assert both.sample(Generator(0, backend), out=out) is out
    again = both.sample(Generator(0, backend))
    np.testing.assert_array_equal(to_numpy(out), to_numpy(again))
    two = Blocks([bits, bits], [2, 2])
    np.testing.assert_allclose(to_numpy(two.mean_jvp(two.mean)), to_numpy(two.variance * two.mean))
