"""Parzen windows: identity 45, samples, gradient, bandwidth, memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from autograd import grad
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import minidgm
from minidgm import KDE
from minidgm.backend import Generator, asarray, to_numpy
from minidgm.classical import kde as module
from minidgm.errors import DataError

cases = st.tuples(st.integers(1, 6), st.integers(1, 2), st.floats(0.1, 2.0), st.integers(0, 2**32 - 1))


def window(m, d, sigma, seed, **options):
    samples = np.random.default_rng(seed).normal(size=(m, d))
    return KDE.from_samples(samples, sigma, **{"dtype": "float64", **options})


@given(case=cases)
@settings(max_examples=20)
def test_the_density_is_the_mean_of_normal_ones(case):
    model = window(*case)
    x = 2.0 * np.random.default_rng(1).normal(size=(5, case[1]))
    kernels = [
        stats.multivariate_normal.pdf(x, s, case[2] ** 2 * np.eye(case[1])) for s in model.params["samples"]
    ]
    np.testing.assert_allclose(np.exp(model.log_prob(x)), np.mean(kernels, axis=0), rtol=1e-9)


@given(case=cases)
@settings(max_examples=20)
def test_identity_45_it_integrates_to_one(case):
    """The trapezoid rule on an analytic, decaying function converges faster than any power of the step."""
    model, step = window(*case), min(case[2] / 2.0, 0.2)
    reach = np.abs(model.params["samples"]).max() + 9.0 * case[2]
    line = np.arange(-reach, reach, step)
    x = np.stack(np.meshgrid(*[line] * case[1]), axis=-1).reshape(-1, case[1])
    assert np.exp(model.log_prob(x)).sum() * step ** case[1] == pytest.approx(1.0, abs=1e-9)


def test_samples_follow_the_density(backend):
    """Kolmogorov and Smirnov with 20,000 draws: p below 1e-6 once in a million."""
    model = window(3, 1, 0.4, 0, backend=backend)
    x = to_numpy(model.sample(20_000, Generator(0, backend)))[:, 0]
    samples = to_numpy(model.params["samples"])[:, 0]
    assert stats.kstest(x, lambda t: stats.norm.cdf((t[:, None] - samples) / 0.4).mean(axis=1)).pvalue > 1e-6


@given(case=cases)
@settings(max_examples=10)
def test_gradient_in_the_bandwidth_is_autograds(case):
    model = window(*case)
    x, w = np.random.default_rng(1).normal(size=(4, case[1])), np.array([1.0, -2.0, 0.5, 0.0])

    def density(log_sigma):
        params = {"samples": model.params["samples"], "log_bandwidth": log_sigma}
        return (w * model.with_params(params).log_prob(x)).sum()

    expected = grad(density)(model.params["log_bandwidth"].copy())[0]
    assert float(model.bandwidth_gradient(x, w)) == pytest.approx(expected, rel=1e-9, abs=1e-11)


def test_blocks_change_nothing(monkeypatch, backend):
    model = window(7, 2, 0.5, 3, backend=backend)
    x = asarray(np.random.default_rng(1).normal(size=(11, 2)), backend)
    whole = to_numpy(model.log_prob(x)), float(model.bandwidth_gradient(x))
    monkeypatch.setattr(module, "VALUES", 14)
    np.testing.assert_allclose(to_numpy(model.log_prob(x)), whole[0], rtol=1e-13)
    assert float(model.bandwidth_gradient(x)) == pytest.approx(whole[1], rel=1e-12)
    assert model.log_prob(x[:0]).shape == (0,)


def test_the_bandwidth_is_the_best_of_the_candidates():
    rng = np.random.default_rng(0)
    model = KDE(2, dtype="float64").fit(rng.normal(size=(300, 2)), validation=rng.normal(size=(200, 2)))
    held_out = rng.normal(size=(200, 2))
    found = model.choose_bandwidth(held_out, [0.05, 0.3, 2.0])
    assert model.bandwidth == pytest.approx(0.3)
    assert found[0.3] == max(found.values())
    for sigma, value in found.items():
        twin = KDE.from_samples(model.params["samples"], sigma, dtype="float64")
        assert value == pytest.approx(float(twin.log_prob(held_out).mean()), rel=1e-10)


def test_fit_holds_rows_out_of_the_centers():
    X = np.random.default_rng(0).normal(size=(30, 2))
    model = KDE(2, dtype="float64").fit(X)
    assert model.n_samples == 27
    np.testing.assert_allclose(model.params["samples"], X[np.arange(30) % 10 != 0])


def test_far_points_have_finite_densities_in_float32():
    model = KDE.from_samples(np.zeros((2, 3), "float32"), 0.1)
    value = model.log_prob(np.full((1, 3), 1e4, "float32"))
    assert value.dtype == np.float32
    np.testing.assert_allclose(value, -0.5 * 3e8 / 0.01, rtol=1e-5)


def test_float32_is_near_float64_far_from_the_origin():
    """Distances are taken from the mean: an offset of 100 does not eat the digits."""
    x = 100.0 + np.random.default_rng(0).normal(size=(50, 20))
    double, single = (KDE.from_samples(x[:40], 0.7, dtype=d).log_prob(x[40:]) for d in ("float64", "float32"))
    np.testing.assert_allclose(single, double, rtol=2e-4)


def test_memory_is_a_block_not_a_table():
    model = KDE.from_samples(np.random.default_rng(0).normal(size=(4000, 10)).astype("float32"), 0.5)
    x = np.random.default_rng(1).normal(size=(20_000, 10)).astype("float32")
    tracemalloc.start()
    model.log_prob(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 4 * module.VALUES < 4 * 4000 * 20_000


def test_saved_and_loaded_to_the_bit(tmp_path):
    model, x = window(5, 2, 0.3, 1), np.random.default_rng(1).normal(size=(4, 2))
    model.save(tmp_path / "kde.safetensors")
    again = minidgm.load(tmp_path / "kde.safetensors")
    np.testing.assert_array_equal(again.log_prob(x), model.log_prob(x))


def test_refusals():
    with pytest.raises(ValueError, match="bandwidth"):
        KDE(2, bandwidth=0.0)
    with pytest.raises(DataError, match="at least 1"):
        KDE.from_samples(np.zeros((0, 2)))
    with pytest.raises(DataError, match="NaN"):
        KDE.from_samples(np.array([[np.nan]]))
    with pytest.raises(DataError, match=r"expected \[n, 2\]"):
        KDE(2).log_prob(np.zeros((3, 4)))
    with pytest.raises(DataError, match="pass validation="):
        KDE(2).fit(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="at least one candidate"):
        KDE(2).choose_bandwidth(np.zeros((1, 2)), [])
