"""Identity 34: maximum mean discrepancy, by definition, enumeration, explicit features and autograd."""

from __future__ import annotations

import itertools

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from hypothesis import given, settings
from hypothesis import strategies as st

from minidgm.backend import asarray, to_numpy
from minidgm.errors import DataError
from minidgm.evaluation import mercer, mmd, mmd2, mmd2_between, mmd2_gradient, mmd2_linear
from minidgm.evaluation.mercer import as_kernel
from minidgm.workspace import Workspace

KERNELS = [
    ("gaussian", {"bandwidths": [0.7, 1.4, 2.0]}),
    ("rational_quadratic", {"length": 1.5}),
    ("polynomial", {"degree": 3, "offset": 0.5, "scale": 0.7}),
    ("moments", {"order": 3}),
]
CHARACTERISTIC = KERNELS[:2]
cases = st.tuples(
    st.integers(2, 6),
    st.integers(2, 6),
    st.integers(1, 3),
    st.integers(0, 2**32 - 1),
    st.sampled_from(KERNELS),
)


def samples(m, n, d, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(m, d)), 0.5 + 1.5 * rng.normal(size=(n, d))


def gram(kernel, x, y):
    """k(x_i, y_j) by the definition of s, pair by pair."""
    if kernel.of == "product":
        return kernel.value(anp.sum(x[:, None] * y[None], axis=2))
    return kernel.value(anp.sum((x[:, None] - y[None]) ** 2, axis=2))


def definition(x, y, kernel, unbiased):
    kernel = as_kernel(kernel)
    m, n, one = len(x), len(y), int(unbiased)
    xx, yy = gram(kernel, x, x), gram(kernel, y, y)
    own = one * anp.trace(xx), one * anp.trace(yy)
    return (
        (anp.sum(xx) - own[0]) / (m * (m - one))
        + (anp.sum(yy) - own[1]) / (n * (n - one))
        - 2.0 * anp.mean(gram(kernel, x, y))
    )


@given(case=cases, unbiased=st.booleans())
@settings(max_examples=20)
def test_value_and_gradient_are_those_of_the_definition(case, unbiased):
    *shape, kernel = case
    x, y = samples(*shape)
    before = x.copy(), y.copy()
    expected, slope = definition(x, y, kernel, unbiased), grad(definition)(x, y, kernel, unbiased)
    value, dx = mmd2_gradient(x, y, kernel, unbiased)
    scale = 1.0 + np.abs(slope).max()
    np.testing.assert_allclose([value, mmd2(x, y, kernel, unbiased).value], expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(dx / scale, slope / scale, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k[0])
def test_the_slope_is_the_derivative(kernel):
    kernel, s = as_kernel(kernel), np.linspace(0.1, 4.0, 7)
    np.testing.assert_allclose(kernel.slope(s), grad(lambda t: anp.sum(kernel.value(t)))(s), rtol=1e-12)
    np.testing.assert_allclose(kernel.both(s)[0], kernel.value(s), rtol=1e-14)
    assert kernel.value(np.zeros(1)) == pytest.approx(0.0 if kernel.of == "product" else 1.0, abs=0.2)


def test_bandwidths_that_double_are_squared():
    s = np.linspace(0.0, 30.0, 50)
    for bandwidths in ([1.0, 2.0, 4.0], [3.0, 3.0 / np.sqrt(2.0)], [0.3, 1.0]):
        expected = np.mean([np.exp(-s / (2.0 * b * b)) for b in bandwidths], axis=0)
        np.testing.assert_allclose(as_kernel(("gaussian", {"bandwidths": bandwidths})).value(s), expected)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k[0])
def test_the_u_statistic_is_unbiased_by_enumeration(kernel):
    """The mean over all samples of 3 and 2 from distributions on three states is the exact MMD^2."""
    states = np.array([[0.0, 0.0], [1.0, -0.5], [0.3, 2.0]])
    p, q = np.array([0.2, 0.5, 0.3]), np.array([0.6, 0.1, 0.3])
    exact = mmd2_between(states, p, q, kernel)
    totals = dict.fromkeys(("U", "V", "linear"), 0.0)
    for i in itertools.product(range(3), repeat=3):
        for j in itertools.product(range(3), repeat=2):
            weight = p[list(i)].prod() * q[list(j)].prod()
            x, y = states[list(i)], states[list(j)]
            totals["U"] += weight * mmd2(x, y, kernel).value
            totals["V"] += weight * mmd2(x, y, kernel, unbiased=False).value
            totals["linear"] += weight * mmd2_linear(x, y, kernel).value
    assert exact.kind == "exact"
    assert totals["U"] == pytest.approx(exact.value, rel=1e-11)
    assert totals["linear"] == pytest.approx(exact.value, rel=1e-11)
    K = gram(as_kernel(kernel), states, states)
    bias = sum((r @ np.diag(K) - r @ K @ r) / n for r, n in ((p, 3), (q, 2)))
    assert bias > 0.0
    assert totals["V"] == pytest.approx(exact.value + bias, rel=1e-11)


