"""HybridThirdOrderRBM against its energy term by term; g does not know the label."""

import numpy as np
import pytest
from autograd import grad
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import chisquare

from minidgm import HybridThirdOrderRBM, IntractableError, load
from minidgm.backend import Generator, asarray, to_numpy
from minidgm.checks import oracle
from minidgm.checks.strict import count_host_reads
from minidgm.evaluation import ais
from minidgm.objectives import HybridLikelihood


def drawn(sizes=(3, 3, 2), n_gated=2, seed=0, scale=0.8, **kwargs):
    model = HybridThirdOrderRBM(*sizes, n_gated=n_gated, **{"dtype": "float64", **kwargs})
    values = scale * np.random.default_rng(seed).normal(size=model.params.size)
    model.params.buffer[...] = asarray(values, model.backend, model.dtype)
    return model


def log_mass(model):
    """log of the unnormalised p(v, y, hidden), [2^n_visible, n_classes, 2^n_hidden], by loops."""
    W, V, b, c, d, e = (to_numpy(model.params[name]) for name in "WVbcde")
    out = np.zeros((2**model.n_visible, model.n_classes, 2**model.n_hidden))
    for i, v in enumerate(model.visible.states(model.n_visible)):
        for k in range(model.n_classes):
            for j, hidden in enumerate(model.hidden.states(model.n_hidden)):
                h, g = hidden[: model.n_gated], hidden[model.n_gated :]
                out[i, k, j] = v @ W[:, k] @ h + v @ V @ g + b @ v + c @ h + d[k] + e @ g
    return out


@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(2, 3)),
    data=st.data(),
)
@settings(max_examples=15)
def test_every_density_by_enumeration(seed, sizes, data):
    model = drawn(sizes, data.draw(st.integers(1, sizes[1])), seed)
    mass = log_mass(model)
    V, H = model.visible.states(model.n_visible), model.hidden.states(model.n_hidden)
    log_z = logsumexp(mass)
    np.testing.assert_allclose(float(model.log_partition()), log_z, atol=1e-12)
    scores = logsumexp(mass, axis=2)
    np.testing.assert_allclose(-model.label_free_energy(V), scores, atol=1e-12)
    np.testing.assert_allclose(model.input_log_prob(V), logsumexp(scores, axis=1) - log_z, atol=1e-12)
    for k in range(model.n_classes):
        x = model.join(V, np.full(len(V), k))
        np.testing.assert_allclose(model.log_prob(x), scores[:, k] - log_z, atol=1e-12)
        posterior = np.exp(mass[:, k] - scores[:, k, None])
        np.testing.assert_allclose(model.transform(x), posterior @ H, atol=1e-12)
        for j, h in enumerate(H):
            given_h = np.exp(mass[:, k, j] - logsumexp(mass[:, k, j])) @ V
            field = model.visible_field(x[:1, model.n_visible :], h[None])
            np.testing.assert_allclose(1 / (1 + np.exp(-field[0])), given_h, atol=1e-12)


def test_the_units_that_see_v_alone_do_not_classify():
    """Any V and e give the same p(y | v), and the discriminative gradient leaves them where they are."""
    model = drawn()
    v = model.visible.states(3)
    before = model.predict_proba(v)
    p = before.copy()
    p[:, 0] -= 1.0  # weights that sum to 0 for each row, as those of -log p(y | v) do
    grads = model.label_gradient(v, p)
    np.testing.assert_allclose(grads["V"], 0.0, atol=1e-14)
    np.testing.assert_allclose(grads["e"], 0.0, atol=1e-14)
    model.params["V"][...] += 3.0
    model.params["e"][...] -= 2.0
    np.testing.assert_allclose(model.predict_proba(v), before, atol=1e-13)


def test_gradient_of_probabilities_of_labels():
    """energy_gradient at hidden means and y that is no one-hot, against autograd."""
    model, rng = drawn(seed=3), np.random.default_rng(0)
    x, h, w = rng.random((4, 5)), rng.random((4, 3)), rng.normal(size=4)
    right = oracle.gradient(model, lambda m: (w * m.energy(x, h)).sum())
    found = model.energy_gradient(x, h, w)
    for name in right:
        np.testing.assert_allclose(found[name], right[name], atol=1e-10)


def test_chains_follow_the_joint(backend):
    """40,000 chains started exactly at p, swept once; and clamped ones: chi-square at 1e-6."""
    model = drawn((2, 2, 2), 1, 3, 1.0, backend=backend)
    p = np.exp(log_mass(model))
    p = p.sum(axis=2) / p.sum()
    pick = np.random.default_rng(1).choice(8, size=40_000, p=p.ravel())
    x = model.join(asarray(model.visible.states(2)[pick // 2], backend), pick % 2)
    for step in (model.gibbs_step, model.clamped_step):
        moved = to_numpy(step(x, None, Generator(5, backend))[0])
        cells = (moved[:, :2] @ [1, 2]).astype(int) * 2 + moved[:, 2:].argmax(axis=1)
        assert chisquare(np.bincount(cells, minlength=8), 40_000 * p.ravel()).pvalue > 1e-6
    fixed = to_numpy(model.sample(50, 2, steps=3, y=np.ones(50, int)))
    assert (fixed[:, 3] == 1).all()


def test_a_training_step_does_not_read_the_device():
    model = HybridThirdOrderRBM(4, 4, 2, backend="strict", seed=0)
    rows, rng, objective = model.join(np.eye(4), [0, 1, 0, 1]), Generator(0, "strict"), HybridLikelihood(0.1)
    objective.gradient(model, rows, rng)
    with count_host_reads() as reads:
        objective.gradient(model, rows, rng)
    assert reads.count == 0


def test_annealing_and_files(tmp_path):
    model = drawn((6, 4, 3), 2, 1)
    estimate = ais(model, n_chains=200, n_temperatures=200, rng=0)
    assert estimate.value == pytest.approx(float(model.log_partition()), abs=6 * estimate.stderr + 1e-3)
    model.save(tmp_path / "m.safetensors")
    twin = load(tmp_path / "m.safetensors")
    assert twin.n_gated == 2
    np.testing.assert_array_equal(twin.label_free_energy(np.eye(6)), model.label_free_energy(np.eye(6)))


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="n_gated=5 of n_hidden=4"):
        HybridThirdOrderRBM(3, 4, 2, n_gated=5)
    with pytest.raises(IntractableError, match="2\\^40 x 3 states"):
        HybridThirdOrderRBM(50, 40, 3).log_partition()
    assert HybridThirdOrderRBM(3, 1, 2).params["V"].shape == (3, 0)


def test_the_free_energy_can_be_traced_in_any_one_parameter():
    model = drawn()
    x = model.join(model.visible.states(3)[:4], [0, 1, 1, 0])
    together = oracle.gradient(model, lambda m: m.free_energy(x).sum())
    for name, value in model.params.items():

        def alone(p, name=name):
            return model.with_params({**model.params, name: p}).free_energy(x).sum()

        np.testing.assert_allclose(grad(alone)(value), together[name], rtol=1e-9, atol=1e-11, err_msg=name)
