"""Variational SML: the in-place path against the readable one, training, state, and the strict device."""

import numpy as np
import pytest

from minidgm import DBM, RBM, Generator, datasets, optim
from minidgm.backend import asarray, to_numpy
from minidgm.checks.strict import count_host_reads
from minidgm.objectives import MultiPrediction, PersistentContrastiveDivergence, VariationalSML


def drawn(sizes, visible="bernoulli", backend="numpy", dtype="float64", **options):
    dbm = DBM(list(sizes), visible, backend=backend, dtype=dtype, **options)
    values = 0.4 * np.random.default_rng(1).normal(size=dbm.params.size)
    dbm.params.buffer[...] = asarray(values, backend, dtype)
    return dbm


@pytest.mark.parametrize("sizes", [(5, 4), (5, 4, 3), (5, 4, 3, 2), (5, 4, 3, 2, 3)])
@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("rao_blackwell", [True, False])
def test_written_out_steps_are_the_readable_ones(backend, sizes, visible, rao_blackwell):
    """Ragged batches, two sweeps a step, centred: gradient, chains and offsets agree."""
    dbm = drawn(sizes, visible, backend, centered=True)
    v = asarray(np.random.default_rng(0).integers(0, 2, size=(5, 5)), backend, "float64")
    ends = []
    for plain in (False, True):
        objective, rng = VariationalSML(2, 7, 6, rao_blackwell), Generator(3, backend)
        if plain:
            objective._in_place = objective._plain
        for n in (5, 2, 4):
            grads, metrics = objective.gradient(dbm, v[:n], rng)
        found = [grads.buffer, metrics["mean_gap"], *objective.state.values()]
        ends.append([to_numpy(x).copy() if hasattr(x, "shape") else x for x in found])
    for left, right in zip(*ends, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-12)


class Reworked(DBM):
    """A subclass that overrides a map: the readable path speaks for it."""

    def field(self, layer, states):
        return super().field(layer, states)


def test_subclasses_take_the_readable_path():
    v = np.eye(4, dtype="float32")
    ends = []
    for kind in (DBM, Reworked):
        objective = VariationalSML(n_chains=5)
        ends.append(objective.gradient(kind([4, 3, 2], seed=0), v, Generator(0))[0].buffer.copy())
    np.testing.assert_allclose(*ends, atol=1e-6)


def test_no_host_reads_in_a_step():
    for visible in ("bernoulli", "gaussian"):
        dbm = drawn((4, 3, 2), visible, "strict", "float32", centered=True)
        v = asarray(np.eye(4), "strict", "float32")
        for objective in (VariationalSML(n_chains=3), MultiPrediction(2)):
            rng, optimizer = Generator(0, "strict"), optim.SGD(0.01)
            optimizer.init(dbm.params, 10)
            objective.gradient(dbm, v, rng)
            with count_host_reads() as reads:
                grads, _ = objective.gradient(dbm, v, rng)
                optimizer.step(dbm.params, grads)
            assert reads.count == 0


@pytest.mark.parametrize("centered", [True, False])
def test_training_makes_the_data_likelier(centered):
    X = np.asarray(datasets.bars_and_stripes(2).train, dtype="float32")
    dbm = DBM([X.shape[1], 6, 4], seed=0, centered=centered)
    before = dbm.log_prob(X).mean()
    objective = VariationalSML(n_chains=50)
    dbm.fit(X, objective=objective, optimizer=optim.Adam(optim.Linear(0.05)), epochs=300, seed=1)
    assert dbm.log_prob(X).mean() > before + 0.2
    assert (dbm.elbo(X) <= dbm.log_prob(X) + 1e-4).all()


