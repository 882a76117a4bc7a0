"""Likelihoods: hot paths against the traced densities, draws against them too."""

from __future__ import annotations

import numpy as np
import pytest
from autograd import grad

from minidgm import Generator
from minidgm.backend import asarray, to_numpy
from minidgm.latent.likelihoods import likelihood

FAMILIES = {
    "bernoulli": likelihood("bernoulli", {}),
    "gaussian": likelihood("gaussian", {}),
    "fixed": likelihood("gaussian", {"variance": 0.3}),
    "categorical": likelihood("categorical", {"n_classes": 2}),
    "discretized_logistic": likelihood("discretized_logistic", {"levels": 3}),
}
X = np.array([[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0]])


def output(family, scale=2.0):
    return scale * np.random.default_rng(0).normal(size=(2, 4 * family.outputs))


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_the_hot_path_is_the_density(kind, scale, backend):
    family, w = FAMILIES[kind], np.array([0.5, -2.0])
    a = output(family, scale)
    if family.outputs == 2:
        a[:, 4:] = np.tanh(a[:, 4:])
    arrays = [asarray(value, backend, "float64") for value in (a, X, w)]
    log_p, cache = family.forward(arrays[0], arrays[1])
    np.testing.assert_allclose(to_numpy(log_p), family.log_prob(a, X), rtol=1e-10)
    found = family.backward(arrays[2], cache)
    right = grad(lambda a: (w * family.log_prob(a, X)).sum())(a)
    np.testing.assert_allclose(to_numpy(found), right, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(to_numpy(arrays[0]), a)
    np.testing.assert_allclose(
        to_numpy(family.distribution(arrays[0]).log_prob(arrays[1])), family.log_prob(a, X), rtol=1e-10
    )


@pytest.mark.parametrize("kind", FAMILIES)
def test_draws_have_the_mean(kind, backend):
    family, n = FAMILIES[kind], 20_000
    a = np.tile(output(family, 0.5)[:1], (n, 1))
    found = family.distribution(asarray(a, backend, "float32"))
    draws, mean = to_numpy(found.sample(Generator(0, backend))), to_numpy(found.mean)
    assert draws.shape == mean.shape == (n, 4)
    # Five standard errors: false alarms below 1e-6 for each of 4 numbers and 5 families.
    error = 5.5 * draws.std(axis=0) / np.sqrt(n)
    assert (abs(draws.mean(axis=0) - mean[0]) < error).all()


def test_masses_of_bins_add_up():
    family = likelihood("discretized_logistic", {"levels": 5})
    a = np.tile([[0.3, -1.0]], (5, 1))
    grid = np.arange(5)[:, None] / 4
    p = np.exp(family.log_prob(a, grid))
    np.testing.assert_allclose(p.sum(), 1.0, rtol=1e-12)
    np.testing.assert_allclose(family.distribution(a).mean[0, 0], (p * grid[:, 0]).sum(), rtol=1e-12)