@given(weights=st.lists(st.integers(0, 9), min_size=8, max_size=8), kernel=st.sampled_from(CHARACTERISTIC))
@settings(max_examples=20)
def test_zero_only_for_equal_distributions_under_a_characteristic_kernel(weights, kernel):
    states = np.array([[0.0, 0.0], [1.0, -0.5], [0.3, 2.0], [-1.0, 0.4]])
    p, q = (np.array(w) + 0.1 for w in (weights[:4], weights[4:]))
    p, q = p / p.sum(), q / q.sum()
    value = mmd2_between(states, p, q, kernel).value
    assert mmd2_between(states, p, p, kernel).value == 0.0
    least = np.linalg.eigvalsh(gram(as_kernel(kernel), states, states))[0]
    assert least > 0.0
    assert value >= least * ((p - q) ** 2).sum() * (1.0 - 1e-9)


def test_a_polynomial_kernel_does_not_see_beyond_its_degree():
    """Mean 0 and variance 1 both: the linear and the quadratic kernel see nothing, the quartic one does."""
    states = np.array([[-2.0], [-1.0], [0.0], [1.0], [2.0]])
    p, q = np.array([0.0, 0.5, 0.0, 0.5, 0.0]), np.array([0.125, 0.0, 0.75, 0.0, 0.125])
    found = [mmd2_between(states, p, q, ("polynomial", {"degree": d})).value for d in (1, 2, 3, 4)]
    np.testing.assert_allclose(found[:3], 0.0, atol=1e-12)
    assert found[3] == pytest.approx(9.0)  # only (x y)^4 counts: (E x^4 - E y^4)^2 = (1 - 4)^2


@given(case=cases)
@settings(max_examples=15)
def test_the_polynomial_kernel_is_a_product_of_explicit_features(case):
    """(x . y + c)^2 = <phi(x), phi(y)>, phi = all x_a x_b, sqrt(2 c) x_a, c."""
    x, y = samples(*case[:4])
    c = 0.5

    def phi(rows):
        squares = (rows[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)
        return np.concatenate([squares, np.sqrt(2.0 * c) * rows, np.full((len(rows), 1), c)], axis=1)

    expected = ((phi(x).mean(axis=0) - phi(y).mean(axis=0)) ** 2).sum()
    found = mmd2(x, y, ("polynomial", {"degree": 2, "offset": c}), unbiased=False).value
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-10)
    second = ((np.einsum("ia,ib->ab", x, x) / len(x) - np.einsum("ia,ib->ab", y, y) / len(y)) ** 2).sum()
    first = ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum()
    moments = mmd2(x, y, ("moments", {"order": 2}), unbiased=False).value
    assert moments == pytest.approx(first + second, rel=1e-9, abs=1e-10)


def test_the_standard_error_is_that_of_the_statistic():
    """400 pairs of samples: their spread has a relative error of 3.5 %; within 20 % but once in 1e7."""
    rng = np.random.default_rng(0)
    kernel = ("gaussian", {"bandwidths": [1.0]})
    found = [mmd2(rng.normal(size=(60, 1)), 0.8 + rng.normal(size=(40, 1)), kernel) for _ in range(400)]
    spread = np.std([f.value for f in found])
    assert np.mean([f.stderr for f in found]) == pytest.approx(spread, rel=0.2)
    linear = [mmd2_linear(rng.normal(size=(60, 1)), rng.normal(size=(60, 1)), kernel) for _ in range(400)]
    assert np.mean([f.stderr for f in linear]) == pytest.approx(np.std([f.value for f in linear]), rel=0.2)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k[0])
