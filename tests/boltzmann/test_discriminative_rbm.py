"""DiscriminativeRBM against enumeration of its energy written out here, and the services around p(y | v)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import chisquare

from minidgm import RBM, DiscriminativeRBM, IntractableError, load
from minidgm.backend import Generator, asarray, to_numpy
from minidgm.checks import check_model, oracle
from minidgm.checks.strict import count_host_reads
from minidgm.errors import DataError
from minidgm.evaluation import ais
from minidgm.objectives import ContrastiveDivergence, DiscriminativeLikelihood, HybridLikelihood
from minidgm.optim import Adam


def drawn(sizes=(3, 2, 3), seed=0, scale=0.8, **kwargs):
    model = DiscriminativeRBM(*sizes, **{"dtype": "float64", **kwargs})
    values = scale * np.random.default_rng(seed).normal(size=model.params.size)
    model.params.buffer[...] = asarray(values, model.backend, model.dtype)
    return model


def table(model):
    """log of the unnormalised p(v, y), [2^n_visible, n_classes], one term after the other."""
    W, U, b, c, d = (to_numpy(model.params[name]).astype(float) for name in "WUbcd")
    V, H = model.visible.states(model.n_visible), model.hidden.states(model.n_hidden)
    out = np.zeros((len(V), model.n_classes))
    for i, v in enumerate(V):
        for k in range(model.n_classes):
            out[i, k] = logsumexp([b @ v + d[k] + c @ h + v @ W @ h + U[k] @ h for h in H])
    return V, out


@given(
    seed=st.integers(0, 2**32 - 1), sizes=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(2, 3))
)
@settings(max_examples=15)
def test_every_density_by_enumeration(seed, sizes):
    model = drawn(sizes, seed)
    V, log_mass = table(model)
    log_z = logsumexp(log_mass)
    np.testing.assert_allclose(float(model.log_partition()), log_z, atol=1e-12)
    np.testing.assert_allclose(-model.label_free_energy(V), log_mass, atol=1e-12)
    posterior = np.exp(log_mass - logsumexp(log_mass, axis=1, keepdims=True))
    np.testing.assert_allclose(model.predict_proba(V), posterior, atol=1e-12)
    np.testing.assert_array_equal(model.predict(V), posterior.argmax(axis=1))
    np.testing.assert_allclose(model.input_log_prob(V), logsumexp(log_mass, axis=1) - log_z, atol=1e-12)
    for k in range(model.n_classes):
        y = np.full(len(V), k)
        np.testing.assert_allclose(model.log_prob(V, y), log_mass[:, k] - log_z, atol=1e-12)
        np.testing.assert_allclose(model.log_prob(model.join(V, y)), log_mass[:, k] - log_z, atol=1e-12)
    mean = sum(
        posterior[:, k, None] * model.transform(model.join(V, np.full(len(V), k)))
        for k in range(model.n_classes)
    )
    np.testing.assert_allclose(model.transform(V), mean, atol=1e-12)
    joint = model.joint()
    x = model.visible_states()
    np.testing.assert_allclose(joint.free_energy(x), model.free_energy(x), atol=1e-12)
    assert isinstance(joint, RBM)


@pytest.mark.parametrize("visible", ["bernoulli", "spin", "softmax(2)"])
def test_every_identity_holds_for_every_visible_type(visible):
    model = DiscriminativeRBM(2, 2, 2, visible=visible, dtype="float64")
    assert check_model(model, ["25", "8", "11", "free energy gradient"], max_examples=5).ok


def test_gaussian_visibles_have_the_gradients_of_their_energies():
    """Hidden units summed by enumeration; p(y | v) does not know the precisions."""
    model = drawn((2, 2, 2), 4, visible="gaussian")
    rng = np.random.default_rng(0)
    v, w = rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    H = model.hidden.states(2)

    def free_energy(m, x):
        return -logsumexp([-m.energy(x, np.tile(h, (len(x), 1))) for h in H], axis=0)

    x = model.join(v, [0, 1, 1])
    np.testing.assert_allclose(model.free_energy(x), free_energy(model, x), atol=1e-12)
    every = [model.join(v, np.full(3, k)) for k in (0, 1)]
    np.testing.assert_allclose(
        model.label_free_energy(v), np.stack([free_energy(model, e) for e in every], 1)
    )
    loss = oracle.gradient(model, lambda m: (w * m.label_free_energy(v)).sum())
    found = model.label_gradient(v, w)
    for name in loss:
        np.testing.assert_allclose(found[name], loss[name], atol=1e-9)
    assert model.sample(3, 0, steps=2).shape == (3, 4)
    assert model.label_gradient(v, np.array([[1.0, -1.0]] * 3))["visible_log_precision"].tolist() == [
        0.0,
        0.0,
    ]
    assert check_model(DiscriminativeRBM(9, 9, 2, visible="gaussian"), ["label posterior"], max_examples=2).ok
    with pytest.raises(TypeError, match="cannot be enumerated"):
        model.visible_states()


def test_all_labels_at_once_are_the_same_in_chunks(monkeypatch):
    model = drawn((5, 4, 3), 1)
    v, w = np.random.default_rng(0).random((7, 5)), np.random.default_rng(1).normal(size=(7, 3))
    whole = model.label_free_energy(v), model.label_gradient(v, w).buffer.copy(), model.predict_proba(v)
    monkeypatch.setattr("minidgm.boltzmann.discriminative_rbm.CHUNK", 24)
    monkeypatch.setattr("minidgm.boltzmann.label_model.CHUNK", 12)
    parts = model.label_free_energy(v), model.label_gradient(v, w).buffer, model.predict_proba(v)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)


def test_precisions_and_backends(backend):
    host, device = drawn((4, 3, 3), 2), drawn((4, 3, 3), 2, backend=backend, dtype="float32")
    v, w = np.random.default_rng(0).random((5, 4)), np.random.default_rng(1).normal(size=(5, 3))
    on = [asarray(x, backend, "float32") for x in (v, w)]
    np.testing.assert_allclose(to_numpy(device.predict_proba(on[0])), host.predict_proba(v), atol=1e-6)
    gradient = to_numpy(device.label_gradient(*on).buffer)
    np.testing.assert_allclose(gradient, host.label_gradient(v, w).buffer, atol=1e-5)
    assert device.predict_proba(on[0]).dtype == np.float32


def test_extreme_parameters_give_no_overflow():
    model = drawn((3, 2, 3), 0, 1e4, dtype="float32")
    p = model.predict_proba(np.ones((2, 3)))
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-6)
    assert np.isfinite(model.label_gradient(np.ones((2, 3), "float32"), p).buffer).all()


@pytest.mark.parametrize(
    "objective",
    [
        DiscriminativeLikelihood(),
        HybridLikelihood(0.1),
        HybridLikelihood(0.1, n_chains=4),
        ContrastiveDivergence(),
    ],
    ids=repr,
)
def test_a_training_step_does_not_read_the_device(objective):
    model = DiscriminativeRBM(4, 3, 2, backend="strict", seed=0)
    rows = model.join(np.eye(4), [0, 1, 0, 1])
    rng = Generator(0, "strict")
    objective.gradient(model, rows, rng)
    with count_host_reads() as reads:
        objective.gradient(model, rows, rng)
    assert reads.count == 0


def test_gibbs_and_clamped_chains_follow_the_joint():
    """40,000 chains started exactly at p, swept once; and clamped ones: chi-square at 1e-6."""
    model = drawn((2, 2, 2), 3, 1.0)
    V, log_mass = table(model)
    p = np.exp(log_mass - logsumexp(log_mass))
    pick = np.random.default_rng(1).choice(8, size=40_000, p=p.ravel())
    x, _ = model.gibbs_step(model.join(V[pick // 2], pick % 2), None, Generator(5))
    cells = (x[:, :2] @ [1, 2]).astype(int) * 2 + x[:, 2:].argmax(axis=1)
    assert chisquare(np.bincount(cells, minlength=8), 40_000 * p.ravel()).pvalue > 1e-6
    x = model.sample(40_000, 2, steps=20, y=np.ones(40_000, int))
    assert (x[:, 3] == 1).all()
    given = 40_000 * p[:, 1] / p[:, 1].sum()
    assert chisquare(np.bincount((x[:, :2] @ [1, 2]).astype(int), minlength=4), given).pvalue > 1e-6


def test_annealing_finds_log_z():
    model = drawn((6, 4, 3), 1)
    estimate = ais(model, n_chains=200, n_temperatures=200, rng=0)
    assert estimate.value == pytest.approx(float(model.log_partition()), abs=6 * estimate.stderr + 1e-3)


def test_training_learns_and_a_saved_model_predicts_the_same_bits(tmp_path):
    rng = np.random.default_rng(0)
    X = (rng.random((300, 12)) < 0.5).astype("float32")
    y = X[:, :6].sum(axis=1) > X[:, 6:].sum(axis=1)
    model = DiscriminativeRBM(12, 8, 2, seed=0)
    history = model.fit(X, y, optimizer=Adam(0.02), epochs=80, validation=(X[:50], y[:50]))
    assert model.accuracy(X, y) > 0.95
    assert history["validation_error"][-1] == pytest.approx(1 - model.accuracy(X[:50], y[:50]))
    assert model.error_rate(model.join(X, y)) == pytest.approx(1 - model.accuracy(X, y))
    model.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "m.safetensors").predict_proba(X), model.predict_proba(X))


def test_biases_can_start_at_the_means():
    X, y = np.array([[1, 0], [1, 0], [1, 1], [0, 0.0]]), [0, 0, 0, 1]
    model = DiscriminativeRBM(2, 2, 2, dtype="float64")
    model.params.buffer[...] = 0.0
    model.initialize(X, y)
    np.testing.assert_allclose(model.predict_proba(X)[0], [0.75, 0.25])
    np.testing.assert_allclose(1 / (1 + np.exp(-model.params["b"])), X.mean(axis=0))


def test_bad_arguments_and_data_are_refused():
    with pytest.raises(ValueError, match="n_classes must be an integer of at least 2, got 1"):
        DiscriminativeRBM(3, 2, 1)
    model = DiscriminativeRBM(3, 2, 2)
    with pytest.raises(DataError, match=r"3 columns of v and no labels.*fit\(X, y\)"):
        model.check_data(np.eye(3))
    with pytest.raises(DataError, match="group sums of the label of v"):
        model.check_data(np.ones((1, 5)))
    with pytest.raises(DataError, match="v holds 2 "):
        model.predict(np.full((1, 3), 2.0))
    with pytest.raises(DataError, match="one label for each of 3 rows"):
        model.accuracy(np.eye(3), [0, 1])
    with pytest.raises(IntractableError, match="2\\^25"):
        DiscriminativeRBM(60, 60, 2).log_partition()
    with pytest.raises(TypeError, match="no path from DiscriminativeRBM to RBM"):
        model.path_to(RBM(3, 2))