def test_gaussian_machines_learn_the_scale():
    """Two clusters of unit 0: the mean log-likelihood passes that of one fitted normal."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(-2, 0.5, size=(200, 1)), rng.normal(2, 0.5, size=(200, 1))])
    X = X.astype("float32")
    dbm = DBM([1, 3, 2], "gaussian", seed=0, centered=True)
    objective = VariationalSML(n_chains=200)
    dbm.fit(X, objective=objective, optimizer=optim.Adam(optim.Linear(0.02)), epochs=150, seed=0)
    one_normal = -0.5 * np.log(2 * np.pi * np.e * X.var())
    assert dbm.log_prob(X).mean() > one_normal + 0.2


def test_means_of_real_units_keep_the_expectation():
    """20,000 chains, the same draws: means and draws differ by chance alone, the variance is not left out."""
    dbm, n = drawn((2, 2, 2), "gaussian"), 20_000
    found, start = [], None
    for rao_blackwell in (True, False):
        objective = VariationalSML(n_chains=n, rao_blackwell=rao_blackwell)
        found.append(objective.gradient(dbm, np.zeros((1, 2)), Generator(5))[0].copy())
        start = objective.state
    spread = (0.5 * np.exp(dbm.params["visible_log_precision"]) * start["v"] ** 2).std(axis=0)
    gap = found[0]["visible_log_precision"] - found[1]["visible_log_precision"]
    assert (abs(gap) < 6.0 * spread / np.sqrt(n)).all()
    assert (6.0 * spread / np.sqrt(n) < 0.1).all()


def test_state_resumes_to_the_bit():
    dbm = drawn((4, 3, 2), dtype="float32", centered=True)
    v = np.eye(4, dtype="float32")
    first, second = VariationalSML(n_chains=5), VariationalSML(n_chains=5)
    rng = Generator(0)
    first.gradient(dbm, v, rng)
    second.set_state(first.state)
    state = rng.state()
    left = first.gradient(dbm, v, rng)[0].buffer.copy()
    rng.set_state(state)
    np.testing.assert_array_equal(left, second.gradient(dbm, v, rng)[0].buffer)


def test_persistent_contrastive_divergence_trains_it_too():
    """Small machines by the exact posterior, large ones by mean field: `two_phase` serves both."""
    for sizes in ([4, 3, 2], [4, 9, 9]):
        dbm = DBM(sizes, seed=0)
        grads, _ = PersistentContrastiveDivergence(n_chains=6).gradient(
            dbm, np.eye(4, dtype="float32"), Generator(0)
        )
        assert np.isfinite(grads.buffer).all()


def test_sparsity_moves_the_biases_by_the_slope_of_the_penalty():
    """The difference that the penalty makes, against differences of the means with the fields held."""
    dbm = drawn((4, 3, 2))
    v = np.eye(4)
    found = []
    for cost in (0.0, 0.7):
        objective = VariationalSML(n_chains=3, sparsity_target=0.2, sparsity_cost=cost)
        found.append(objective.gradient(dbm, v, Generator(0))[0].copy())
    mu = dbm.mean_field(v, None, 10).mean
    states, step = [v, *dbm.layers(mu)], 1e-6
    for layer in (1, 2):

        def penalty(shift, layer=layer):
            new = 1.0 / (1.0 + np.exp(-np.log(states[layer] / (1.0 - states[layer])) - shift))
            return 0.7 * (new.mean(axis=0) - 0.2) ** 2

        slope = (penalty(step) - penalty(-step)) / (2 * step)
        np.testing.assert_allclose(found[1][f"b{layer}"] - found[0][f"b{layer}"], slope, atol=1e-8)
    np.testing.assert_array_equal(found[1]["W2"], found[0]["W2"])


def test_refusals():
    with pytest.raises(TypeError, match=r"VariationalSML cannot train this RBM"):
        VariationalSML().gradient(RBM(4, 2), np.eye(4, dtype="float32"), Generator(0))
    with pytest.raises(ValueError, match="n_chains must be an integer of at least 1"):
        VariationalSML(n_chains=0)
    with pytest.raises(ValueError, match=r"missing must be a probability in \(0, 1\], got 1.5"):
        MultiPrediction(missing=1.5)
    objective = VariationalSML(n_chains=5)
    objective.gradient(DBM([4, 3, 2]), np.eye(4, dtype="float32"), Generator(0))
    with pytest.raises(ValueError, match=r"call reset\(\)"):
        objective.gradient(DBM([4, 3, 3]), np.eye(4, dtype="float32"), Generator(0))
