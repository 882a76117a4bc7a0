"""Draws that move with their parameters: values, derivatives, divergences and priors of every family."""

import numpy as np
import pytest
from autograd import grad
from autograd import numpy as anp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.special import digamma, gammainc, gammaincc, gammaincinv, gammaln

from minidgm import Generator, IntractableError
from minidgm.backend import asarray, to_numpy
from minidgm.checks.exhaustive import Replay
from minidgm.distributions import PathFullNormal, PathGamma, PathLogistic, PathNormal
from minidgm.distributions.gamma_path import shape_derivative

FAMILIES = {
    "normal": PathNormal,
    "full": PathFullNormal,
    "logistic": PathLogistic,
    "gamma": PathGamma,
    "sparse": lambda y: PathGamma(y, 0.3),
}
PROBABILITIES = np.array([1e-6, 1e-3, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999, 1.0 - 1e-6])
SHAPES = (0.01, 0.02, 0.05, 0.1, 0.3, 0.7, 1.0, 1.5, 2.0, 5.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4)


def drawn(name, d=2, n=3, seed=0, scale=0.6):
    family = FAMILIES[name]
    size = PathFullNormal.outputs(d) if name == "full" else 2 * d
    return family, scale * np.random.default_rng(seed).normal(size=(n, size))


def slope(f, x, h):
    """Central difference of fourth order."""
    near, far = (f(x + s * h) - f(x - s * h) for s in (1.0, 2.0))
    return (8.0 * near - far) / (12.0 * h)


@pytest.mark.parametrize("a", SHAPES)
def test_the_implicit_derivative_is_that_of_the_quantile(a):
    z = gammaincinv(a, PROBABILITIES)
    known = z > 1e-250
    z, u = z[known], PROBABILITIES[known]
    right = z * slope(lambda s: np.log(gammaincinv(s, u)), a, 1e-3 * a)
    np.testing.assert_allclose(shape_derivative(np.full_like(z, a), z), right, rtol=1e-9)


@pytest.mark.parametrize("a", SHAPES)
def test_the_implicit_derivative_is_that_of_the_incomplete_gamma(a):
    """-dF/da / p, from the side whose probability is smaller."""
    z = gammaincinv(a, PROBABILITIES)
    known = z > 1e-250
    z, u = z[known], PROBABILITIES[known]
    step = 1e-3 * a / (1.0 + 0.3 * a**0.5)
    below, above = (slope(lambda s, f=f: f(s, z), a, step) for f in (gammainc, gammaincc))
    density = np.exp((a - 1.0) * np.log(z) - z - gammaln(a))
    found = -shape_derivative(np.full_like(z, a), z) * density
    np.testing.assert_allclose(found, np.where(u < 0.5, below, -above), rtol=1e-6)


def test_the_implicit_derivative_without_limits():
    """Finite and positive far out; near 0 what F = z^a/Gamma(a + 1) says."""
    for a, z in ((1e-3, 1e-30), (0.01, 1e-37), (1e-3, 1.0), (1e4, 1.0), (2.0, 1e3), (1e6, 1.001e6)):
        found = shape_derivative(np.array([a]), np.array([z]))
        assert np.isfinite(found).all(), (a, z)
        assert (found > 0.0).all(), (a, z)
    found = shape_derivative(np.array([0.01]), np.array([1e-30]))[0]
    assert found == pytest.approx(-1e-30 * (np.log(1e-30) - digamma(1.01)) / 0.01, rel=1e-9)


