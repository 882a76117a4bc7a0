"""Generators: paths, priors, densities by a change of variables, normal distributions, files, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import minidgm
from minidgm import GMMN, AffineGenerator, DifferentiableGenerator, Generator
from minidgm.backend import asarray, to_numpy
from minidgm.checks import check_model
from minidgm.errors import DataError, IntractableError

INVERTIBLE = [("dense", 2), "tanh", ("dense", 2), ("leaky_relu", 0.3), "sigmoid"]


def affine(seed, d=2, **options):
    g = AffineGenerator(d, **{"dtype": "float64", **options})
    values = np.random.default_rng(seed).normal(size=g.params.size)
    g.params.buffer[...] = asarray(values, g.backend, g.dtype)
    return g


@pytest.mark.parametrize(
    "model",
    [
        DifferentiableGenerator,
        AffineGenerator,
        DifferentiableGenerator(2, 3, [("dense", 4), "gelu", ("dense", 2)], dtype="float64"),
    ],
    ids=["default", "affine", "implicit"],
)
def test_identities(model):
    assert check_model(model, max_examples=8).ok


def test_identities_of_a_deeper_invertible_net():
    """Not of every parameter: a dense layer can be singular."""
    model = DifferentiableGenerator(2, 2, INVERTIBLE, "uniform", dtype="float64")
    assert check_model(model, ["34", "change of variables"]).ok


@given(seed=st.integers(0, 2**32 - 1), d=st.integers(1, 4))
@settings(max_examples=20)
def test_the_affine_density_is_multivariate_normal(seed, d):
    g, x = affine(seed, d), np.random.default_rng(1).normal(size=(5, d))
    expected = stats.multivariate_normal.logpdf(x, to_numpy(g.mean), to_numpy(g.covariance)).reshape(5)
    np.testing.assert_allclose(g.log_prob(x), expected, rtol=1e-8, atol=1e-8)


def test_matching_is_maximum_likelihood():
    X = np.random.default_rng(0).normal(size=(50, 3)) @ np.random.default_rng(1).normal(size=(3, 3)) + 2.0
    g = AffineGenerator(3, dtype="float64").match(X)
    np.testing.assert_allclose(g.mean, X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(g.covariance, np.cov(X.T, bias=True), rtol=1e-10)
    gradient = g.log_prob_gradient(X)
    np.testing.assert_allclose(gradient.buffer, 0.0, atol=1e-9)


def test_samples_of_an_affine_generator(backend):
    """20,000 draws against the exact margins, p below 1e-6 once in a million for each of two."""
    g = affine(3, backend=backend)
    x = to_numpy(g.sample(20_000, Generator(0, backend)))
    mean, variance = to_numpy(g.mean), np.diagonal(to_numpy(g.covariance))
    for i in range(2):
        assert stats.kstest(x[:, i], stats.norm(mean[i], np.sqrt(variance[i])).cdf).pvalue > 1e-6


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_noise_follows_its_prior(prior, backend):
    g = DifferentiableGenerator(2, 1, prior=prior, backend=backend)
    z = g.draw_latent(20_000, Generator(0, backend))
    cdf = stats.norm.cdf if prior == "normal" else stats.uniform(-1.0, 2.0).cdf
    assert stats.kstest(to_numpy(z)[:, 0], cdf).pvalue > 1e-6
    exact = stats.norm.logpdf if prior == "normal" else stats.uniform(-1.0, 2.0).logpdf
    np.testing.assert_allclose(to_numpy(g.log_prior(z))[:9], exact(to_numpy(z)[:9, 0]), rtol=1e-5)
    assert str(g.log_prior(z).dtype) == "float32"


def test_the_density_of_a_net_integrates_to_one():
    """x = s(W z + b) of uniform noise: a grid of midpoints over the unit square, where density has jumps."""
    g = DifferentiableGenerator(2, 2, [("dense", 2), "sigmoid"], "uniform", dtype="float64")
    g.params["generator/0/W"][...] = [[1.0, 0.4], [-0.3, 0.8]]
    line = (np.arange(600) + 0.5) / 600
    x = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    with np.errstate(divide="ignore"):
        assert np.exp(g.log_prob(x)).mean() == pytest.approx(1.0, abs=5e-3)
        assert g.log_prob(np.array([[1.5, 0.5], [0.5, 0.0]])).tolist() == [-np.inf, -np.inf]
        assert g.log_prob(np.array([[0.999, 0.5]]))[0] == -np.inf


def test_images_are_flat_rows_outside():
    layers = [("dense", 8), ("reshape", (2, 2, 2)), ("conv2d", 1, 1), "sigmoid"]
    g = DifferentiableGenerator(4, 3, layers, seed=0)
    x, cache = g.forward(g.draw_latent(5, Generator(0)))
    assert x.shape == (5, 4)
    dz, grads = g.backward(np.ones_like(x), cache)
    assert dz.shape == (5, 3)
    assert grads.shapes == g.params.shapes


def test_generating_is_pure_and_row_by_row(backend):
    g = DifferentiableGenerator(3, 2, seed=0, backend=backend)
    before, z = to_numpy(g.params.buffer).copy(), g.draw_latent(4, Generator(0, backend))
    x = to_numpy(g.generate(z))
    for i in range(4):
        np.testing.assert_allclose(to_numpy(g.generate(z[i : i + 1])), x[i : i + 1], rtol=1e-5, atol=1e-6)
    assert g.generate(z[:0]).shape == (0, 3)
    np.testing.assert_array_equal(to_numpy(g.params.buffer), before)
    double = g.to(backend="numpy", dtype="float64").generate(to_numpy(z).astype("float64"))
    np.testing.assert_allclose(x, double, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", [GMMN(3, 2, (4,), "sigmoid", seed=0), affine(0)], ids=["GMMN", "affine"])
def test_saved_and_loaded_to_the_bit(model, tmp_path):
    model.save(tmp_path / "g.safetensors")
    again = minidgm.load(tmp_path / "g.safetensors")
    assert repr(again) == repr(model)
    np.testing.assert_array_equal(again.sample(3, rng=0), model.sample(3, rng=0))


def test_refusals():
    with pytest.raises(ValueError, match=r"puts out rows of \[5\], expected 3 numbers\nlayer"):
        DifferentiableGenerator(3, 2, [("dense", 5)])
    with pytest.raises(ValueError, match="did you mean 'normal'"):
        DifferentiableGenerator(3, 2, prior="norml")
    with pytest.raises(ValueError, match="n_latent"):
        DifferentiableGenerator(3, 0)
    with pytest.raises(IntractableError, match=r"maps 2 numbers to 3; evaluation.parzen"):
        DifferentiableGenerator(3, 2).log_prob(np.zeros((1, 3), "float32"))
    with pytest.raises(IntractableError, match="has no inverse"):
        DifferentiableGenerator(2, 2, [("dense", 2), "relu"]).log_prob(np.zeros((1, 2), "float32"))
    with pytest.raises(IntractableError, match="maps all negative numbers to 0"):
        DifferentiableGenerator(2, 2, [("leaky_relu", 0.0)]).log_prob(np.zeros((1, 2), "float32"))
    with pytest.raises(IntractableError, match=r"maps \[2\] to \[4\]"):
        DifferentiableGenerator(2, 2, [("dense", 4), ("dense", 2)]).log_prob(np.zeros((1, 2), "float32"))
    with pytest.raises(DataError, match=r"z has shape \(1, 3\)"):
        DifferentiableGenerator(2, 2).generate(np.zeros((1, 3)))
    with pytest.raises(DataError, match="NaN"):
        affine(0).log_prob(np.array([[np.nan, 0.0]]))
    with pytest.raises(DataError, match="singular"):
        AffineGenerator(2, dtype="float64").match(np.ones((5, 2)))
