"""Persistent chains moved by HMC: unbiased at the model, resumable to the bit, no host reads, warnings."""

import warnings

import numpy as np
import pytest
from scipy.stats import norm

from minidgm import RBM, Generator, MeanCovarianceRBM, MeanProductOfStudentT
from minidgm.backend import asarray, to_numpy
from minidgm.checks.exhaustive import Replay
from minidgm.checks.strict import count_host_reads
from minidgm.evaluation import exact_samples
from minidgm.objectives import ExactLikelihood, HybridPersistent

MODELS = pytest.mark.parametrize("kind", [MeanCovarianceRBM, MeanProductOfStudentT])


def drawn(kind=MeanCovarianceRBM, n_factors=None, backend="numpy", dtype="float64"):
    model = kind(2, 1, 2, n_factors, dtype="float64", seed=0)
    rng = np.random.default_rng(5)
    for name, value in model.params.items():
        x = 0.6 * rng.normal(size=value.shape)
        value[...] = np.abs(x) if name == "P" else x
    return model.to(backend, dtype)


def test_chains_at_the_model_estimate_the_likelihood_gradient():
    """20,000 chains started exactly at p, one trajectory: every entry within its error; 1e-6 in all.

    The standard errors are those of dF/dtheta over the chains, at most three times as large for correlation.
    """
    model, m = drawn(), 20_000
    batch = Generator(1).normal((7, 2), dtype="float64")
    objective = HybridPersistent(n_chains=m, n_leapfrog=5, step_size=0.8)
    objective.gradient(model, batch, Generator(2))
    state = objective.state
    state["v"], state["step_size"] = exact_samples(model, m, Generator(3)), np.full(1, 0.8)
    objective.set_state(state)
    found, metrics = objective.gradient(model, batch, Generator(4))
    assert 0.3 < metrics["acceptance"] < 0.99
    exact, _ = ExactLikelihood().gradient(model, batch, None)
    chains = objective.state["v"]
    rows = np.stack([model.free_energy_gradient(chains[i : i + 1]).buffer.copy() for i in range(2000)])
    error = rows.std(axis=0) / np.sqrt(m)
    z = np.abs(found.buffer - exact.buffer) / error
    assert (z < norm.isf(1e-6 / 2 / len(z))).all(), z


@MODELS
@pytest.mark.parametrize("n_factors", [None, 3])
def test_backends_agree_and_nothing_is_read(kind, n_factors):
    X = Generator(1).normal((5, 2), dtype="float64")
    results = []
    for backend in ("numpy", "strict"):
        model, objective = drawn(kind, n_factors, backend), HybridPersistent(n_chains=4, n_leapfrog=3)
        batch = asarray(X, backend, "float64")
        objective.gradient(model, batch, Replay(0, backend, False))
        rng = Replay(1, backend, False)
        with count_host_reads() as reads:
            grads, metrics = objective.gradient(model, batch, rng)
            model.project()
        assert reads.count == 0, reads
        results.append((to_numpy(grads.buffer), to_numpy(objective.state["v"]), float(metrics["step_size"])))
    for left, right in zip(*results, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-10, atol=1e-12)


def test_the_weighted_gradient_is_written_out():
    """The gradient = mean dF(batch) - mean dF(chains), ragged numbers of both."""
    model, objective = drawn(n_factors=3), HybridPersistent(n_chains=11, n_leapfrog=2)
    batch = Generator(1).normal((5, 2), dtype="float64")
    grads, metrics = objective.gradient(model, batch, Generator(0))
    data = model.free_energy_gradient(batch).buffer / 5
    chains = model.free_energy_gradient(objective.state["v"]).buffer / 11
    np.testing.assert_allclose(grads.buffer, data - chains, atol=1e-12)
    gap = np.abs(batch.mean(axis=0) - objective.state["v"].mean(axis=0)).mean()
    assert metrics["mean_gap"] == pytest.approx(gap)


@MODELS
def test_a_resumed_run_has_the_same_bits(kind, tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 2)).astype("float32")

    def train(epochs, **options):
        model = drawn(kind, 3, dtype="float32")
        objective = HybridPersistent(n_chains=5, n_leapfrog=4)
        model.fit(X, objective=objective, epochs=epochs, batch_size=25, **options)
        return model, objective

    through, one = train(4)
    train(2, checkpoint=tmp_path / "run")
    resumed, two = train(4, checkpoint=tmp_path / "run", resume=True)
    np.testing.assert_array_equal(through.params.buffer, resumed.params.buffer)
    for name, value in one.state.items():
        np.testing.assert_array_equal(value, two.state[name])
    assert set(one.state) == {"v", "step_size"}


def test_rejecting_everything_warns_after_the_epoch():
    X = np.random.default_rng(0).normal(size=(40, 2)).astype("float32")
    model = MeanCovarianceRBM(2, 1, 2, seed=0)
    with pytest.warns(RuntimeWarning, match=r"chains of HybridPersistent rejected everything .* step size"):
        model.fit(X, objective=HybridPersistent(step_size=1e8), epochs=1, batch_size=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, epochs=2, batch_size=20)


def test_other_models_and_chains_are_refused():
    with pytest.raises(TypeError, match=r"HybridPersistent cannot train this RBM: it has no free_energy_in"):
        HybridPersistent().gradient(RBM(2, 2), np.zeros((1, 2), "float32"), Generator(0))
    objective = HybridPersistent(n_chains=4)
    objective.gradient(drawn(), np.zeros((2, 2)), Generator(0))
    other = MeanCovarianceRBM(3, 1, 2, dtype="float64", seed=0)
    with pytest.raises(ValueError, match=r"the chains have shape \(4, 2\), .* \(4, 3\): call reset"):
        objective.gradient(other, np.zeros((2, 3)), Generator(0))
    for name, value in {"target": 1.0, "step_size": 0.0, "n_leapfrog": 0, "k": 0}.items():
        with pytest.raises(ValueError, match=name):
            HybridPersistent(**{name: value})


def test_chains_begin_anew():
    """A chain far away returns to the containing Gaussian with the given probability, others stay."""
    model = drawn()
    objective = HybridPersistent(n_chains=500, n_leapfrog=1, step_size=1e-6, restart=0.3)
    batch = Generator(1).normal((5, 2), dtype="float64")
    objective.gradient(model, batch, Generator(0))
    state = objective.state
    state["v"], state["step_size"] = np.full((500, 2), 1e3), np.full(1, 1e-9)
    objective.set_state(state)
    objective.gradient(model, batch, Generator(2))
    anew = (np.abs(objective.state["v"]) < 100.0).all(axis=1)
    assert 0.2 < anew.mean() < 0.4  # 4.9 standard deviations each way: one seed in a million
    np.testing.assert_allclose(objective.state["v"][~anew], 1e3, rtol=1e-3)


def test_more_trajectories_and_sparsity():
    model = drawn()
    plain = HybridPersistent(n_chains=4, k=2)
    sparse = HybridPersistent(n_chains=4, k=2, sparsity_target=0.1, sparsity_cost=0.5, weight_decay=0.1)
    batch = Generator(1).normal((5, 2), dtype="float64")
    before = plain.gradient(model, batch, Generator(0))[0].copy()
    after = sparse.gradient(model, batch, Generator(0))[0]
    assert (before["c"] != after["c"]).all()
    np.testing.assert_allclose(after["R"], before["R"] + 0.1 * model.params["R"])
    np.testing.assert_array_equal(before["b"], after["b"])
    with pytest.raises(ValueError, match="sparsity needs a bias for each hidden unit"):
        sparse.gradient(drawn(MeanProductOfStudentT), batch, Generator(0))