@given(name=st.sampled_from(sorted(FAMILIES)), seed=st.integers(0, 2**31), d=st.integers(1, 3))
@settings(max_examples=20)
def test_derivatives(name, seed, d):
    family, y = drawn(name, d, seed=seed)
    q, rng = family(y), np.random.default_rng(seed)
    noise = q.noise(2, Generator(seed))
    noise = 0.01 + 0.98 * noise if q.positive else noise  # differences of quantiles need a little room
    z, backward = q.path(noise)
    g, c = rng.normal(size=(2, *z.shape))
    direction = rng.normal(size=y.shape)
    moved = slope(lambda t: (g * family(y + t * direction).at(noise)).sum(), 0.0, 1e-4)
    assert (backward(g) * direction).sum() == pytest.approx(moved, rel=1e-6, abs=1e-7)

    def weighted(y, z):
        return sum(anp.sum(c[s] * family(y).log_terms(z[s])) for s in range(2))

    in_z, in_y = q.log_backward(z, c)
    np.testing.assert_allclose(in_z, grad(weighted, 1)(y, z), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(in_y, grad(weighted, 0)(y, z), rtol=1e-8, atol=1e-8)
    prior = grad(lambda z: anp.sum(q.log_prior_terms(z)))(z)
    np.testing.assert_allclose(q.prior_slope(z), prior, rtol=1e-9, atol=1e-9)
    if q.closed:
        right = grad(lambda y: anp.sum(c[0] * family(y).kl_terms()))(y)
        np.testing.assert_allclose(q.kl_backward(c[0]), right, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", FAMILIES)
def test_densities_are_those_of_scipy(name):
    family, y = drawn(name, 2, 1, seed=4)
    q, z = family(y), np.array([[0.3, 1.2]])
    m, s = y[0, :2], np.exp(y[0, 2:4])
    right = {
        "normal": lambda: stats.norm.logpdf(z[0], m, s**0.5).sum(),
        "full": lambda: stats.multivariate_normal.logpdf(z[0], m, q.covariance[0]),
        "logistic": lambda: stats.logistic.logpdf(z[0], m, s).sum(),
    }
    gamma = lambda: stats.gamma.logpdf(z[0], np.exp(m), scale=1.0 / s).sum()  # noqa: E731
    assert q.log_prob(z)[0] == pytest.approx(right.get(name, gamma)(), abs=1e-10)
    if name == "full":
        np.testing.assert_allclose(q.factor[0], [[s[0], 0.0], [y[0, 4], s[1]]])


@pytest.mark.parametrize("name", FAMILIES)
def test_moments_prior_and_divergence_by_quadrature(name):
    family, y = drawn(name, 1, 1, seed=3)
    q = family(y)

    def expect(f):
        def density(t):
            z = np.array([[np.exp(t) if q.positive else t]])  # of the logarithm, where z is positive
            return float(np.exp(q.log_prob(z)[0]) * f(z) * (z[0, 0] if q.positive else 1.0))

        high = 8.0 if q.positive else 60.0
        return integrate.quad(density, -60.0, high, epsabs=1e-11, limit=500, points=[0.0])[0]

    assert expect(lambda z: 1.0) == pytest.approx(1.0, abs=1e-7)
    mean = expect(lambda z: z[0, 0])
    assert mean == pytest.approx(float(q.mean[0, 0]), abs=1e-7)
    assert expect(lambda z: (z[0, 0] - mean) ** 2) == pytest.approx(float(q.variance[0, 0]), abs=1e-7)
    prior = q.prior(2, 1)
    z = np.array([[0.7], [1.1]])
    np.testing.assert_allclose(q.log_prior_terms(z), prior.log_terms(z), atol=1e-12)
    if q.closed:
        apart = expect(lambda z: (q.log_terms(z) - q.log_prior_terms(z))[0, 0])
        assert q.kl()[0] == pytest.approx(apart, abs=1e-6)
        np.testing.assert_allclose(prior.kl(), 0.0, atol=1e-12)


def test_the_divergence_of_full_normals_is_the_known_one():
    family, y = drawn("full", 3, 2)
    q = family(y)
    for i in range(2):
        cov = q.covariance[i]
        right = 0.5 * (np.trace(cov) + y[i, :3] @ y[i, :3] - 3.0 - np.linalg.slogdet(cov)[1])
        assert q.kl()[i] == pytest.approx(right, abs=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_draws_have_the_law(name):
    """Kolmogorov and Smirnov, 20000 draws a column: false alarms below 1e-6."""
    family, y = drawn(name, 2, 1, seed=1)
    z = family(np.repeat(y, 20000, axis=0)).sample(Generator(5))
    m, s = y[0, :2], np.exp(y[0, 2:4])
    q = family(y)
    for j in range(2):
        law = {
            "normal": lambda j=j: stats.norm(m[j], s[j] ** 0.5),
            "full": lambda j=j: stats.norm(m[j], float(q.variance[0, j]) ** 0.5),
            "logistic": lambda j=j: stats.logistic(m[j], s[j]),
        }.get(name, lambda j=j: stats.gamma(np.exp(m[j]), scale=1.0 / s[j]))()
        assert stats.kstest(z[:, j], law.cdf).pvalue > 1e-7


@pytest.mark.parametrize("name", FAMILIES)
def test_devices_and_precisions_agree(name, backend):
    family, y = drawn(name, 3, 4, seed=2)
    found = []
    for where, dtype in (("numpy", "float64"), (backend, "float32")):
        q = family(asarray(y, where, dtype))
        z, backward = q.path(q.noise(2, Replay(3, where)))
        g = asarray(np.random.default_rng(0).normal(size=(2, 4, 3)), where, dtype)
        parts = [z, backward(g), *q.log_backward(z, g), q.log_prob(z), q.prior_slope(z), q.mean]
        parts += [q.sample(Replay(1, where)), q.variance]
        if q.closed:
            parts += [q.kl_terms(), q.kl_backward(g[0])]
        assert {str(part.dtype) for part in parts} == {dtype}
        found.append([to_numpy(part) for part in parts])
    for left, right in zip(*found, strict=True):
        np.testing.assert_allclose(left, right, rtol=5e-4, atol=5e-4)
    assert q.path(q.noise(1, Generator(0, backend)))[0].shape == (1, 4, 3)


def test_a_prior_shape_is_positive():
    with pytest.raises(ValueError, match="prior_shape"):
        PathGamma(np.zeros((1, 2)), 0.0)


@pytest.mark.parametrize("name", sorted(FAMILIES))
@pytest.mark.parametrize("d", [1, 2, 7])
def test_numbers_of_no_whole_column_are_refused(name, d):
    family = FAMILIES[name]
    size = drawn(name, d)[1].shape[1]
    assert family(np.zeros((1, size))).d == d
    with pytest.raises(ValueError, match=rf"y has {size + 1} numbers a row; .* of {d} columns takes {size}"):
        family(np.zeros((1, size + 1)))


def test_a_divergence_without_a_closed_form_says_what_to_average():
    with pytest.raises(IntractableError, match=r"average log_terms\(z\)"):
        PathLogistic(np.zeros((1, 2))).kl()
