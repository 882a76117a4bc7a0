"""Objectives through draws: replayed noise, unbiasedness by quadrature, warm-up, free bits, collapse."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest

from minidgm import RBM, VAE, Generator, LinearGaussianVAE, SigmoidBeliefNet, registry
from minidgm.backend import asarray, to_numpy
from minidgm.checks.exhaustive import Replay
from minidgm.checks.strict import count_host_reads
from minidgm.objectives import ImportanceWeighted, Reinforce, Reparameterization, fitting
from minidgm.objectives.reparameterization import Collapse, active_units

X = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
MADE = {
    "elbo": lambda: Reparameterization(),
    "sampled": lambda: Reparameterization(3, "sampled"),
    "path": lambda: Reparameterization(2, "path"),
    "free": lambda: Reparameterization(free_bits=0.1, warm_up=5, weight_decay=0.01),
    "iwae": lambda: ImportanceWeighted(4),
    "dreg": lambda: ImportanceWeighted(4, doubly_reparameterized=True),
}


def model(backend="numpy", dtype="float64", seed=0, scale=0.8):
    vae = VAE.small(backend=backend, dtype=dtype)
    values = scale * np.random.default_rng(seed).normal(size=vae.params.size)
    vae.params.buffer[...] = asarray(values, backend, dtype)
    return vae


@pytest.mark.parametrize("kind", MADE)
def test_backends_and_precisions_agree_with_noise_replayed(kind, backend):
    right, right_metrics = MADE[kind]().gradient(model(), X, Replay(1))
    there = model(backend, "float32")
    before = to_numpy(there.params.buffer).copy()
    left, metrics = MADE[kind]().gradient(there, asarray(X, backend, "float32"), Replay(1, backend))
    for name in right:
        np.testing.assert_allclose(to_numpy(left[name]), right[name], rtol=2e-4, atol=2e-5)
    for name, value in right_metrics.items():
        np.testing.assert_allclose(to_numpy(metrics[name]), value, rtol=1e-4, atol=1e-5)
        assert metrics[name].shape == ()
    np.testing.assert_array_equal(to_numpy(there.params.buffer), before)


@pytest.mark.parametrize("kind", MADE)
def test_a_step_reads_nothing_from_the_device(kind):
    objective, vae, rng = MADE[kind](), model("strict", "float32"), Generator(0, "strict")
    batch = asarray(X, "strict", "float32")
    objective.gradient(vae, batch, rng)
    with count_host_reads() as reads:
        objective.gradient(vae, batch, rng)
    assert reads.count == 0


def quadrature(n_draws, n_nodes=24):
    """Noise [m, n_draws, 1, 1] and masses [m] for one code and ``n_draws`` draws."""
    nodes, masses = np.polynomial.hermite_e.hermegauss(n_nodes)
    grid = list(itertools.product(range(n_nodes), repeat=n_draws))
    noise = np.array([[nodes[i] for i in index] for index in grid])
    weights = np.array([np.prod([masses[i] for i in index]) for index in grid])
    return noise[:, :, None, None], weights / weights.sum()


def importance_gradient(vae, x, noise, doubly):
    class Fixed(Replay):
        def normal(self, shape, dtype="float32", out=None):
            return noise.reshape(shape)

    objective = ImportanceWeighted(noise.shape[0], doubly_reparameterized=doubly)
    return objective.gradient(vae, x, Fixed())[0].buffer.copy()


def test_the_doubly_reparameterized_gradient_has_the_same_expectation_and_less_variance():
    vae = LinearGaussianVAE(2, 1, dtype="float64")
    vae.params.buffer[...] = 0.4 * np.random.default_rng(0).normal(size=vae.params.size)
    x = np.array([[0.5, -0.3]])
    moments = []
    for doubly in (False, True):
        noise, masses = quadrature(2)
        found = np.stack([importance_gradient(vae, x, row, doubly) for row in noise])
        mean = masses @ found
        moments.append((mean, masses @ (found - mean) ** 2))
    np.testing.assert_allclose(moments[1][0], moments[0][0], atol=1e-6)
    names = [n for n in vae.params.names if n.startswith("encoder/")]
    size = sum(vae.params[n].size for n in names)
    assert moments[1][1][:size].sum() < 0.5 * moments[0][1][:size].sum()


def test_one_importance_sample_is_the_bound():
    vae = model()
    one, _ = ImportanceWeighted(1).gradient(vae, X, Replay(2))
    right, _ = Reparameterization(kl="sampled").gradient(vae, X, Replay(2))
    np.testing.assert_allclose(one.buffer, right.buffer, atol=1e-12)
    one, _ = ImportanceWeighted(1, doubly_reparameterized=True).gradient(vae, X, Replay(2))
    right, _ = Reparameterization(kl="path").gradient(vae, X, Replay(2))
    np.testing.assert_allclose(one.buffer, right.buffer, atol=1e-12)


def test_the_path_gradient_has_no_noise_at_the_posterior():
    X = np.random.default_rng(0).normal(size=(60, 3)) @ np.diag([2.0, 1.0, 0.5])
    vae = LinearGaussianVAE(3, 1, dtype="float64").maximize_likelihood(X)
    found = [Reparameterization(kl="path").gradient(vae, X, Generator(i))[0].copy() for i in (0, 1)]
    noisy = [Reparameterization(kl="sampled").gradient(vae, X, Generator(i))[0].copy() for i in (0, 1)]
    for name in ("encoder/0/W", "encoder/1/log_variance"):
        np.testing.assert_allclose(found[0][name], 0.0, atol=1e-12)
        assert abs(noisy[0][name] - noisy[1][name]).max() > 1e-3


def test_warm_up_scales_the_divergence():
    vae, objective, plain = model(), Reparameterization(warm_up=4), Reparameterization()
    for step in range(1, 7):
        vae.beta = 2.0
        grads, metrics = objective.gradient(vae, X, Replay(3))
        vae.beta = 2.0 * min(1.0, step / 4)
        right, expected = plain.gradient(vae, X, Replay(3))
        np.testing.assert_allclose(grads.buffer, right.buffer, atol=1e-12)
        np.testing.assert_allclose(metrics["loss"], expected["loss"])
        np.testing.assert_allclose(metrics["elbo"], expected["elbo"])
    assert objective.state["step"] == 6


def test_free_bits_stop_the_pressure_on_codes_below():
    vae = model(scale=0.3)
    terms = vae.recognition(X).kl_terms().mean(axis=0)
    low, high = terms.min(), terms.max()
    between, above, below = 0.5 * (low + high), 2.0 * high, 0.5 * low
    noise = Replay(4).normal((1, 3, 2), "float64")
    w = np.full((1, 3), -1.0 / 3)
    for free, kept in ((below, [1.0, 1.0]), (above, [0.0, 0.0]), (between, (terms > between).astype(float))):
        grads, metrics = Reparameterization(free_bits=free).gradient(vae, X, Replay(4))
        right = vae.path_gradient(X, noise, w, beta=np.asarray(kept))
        np.testing.assert_allclose(grads.buffer, right.buffer, atol=1e-12)
        cost = np.maximum(terms, free).sum() - terms.sum()
        np.testing.assert_allclose(metrics["loss"] + metrics["elbo"], cost)


def test_active_units_are_counted(backend):
    mean = np.zeros((100, 3))
    mean[:, 1] = np.linspace(-0.2, 0.2, 100)  # variance 0.0136
    mean[:, 2] = np.linspace(-0.1, 0.1, 100) + 5.0
    assert float(to_numpy(active_units(asarray(mean, backend, "float32")))) == 1.0


def test_collapse_warns_once_with_the_count():
    vae = VAE([("dense", 40)], [("dense", 3)], 20, seed=0)
    vae.params["encoder/0/W"][...] = 0.0
    objective = Reparameterization()
    with pytest.warns(Collapse, match=r"0\.0 of 20 latent units are active") as caught:
        vae.fit(X, objective=objective, epochs=4)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(dtype="float32").fit(X, objective=Reparameterization(), epochs=3)


def test_state_continues_to_the_same_bits():
    first, second = Reparameterization(warm_up=10), Reparameterization(warm_up=10)
    vae = model()
    for _ in range(3):
        first.gradient(vae, X, Replay(0))
    second.set_state(first.state)
    left, right = (o.gradient(vae, X, Replay(9))[0].buffer.copy() for o in (first, second))
    np.testing.assert_array_equal(left, right)


def test_bad_arguments():
    with pytest.raises(ValueError, match="k must be an integer of at least 1, got 0"):
        ImportanceWeighted(0)
    with pytest.raises(ValueError, match="unknown kl 'exact'"):
        Reparameterization(kl="exact")
    with pytest.raises(ValueError, match="free_bits must be in"):
        Reparameterization(free_bits=-1.0)
    for objective in (Reparameterization(), ImportanceWeighted(2)):
        with pytest.raises(TypeError, match=r"Objectives that fit: .*PersistentContrastiveDivergence"):
            objective.gradient(RBM(3, 2), X.astype("float32"), Generator(0))


@pytest.mark.parametrize("kind", ["VAE", "ConditionalVAE", "HierarchicalVAE", "LinearGaussianVAE"])
def test_every_estimator_that_fits_runs(kind, backend):
    """Pathwise and score-function estimators alike: what a directed model offers is enough for both."""
    vae = registry.models()[kind].small(backend=backend, seed=0)
    batch, rng = vae.sample(4, 0), Generator(0, backend)
    names = fitting(vae)
    assert {"Reparameterization", "ImportanceWeighted", "Reinforce", "ReweightedWakeSleep"} <= set(names)
    for name in names:
        grads, metrics = registry.objectives()[name]().gradient(vae, batch, rng)
        assert np.isfinite(to_numpy(grads.buffer)).all()
        assert to_numpy(grads.buffer).any()
        assert metrics


def test_discrete_codes_are_refused_with_what_fits():
    net = SigmoidBeliefNet([3, 2], seed=0)
    for objective in (Reparameterization(), ImportanceWeighted(2)):
        with pytest.raises(TypeError, match=r"its codes are discrete.*Objectives that fit: .*Reinforce"):
            objective.gradient(net, X.astype("float32"), Generator(0))


def test_the_path_gradient_varies_less_than_the_score_function():
    """On a Gaussian quadratic of ten codes, both around the same mean: the score pays for every code."""
    vae = LinearGaussianVAE(12, 10, dtype="float64", seed=0)
    x = np.random.default_rng(0).normal(size=(5, 12))
    names = [name for name in vae.params if name.startswith("encoder/")]
    found = {}
    for objective in (Reparameterization(), Reinforce("mean", normalize=False)):
        rng, drawn = Generator(0), []
        for _ in range(400):
            grads, _ = objective.gradient(vae, x, rng)
            drawn.append(np.concatenate([grads[name].ravel() for name in names]))
        found[type(objective).__name__] = np.mean(drawn[50:], axis=0), np.var(drawn[50:], axis=0)
    (path, narrow), (score, wide) = found.values()
    assert narrow.sum() < 0.25 * wide.sum()
    # Six standard errors of a mean of 350: false alarms below 1e-6.
    assert (abs(path - score) < 6 * np.sqrt((narrow + wide) / 350)).all()
