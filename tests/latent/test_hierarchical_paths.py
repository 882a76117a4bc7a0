"""Gradients through layers of codes: codes weighed one by one, squared weights unbiased, no host reads."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest

from minidgm import VAE, Generator, HierarchicalVAE
from minidgm.backend import asarray, to_numpy
from minidgm.checks.exhaustive import Replay
from minidgm.checks.oracle import gradient
from minidgm.checks.strict import count_host_reads
from minidgm.latent import nets
from minidgm.objectives import ImportanceWeighted, Reparameterization

X = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
MADE = {
    "elbo": lambda: Reparameterization(),
    "sampled": lambda: Reparameterization(3, "sampled"),
    "path": lambda: Reparameterization(2, "path"),
    "free": lambda: Reparameterization(free_bits=0.1, warm_up=5, weight_decay=0.01),
    "iwae": lambda: ImportanceWeighted(4),
    "dreg": lambda: ImportanceWeighted(4, doubly_reparameterized=True),
}


def make(n_codes=(2, 2, 1), backend="numpy", dtype="float64", seed=0, scale=0.6):
    pairs = nets.layered(3, n_codes, [(3,)] * len(n_codes))
    model = HierarchicalVAE(*pairs, n_codes, backend=backend, dtype=dtype)
    values = scale * np.random.default_rng(seed).normal(size=model.params.size)
    model.params.buffer[...] = asarray(values, backend, dtype)
    return model


@pytest.mark.parametrize("kind", MADE)
def test_backends_and_precisions_agree_with_noise_replayed(kind, backend):
    right, right_metrics = MADE[kind]().gradient(make(), X, Replay(1))
    there = make(backend=backend, dtype="float32")
    left, metrics = MADE[kind]().gradient(there, asarray(X, backend, "float32"), Replay(1, backend))
    np.testing.assert_allclose(to_numpy(left.buffer), right.buffer, rtol=3e-4, atol=3e-5)
    for name, value in right_metrics.items():
        np.testing.assert_allclose(to_numpy(metrics[name]), value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", MADE)
def test_a_step_reads_nothing_from_the_device(kind):
    objective, model, rng = MADE[kind](), make(backend="strict", dtype="float32"), Generator(0, "strict")
    batch = asarray(X, "strict", "float32")
    objective.gradient(model, batch, rng)
    with count_host_reads() as reads:
        objective.gradient(model, batch, rng)
    assert reads.count == 0


@pytest.mark.parametrize("kl", ["analytic", "sampled"])
def test_each_code_has_a_weight_of_its_own(kl):
    """Free bits leave codes out one by one: the gradient of likelihood - sum_j beta_j log q_j / p_j."""
    model, rng = make(), np.random.default_rng(1)
    noise, w, beta = rng.normal(size=(2, 3, 5)), rng.normal(size=(2, 3)), rng.random(5)

    def each(m, eps):
        """log q / p of every code, [n, 5], and log p(x | z_1), [n], out of the densities alone."""
        codes = m.split(m.recognition(X).at(eps))
        found = []
        for layer, (z, noise_here) in enumerate(zip(codes, m.split(eps), strict=True), 1):
            q = m.up(layer, codes[layer - 2] if layer > 1 else X)[0]
            log_q = -0.5 * (noise_here**2 + q.log_variance)
            if layer < m.depth:
                p = m.down(layer + 1, codes[layer])[0]
                found.append(log_q + 0.5 * ((z - p.mean) ** 2 / p.variance + p.log_variance))
            else:
                found.append(q.kl_terms() if kl == "analytic" else log_q + 0.5 * z**2)
        return found, m.log_joint(X, m.recognition(X).at(eps)) - m.log_prior(m.recognition(X).at(eps))

    def total(m):
        value = 0.0
        for s in range(2):
            terms, likelihood = each(m, noise[s])
            value = value + (w[s] * likelihood).sum()
            for term, part in zip(terms, m.split(beta), strict=True):
                value = value - (w[s][:, None] * part * term).sum()
        return value

    left, right = model.path_gradient(X, noise, w, kl, beta), gradient(model, total)
    for name in right:
        np.testing.assert_allclose(left[name], right[name], atol=1e-9, err_msg=name)
    terms = np.mean([np.concatenate(each(model, row)[0], axis=1) for row in noise], axis=0)
    np.testing.assert_allclose(model.paths(X, noise).kl_terms(kl), terms, atol=1e-12)


def test_squared_weights_have_the_same_mean():
    """Over a grid of the noise of both draws, both gradients of the bound of two draws average to one."""
    model = make((1, 1), scale=0.2)
    nodes, masses = np.polynomial.hermite_e.hermegauss(11)
    grid = np.asarray(list(itertools.product(nodes, repeat=4)))
    mass = np.asarray([np.prod(m) for m in itertools.product(masses / masses.sum(), repeat=4)])
    noise = np.ascontiguousarray(grid.reshape(-1, 2, 2).transpose(1, 0, 2))
    paths = model.paths(np.tile(X[:1], (len(grid), 1)), noise)
    w = np.exp(paths.log_weights)
    shares = w / w.sum(axis=0)
    plain = paths.gradient(shares * mass, "sampled")
    doubly = paths.gradient(shares * mass, "path", share=shares)
    assert abs(plain.buffer).max() > 0.05
    np.testing.assert_allclose(doubly.buffer, plain.buffer, atol=2e-6)
    path = paths.gradient(0.5 * np.ones_like(shares) * mass, "path")
    assert abs(path.buffer - plain.buffer).max() > 1e-3


def test_what_draws_offer():
    model, noise = make(), np.random.default_rng(0).normal(size=(2, 3, 5))
    paths = model.paths(X, noise)
    assert paths.z.shape == (2, 3, 5)
    for s in range(2):
        z = paths.z[s]
        np.testing.assert_allclose(z, model.recognition(X).at(noise[s]), atol=1e-12)
        np.testing.assert_allclose(paths.log_joint[s], model.log_joint(X, z), atol=1e-12)
        np.testing.assert_allclose(paths.log_recognition[s], model.log_recognition(X, z), atol=1e-12)
    np.testing.assert_array_equal(paths.recognition.mean, model.transform(X))


def test_gradients_overwrite_what_they_are_given():
    """Every parameter is written, those that a density does not know with zeros."""
    model, rng = make(), np.random.default_rng(0)
    paths, w = model.paths(X, rng.normal(size=(2, 3, 5))), rng.normal(size=(2, 3))
    for found in (paths.gradient, paths.log_joint_gradient, paths.log_recognition_gradient):
        stale = model.zero_gradient()
        stale.buffer[...] = np.nan
        np.testing.assert_array_equal(found(w, out=stale).buffer, found(w).buffer)


def test_memory_of_many_draws():
    """A second layer of codes adds arrays as wide as codes, none as wide as the rows; nothing stays."""
    encoders, decoders = nets.layered(784, (20, 10), [(20,), (20,)])
    x, rng, objective = np.zeros((20, 784), dtype="float32"), Generator(0), ImportanceWeighted(50)
    peaks = []
    for model in (
        VAE(encoders[0], decoders[0], 20, seed=0),
        HierarchicalVAE(encoders, decoders, (20, 10), seed=0),
    ):
        objective.gradient(model, x, rng)
        tracemalloc.start()
        for _ in range(3):
            objective.gradient(model, x, rng)
        kept, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        peaks.append(peak)
        assert kept < 1e5
    row = 20 * 50 * 784 * 4
    assert peaks[1] < peaks[0] + 1.5 * row
