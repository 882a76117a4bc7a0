"""Deep Boltzmann machine against plain enumeration of its energy, and its mean field, samplers and files."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import chisquare, kstest

import minidgm
from minidgm import DBM, RBM, Generator, IntractableError, datasets, evaluation
from minidgm.backend import asarray, to_numpy
from minidgm.errors import DataError


def drawn(sizes=(3, 2, 2), visible="bernoulli", seed=0, scale=0.7, dtype="float64", **options):
    dbm = DBM(list(sizes), visible, dtype=dtype, **options)
    values = scale * np.random.default_rng(seed).normal(size=dbm.params.size)
    dbm.params.buffer[...] = asarray(values, dbm.backend, dtype)
    return dbm


def table(dbm):
    """Every E(v, h), by a loop over couplings."""
    p = {name: to_numpy(value) for name, value in dbm.params.items()}
    V, H = dbm.visible.states(dbm.n_visible), dbm.hidden.states(dbm.n_hidden)
    E = np.zeros((len(V), len(H)))
    for (i, v), (j, h) in itertools.product(enumerate(V), enumerate(H)):
        x = [v, *np.split(h, np.cumsum(dbm.sizes[1:-1]))]
        E[i, j] = -sum(x[k] @ p[f"b{k}"] for k in range(len(x)))
        E[i, j] -= sum(x[k - 1] @ p[f"W{k}"] @ x[k] for k in range(1, len(x)))
    return V, H, E


shapes = st.sampled_from([(3, 2), (2, 3, 2), (3, 1, 3), (2, 2, 1, 3), (2, 1, 2, 1, 2)])


@given(sizes=shapes, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_densities_and_posterior_from_the_energy_table(sizes, seed):
    dbm = drawn(sizes, seed=seed)
    V, H, E = table(dbm)
    pairs = np.repeat(V, len(H), axis=0), np.tile(H, (len(V), 1))
    np.testing.assert_allclose(dbm.energy(*pairs), E.ravel(), atol=1e-12)
    np.testing.assert_allclose(dbm.free_energy(V), -logsumexp(-E, axis=1), atol=1e-12)
    np.testing.assert_allclose(dbm.hidden_free_energy(H), -logsumexp(-E, axis=0), atol=1e-12)
    np.testing.assert_allclose(dbm.log_partition(), logsumexp(-E), atol=1e-12)
    posterior = np.exp(-E - logsumexp(-E, axis=1, keepdims=True))
    np.testing.assert_allclose(dbm.hidden_given_visible(V).mean, posterior @ H, atol=1e-12)
    np.testing.assert_allclose(dbm.log_prob(V), logsumexp(-E, axis=1) - logsumexp(-E), atol=1e-12)
    assert (dbm.elbo(V) <= dbm.log_prob(V) + 1e-12).all()


def test_either_parity_may_be_enumerated():
    """Free energies by odd layers and by even ones are the same, also beyond the tables of p(h | v)."""
    odd, even = drawn((3, 2, 4, 1)), drawn((3, 4, 1, 3))
    for dbm in (odd, even):
        V, _, E = table(dbm)
        np.testing.assert_allclose(dbm.free_energy(V), -logsumexp(-E, axis=1), atol=1e-11)
    large = drawn((4, 9, 30), scale=0.1)
    assert large.exact_free_energy
    assert not large.exact_posterior
    v = large.visible.states(4)
    assert (large.elbo(v) <= large.log_prob(v)).all()
    np.testing.assert_allclose(np.exp(large.log_prob(v)).sum(), 1.0)
    np.testing.assert_allclose(large.free_energy(v[:0]), np.zeros(0))


def test_a_gaussian_machine_is_a_mixture():
    """One real unit: p(v) is a mixture of 2^n_hidden normals; checked by the trapezoid rule."""
    dbm = drawn((1, 2, 2), "gaussian", seed=3)
    grid = np.linspace(-15.0, 15.0, 3001)[:, None]
    density = np.exp(dbm.log_prob(grid))
    np.testing.assert_allclose(density.sum() * 0.01, 1.0, atol=1e-9)
    cdf = np.cumsum(density) * 0.01
    draws = dbm.sample(20_000, 7, steps=60)[:, 0]
    assert kstest(draws, lambda x: np.interp(x, grid[:, 0], cdf)).pvalue > 1e-6


def test_the_rbm_is_the_case_of_one_layer():
    dbm = drawn((4, 3), seed=5)
    rbm = RBM(4, 3, dtype="float64")
    for name, other in (("W", "W1"), ("b", "b0"), ("c", "b1")):
        rbm.params[name] = dbm.params[other]
    v = dbm.visible.states(4)
    np.testing.assert_allclose(dbm.log_prob(v), rbm.log_prob(v))
    np.testing.assert_allclose(dbm.elbo(v), rbm.log_prob(v))
    np.testing.assert_allclose(dbm.transform(v), rbm.transform(v))
    np.testing.assert_allclose(dbm.reconstruct(v), rbm.reconstruct(v))


def test_importance_weights_average_to_the_probability(backend):
    """20,000 weights of two rows: their mean is p(v), the mean of their logarithms the bound."""
    dbm = drawn((3, 2, 2), seed=4, backend=backend)
    v = np.array([[0.0, 1, 1], [1, 0, 1]])
    exact, bound = (to_numpy(f(asarray(v, backend))) for f in (dbm.log_prob, dbm.elbo))
    one = to_numpy(dbm.log_prob_estimate(asarray(np.repeat(v, 20_000, axis=0), backend), 0, 1))
    one = one.reshape(2, 20_000)
    for spread, mean, truth in (
        (np.exp(one).std(axis=1), np.exp(one).mean(axis=1), np.exp(exact)),
        (one.std(axis=1), one.mean(axis=1), bound),
    ):
        assert (abs(mean - truth) < 6.0 * spread / np.sqrt(20_000)).all()
    several = to_numpy(dbm.log_prob_estimate(asarray(v, backend), 0, 50))
    np.testing.assert_allclose(several, exact, atol=0.2)


def test_mean_field_reports_what_it_did():
    dbm = drawn((3, 4, 3), seed=1)
    v = dbm.visible.states(3)
    found = dbm.mean_field(v)
    assert found.converged.all()
    assert 1 < found.iterations < 500
    np.testing.assert_allclose(dbm.mean_field(v, init=found.mean).iterations, 1)
    stopped = dbm.mean_field(v, max_iterations=2)
    assert stopped.iterations == 2
    assert not stopped.converged.all()
    assert (stopped.change > 1e-6).any()


def test_mean_field_that_cannot_converge_ends():
    """A chain at the critical coupling creeps: the limit ends it, and says so."""
    dbm = DBM([1, 1, 1], dtype="float64")
    dbm.params["W2"][...], dbm.params["b1"][...], dbm.params["b2"][...] = 4.0, -2.0, -2.0
    found = dbm.mean_field(np.zeros((2, 1)), tolerance=1e-12, max_iterations=50, init=np.full((2, 2), 0.9))
    assert found.iterations == 50
    assert not found.converged.any()


def test_inference_of_a_missing_block():
    dbm = drawn((4, 3, 2), seed=2, scale=1.5)
    v = dbm.visible.states(4)
    everything = dbm.infer(v, np.ones(4))
    np.testing.assert_allclose(everything.visible, v)
    np.testing.assert_allclose(everything.mean, dbm.mean_field(v).mean, atol=1e-5)
    known = np.array([1, 0, 1, 0])
    found = dbm.infer(v, known)
    np.testing.assert_allclose(found.visible[:, ::2], v[:, ::2])
    other = v.copy()
    other[:, 1::2] = 0.3
    for sweeps in (1, 500):
        first, second = (dbm.infer(x, known, max_iterations=sweeps) for x in (v, other))
        np.testing.assert_array_equal(first.visible, second.visible)
        np.testing.assert_array_equal(first.mean, second.mean)
    h = found.mean
    field = to_numpy(dbm.visible_given_hidden(h).field)
    np.testing.assert_allclose(found.visible[:, 1::2], (1 / (1 + np.exp(-field)))[:, 1::2], atol=1e-5)
    with pytest.raises(ValueError, match=r"known has shape \(3,\); expected \(16, 4\) or \(4,\)"):
        dbm.infer(v, np.ones(3))


def test_samples_follow_the_density(backend):
    dbm = drawn((3, 2, 2), seed=3, backend=backend)
    _, _, E = table(dbm)
    p = np.exp(logsumexp(-E, axis=1) - logsumexp(-E))
    draws = to_numpy(dbm.sample(30_000, 6, steps=40))
    counts = np.bincount((draws @ [1, 2, 4]).astype(int), minlength=8)
    assert chisquare(counts, 30_000 * p).pvalue > 1e-6


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_backends_agree(backend, visible):
    host, device = drawn((4, 3, 2), visible), drawn((4, 3, 2), visible, backend=backend)
    rng = np.random.default_rng(0)
    v, h, w = rng.uniform(size=(5, 4)), rng.uniform(size=(5, 5)), rng.normal(size=5)
    on = [asarray(x, backend) for x in (v, h, w)]
    np.testing.assert_allclose(to_numpy(device.energy(*on[:2])), host.energy(v, h))
    np.testing.assert_allclose(to_numpy(device.log_prob(on[0])), host.log_prob(v))
    np.testing.assert_allclose(to_numpy(device.elbo(on[0])), host.elbo(v))
    np.testing.assert_allclose(to_numpy(device.base_rate(on[0])), host.base_rate(v))
    known = np.array([1, 1, 0, 0])
    np.testing.assert_allclose(
        to_numpy(device.infer(on[0], asarray(known, backend)).visible), host.infer(v, known).visible
    )
    np.testing.assert_allclose(
        to_numpy(device.energy_gradient(*on).buffer), host.energy_gradient(v, h, w).buffer
    )
    np.testing.assert_allclose(
        to_numpy(device.free_energy_gradient(on[0], on[2]).buffer), host.free_energy_gradient(v, w).buffer
    )


def test_inputs_and_parameters_stay_as_they_were():
    dbm = drawn()
    before = dbm.params.buffer.copy()
    v, h, w = np.ones((2, 3)), np.ones((2, 4)), np.ones(2)
    dbm.gibbs_step(v, h, Generator(0)), dbm.mean_field(v), dbm.infer(v, np.ones(3)), dbm.elbo(v)
    dbm.energy_gradient(v, h, w), dbm.free_energy_gradient(v, w), dbm.transform(v), dbm.features(v)
    for x in (v, h, w):
        assert (x == 1).all()
    np.testing.assert_array_equal(dbm.params.buffer, before)


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_save_and_load_to_the_bit(tmp_path, visible):
    dbm = drawn((3, 2, 2), visible, dtype="float32", centered=True)
    dbm.save(tmp_path / "dbm.safetensors")
    loaded = minidgm.load(tmp_path / "dbm.safetensors")
    v = np.ones((2, 3), dtype="float32")
    np.testing.assert_array_equal(loaded.log_prob(v), dbm.log_prob(v))
    assert loaded.centered
    assert loaded.sizes == (3, 2, 2)


def test_the_bound_by_annealing_says_what_it_is():
    dbm = drawn((4, 18, 18), scale=0.2)
    v = dbm.visible.states(4)
    with pytest.raises(IntractableError, match="variational_free_energy"):
        dbm.free_energy(v)
    exact = evaluation.log_partition_exact(dbm)
    bound = evaluation.log_likelihood(dbm, v, exact)
    assert bound.kind == "lower bound"
    assert "mean-field bound" in bound.how
    np.testing.assert_allclose(bound.value, dbm.elbo(v).mean())
    annealed = evaluation.ais(dbm, n_chains=50, n_temperatures=200, rng=0)
    assert evaluation.log_likelihood(dbm, v, annealed).kind == "estimate"
    assert abs(annealed.value - exact.value) < 0.05


def test_features_start_a_classifier_at_the_fixed_point():
    data = datasets.digits()
    dbm = drawn((64, 8, 6), scale=0.3, dtype="float32")
    v = data.train[:20]
    net = dbm.to_mlp(10)
    inputs = dbm.features(v)
    assert inputs.shape == (20, 70)
    first = 1 / (1 + np.exp(-(inputs @ net.params["W1"] + net.params["b1"])))
    np.testing.assert_allclose(first, dbm.mean_field(v).mean[:, :8], atol=1e-4)
    second = 1 / (1 + np.exp(-(first @ net.params["W2"] + net.params["b2"])))
    np.testing.assert_allclose(second, dbm.mean_field(v).mean[:, 8:], atol=1e-4)
    assert drawn((4, 3), dtype="float32").to_mlp(2).sizes == (4, 3)
    deep = drawn((4, 3, 2, 3))
    net = deep.to_mlp(2)
    for layer, scale in ((2, 2.0), (3, 1.0)):
        np.testing.assert_allclose(net.params[f"W{layer}"], scale * deep.params[f"W{layer}"])


def test_bad_input():
    with pytest.raises(ValueError, match="expected a visible and at least one hidden layer"):
        DBM([3])
    with pytest.raises(ValueError, match=r"sizes\[1\] must be an integer of at least 1, got 0"):
        DBM([3, 0])
    with pytest.raises(ValueError, match="a DBM has 'bernoulli' or 'gaussian' visibles"):
        DBM([4, 2], visible="softmax(2)")
    with pytest.raises(DataError, match="holds 3"):
        DBM([3, 2]).elbo([[0, 3, 1]])
    with pytest.raises(DataError, match=r"expected \[n, 3\]"):
        DBM([3, 2]).transform(np.zeros((1, 2)))
    with pytest.raises(IntractableError, match=r"2\^30 states"):
        DBM([40, 30]).log_partition()
    with pytest.raises(IntractableError, match="mean_field"):
        DBM([4, 10, 10]).hidden_given_visible(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="init has 2 rows"):
        DBM([3, 2]).sample(4, 0, init=np.zeros((2, 3)))
    with pytest.raises(DataError, match=r"sizes = \[5, 2\]"):
        DBM.arguments_for(datasets.digits(), {"sizes": [5, 2]})
    assert DBM.arguments_for(datasets.digits(), {}) == {"sizes": [64, 64, 64]}


def test_a_gaussian_machine_starts_at_the_scale_of_its_data(backend):
    """Fields of layer 1, and the density, are the same in all units of v."""
    rows = np.random.default_rng(0).normal(3.0, 2.0, size=(50, 4))
    fields, free = [], []
    for unit in (1.0, 50.0):
        dbm = DBM([4, 3, 2], "gaussian", backend=backend, dtype="float64", seed=0)
        X = asarray(unit * rows, backend, "float64")
        dbm.begin(X)
        fields.append(to_numpy(X @ dbm.params["W1"] + dbm.params["b1"]))
        free.append(to_numpy(dbm.free_energy(X)))
        log_precision = to_numpy(dbm.params["visible_log_precision"])
        np.testing.assert_allclose(log_precision, -2.0 * np.log(unit * rows.std(axis=0)))
        known = to_numpy(dbm.params.buffer).copy()
        dbm.begin(3.0 * X)  # it is not untrained any more
        np.testing.assert_array_equal(to_numpy(dbm.params.buffer), known)
    np.testing.assert_allclose(*fields, atol=1e-12)
    np.testing.assert_allclose(fields[0].mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(*free, rtol=1e-9)


def test_columns_that_never_vary_start_at_a_tenth_of_the_others():
    rows = np.random.default_rng(0).normal(size=(50, 3))
    rows[:, 2] = 1.0
    dbm = DBM([3, 2], "gaussian", dtype="float64", seed=0)
    dbm.begin(rows)
    assert np.exp(-dbm.params["visible_log_precision"][2]) == pytest.approx(0.01 * rows.var(axis=0).mean())
    still = DBM([3, 2], "gaussian", dtype="float64", seed=0)
    still.begin(0.0 * rows)
    np.testing.assert_array_equal(still.params["visible_log_precision"], 0.0)


def test_bits_start_where_they_are():
    dbm = DBM([3, 2], seed=0)
    known = dbm.params.buffer.copy()
    dbm.begin(np.ones((4, 3), dtype="float32"))
    np.testing.assert_array_equal(dbm.params.buffer, known)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_gaussian_machines_of_any_size_are_checked_on_a_plane(depth):
    dbm = DBM([20, 12, 9, 7][: depth + 1], "gaussian", dtype="float64")
    names = ["hidden free energy", "variational bound"]
    report = minidgm.check_model(dbm, names, max_examples=2, raises=False)
    assert report.ok, report


def test_centered_machines_are_kept_from_adam():
    """Steps of one size for all undo centring in wide layers: a warning, and another default."""
    X = (np.random.default_rng(0).random((50, 40)) < 0.3).astype("float32")
    wide = DBM([40, 5, 3], centered=True, seed=0)
    with pytest.warns(RuntimeWarning, match=r"layer of 40 units.*optim\.Momentum"):
        wide.fit(X, optimizer="adam", epochs=1)
    assert wide.default_optimizer().momentum == 0.9
    wide.fit(X, epochs=1)
    assert type(DBM([40, 5, 3]).default_optimizer()).__name__ == "Adam"
    DBM([40, 5, 3], seed=0).fit(X, optimizer="adam", epochs=1)
    DBM([6, 5, 3], centered=True, seed=0).fit(X[:, :6], optimizer="adam", epochs=1)


def test_centered_machines_learn_by_default():
    """Digits: chains that are near the data's means, in the same time as Adam takes without centring."""
    X = datasets.digits().train
    dbm = DBM([64, 30, 20], centered=True, seed=0)
    dbm.fit(X, epochs=10, seed=0)
    gap = abs(dbm.sample(100, 0, steps=100).mean(axis=0) - X.mean(axis=0)).mean()
    assert gap < 0.1
