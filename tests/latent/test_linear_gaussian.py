"""The linear-Gaussian VAE: exact densities, the maximum of the likelihood, and training that reaches it."""

from __future__ import annotations

import numpy as np
import pytest

from minidgm import LinearGaussianVAE, optim
from minidgm.backend import asarray, to_numpy
from minidgm.checks import check_model
from minidgm.errors import DataError


def data(n=400, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2)) @ rng.normal(size=(2, 5)) + 0.3 * rng.normal(size=(n, 5)) + 1.0


def drawn(backend="numpy", dtype="float64", seed=0):
    model = LinearGaussianVAE(5, 2, backend=backend, dtype=dtype)
    values = 0.7 * np.random.default_rng(seed).normal(size=model.params.size)
    model.params.buffer[...] = asarray(values, backend, dtype)
    return model


def test_identities():
    names = {result.name for result in check_model(LinearGaussianVAE, max_examples=8).results}
    assert {"normalisation", "samples follow the density", "gap of the bound"} <= names
    assert "expected path gradient" in names
    check_model(LinearGaussianVAE(4, 3, dtype="float64"), ["31", "28"], max_examples=4)


def test_the_density_is_that_of_its_covariance(backend):
    model, x = drawn(), data(6)
    W, s2 = model.params["decoder/0/W"], np.exp(model.params["decoder/1/log_variance"])
    C, r = W.T @ W + s2 * np.eye(5), x - model.params["decoder/0/b"]
    right = -0.5 * ((r @ np.linalg.inv(C)) * r).sum(1) - 0.5 * np.linalg.slogdet(2 * np.pi * C)[1]
    np.testing.assert_allclose(model.log_prob(x), right, rtol=1e-12)
    there = drawn(backend, "float32")
    np.testing.assert_allclose(to_numpy(there.log_prob(asarray(x, backend))), right, rtol=1e-4)
    np.testing.assert_allclose(to_numpy(there.elbo(x)), model.elbo(x), rtol=1e-4)
    mean = to_numpy(there.exact_posterior(asarray(x, backend, "float32")).mean)
    np.testing.assert_allclose(mean, r @ np.linalg.inv(C) @ W.T, atol=1e-4)


def test_at_the_maximum_the_bound_is_tight_and_nothing_moves():
    X = data()
    model = LinearGaussianVAE(5, 2, dtype="float64").maximize_likelihood(X)
    np.testing.assert_allclose(model.elbo(X), model.log_prob(X), rtol=1e-12)
    np.testing.assert_allclose(model.log_prob_estimate(X, 0, 3), model.log_prob(X), rtol=1e-10)
    np.testing.assert_allclose(model.elbo(X, 0, 2000).mean(), model.log_prob(X).mean(), atol=0.02)
    w = np.full((1, len(X)), 1.0 / len(X))
    nodes, masses = np.polynomial.hermite_e.hermegauss(3)
    total = 0.0
    for i, j in np.ndindex(3, 3):
        noise = np.tile([nodes[i], nodes[j]], (1, len(X), 1))
        p = masses[i] * masses[j] / (2 * np.pi)
        total = total + p * model.path_gradient(X, noise, w).buffer
    np.testing.assert_allclose(total, 0.0, atol=1e-9)


def test_training_reaches_the_exact_likelihood():
    """To 1e-3 nats, as probabilistic principal components have it in closed form."""
    X = data()
    best = LinearGaussianVAE(5, 2, dtype="float64").maximize_likelihood(X)
    model = LinearGaussianVAE(5, 2, dtype="float64", seed=0)
    rate = optim.schedules.Linear(0.03)
    model.fit(X, optimizer=optim.Adam(rate), epochs=2500, batch_size=len(X))
    assert best.log_prob(X).mean() - 1e-3 < model.log_prob(X).mean() <= best.log_prob(X).mean() + 1e-9
    assert model.elbo(X).mean() > best.elbo(X).mean() - 2e-3


def test_bad_input():
    with pytest.raises(DataError, match="no noise in 2 columns"):
        LinearGaussianVAE(2, 2).maximize_likelihood(np.eye(2))
    with pytest.raises(DataError, match="within 1 dimensions"):
        LinearGaussianVAE(3, 1, dtype="float64").maximize_likelihood(np.array([[0.0, 0, 0], [1.0, 0, 0]]))
    LinearGaussianVAE(3, 1, seed=0).fit(np.zeros((4, 3)), epochs=1)
    with pytest.raises(DataError, match="rows of digits"):
        from minidgm import datasets

        LinearGaussianVAE.arguments_for(datasets.digits(), {"n_visible": 3})