def test_blocks_and_strips_change_nothing(monkeypatch, backend, kernel):
    x, y = (asarray(rows, backend) for rows in samples(9, 7, 2, 0))
    whole = mmd2_gradient(x, y, kernel), mmd2(x, y, kernel)
    for name, value in (("VALUES", 21), ("STRIP", 14), ("DEVICE_VALUES", 21)):
        monkeypatch.setattr(mmd, name, value)
    value, dx = mmd2_gradient(x, y, kernel, scratch=Workspace())
    assert float(value) == pytest.approx(float(whole[0][0]), rel=1e-10, abs=1e-10)
    np.testing.assert_allclose(to_numpy(dx), to_numpy(whole[0][1]), rtol=1e-9, atol=1e-10)
    found = mmd2(x, y, kernel)
    assert (found.value, found.stderr) == pytest.approx((whole[1].value, whole[1].stderr), rel=1e-9)


def test_float32_is_near_float64_far_from_the_origin():
    x, y = samples(30, 20, 10, 0)
    kernel = ("gaussian", {"bandwidths": [2.0, 4.0]})
    double, dx = mmd2_gradient(x + 50.0, y + 50.0, kernel)
    single, dx32 = mmd2_gradient((x + 50.0).astype("float32"), (y + 50.0).astype("float32"), kernel)
    assert dx32.dtype == np.float32
    assert float(single) == pytest.approx(float(double), abs=2e-5)
    np.testing.assert_allclose(dx32, dx, atol=1e-6)


def test_the_linear_estimate_is_the_mean_over_quadruples():
    x, y = samples(5, 4, 2, 0)
    kernel = as_kernel("gaussian")
    xx, yy, xy = gram(kernel, x, x), gram(kernel, y, y), gram(kernel, x, y)
    h = [xx[i, i + 1] + yy[i, i + 1] - xy[i, i + 1] - xy[i + 1, i] for i in (0, 2)]
    found = mmd2_linear(x, y, kernel)
    assert (found.value, found.stderr) == pytest.approx((np.mean(h), np.std(h, ddof=1) / 2**0.5), rel=1e-10)
    assert found.settings["quadruples"] == 2


def test_what_the_estimates_say():
    x, y = samples(5, 4, 2, 0)
    u, v = mmd2(x, y), mmd2(x, y, unbiased=False)
    assert (u.kind, v.kind, u.unit) == ("estimate", "estimate", "squared MMD")
    assert "unbiased" in u.how
    assert "biased upward" in v.how
    assert "Gaussian" in v.how
    assert v.value > u.value
    assert mmd2(x[:1], y[:1], unbiased=False).stderr is None
    assert mmd2_linear(x[:3], y[:3]).stderr is None


def test_around_scales_with_the_data():
    x = np.random.default_rng(0).normal(size=(50, 3))
    distances = ((x[:, None] - x[None]) ** 2).sum(axis=2)
    kernel = mercer.GaussianKernel.around(x, [1.0, 2.0])
    expected = np.sqrt(distances.mean()) * np.array([1.0, 2.0])
    np.testing.assert_allclose(kernel.bandwidths, expected, rtol=1e-12)
    with pytest.raises(ValueError, match="distance of the rows"):
        mercer.GaussianKernel.around(np.ones((3, 2)))


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k[0])
def test_a_description_makes_the_same_kernel(kernel):
    first = as_kernel(kernel)
    assert repr(as_kernel(first.describe())) == repr(first)
    assert as_kernel(first) is first


def test_refusals():
    x = np.zeros((3, 2))
    with pytest.raises(ValueError, match="did you mean 'gaussian'"):
        mmd2(x, x, "gausian")
    with pytest.raises(TypeError, match="bandwidths"):
        mmd2(x, x, ("gaussian", {"sigma": 1.0}))
    with pytest.raises(TypeError, match="expected a kernel"):
        mmd2(x, x, 3)
    with pytest.raises(ValueError, match="at least one bandwidth"):
        mercer.GaussianKernel([])
    with pytest.raises(ValueError, match="bandwidth must be in"):
        mercer.GaussianKernel(0.0)
    with pytest.raises(ValueError, match="degree"):
        mercer.PolynomialKernel(0)
    with pytest.raises(DataError, match="x has 2 columns and y 3"):
        mmd2(x, np.zeros((3, 3)))
    with pytest.raises(DataError, match=r"y has 1 rows.*unbiased=False"):
        mmd2(x, x[:1])
    with pytest.raises(DataError, match="0 rows"):
        mmd2(x[:0], x, unbiased=False)
    with pytest.raises(DataError, match="int64"):
        mmd2(np.zeros((3, 2), int), x)
    with pytest.raises(DataError, match="list"):
        mmd2([[0.0]], x)
