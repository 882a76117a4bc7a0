"""Spike-and-slab RBM: against the text's energy, integrated with other code, and kept definite."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from minidgm import IntractableError, SpikeAndSlabRBM, check_model, evaluation
from minidgm.backend import Generator, asarray, to_numpy
from minidgm.boltzmann.slab_precisions import norm_bound
from minidgm.checks.strict import count_host_reads
from minidgm.datasets import digits
from minidgm.errors import DataError
from minidgm.objectives import PersistentContrastiveDivergence
from minidgm.optim import Adam


def drawn(n_visible=3, n_hidden=2, seed=0, **kwargs):
    rng = np.random.default_rng(seed)
    model = SpikeAndSlabRBM(n_visible, n_hidden, **{"dtype": "float64", **kwargs})
    for value in model.params.values():
        value[...] = asarray(0.5 * rng.normal(size=value.shape), model.backend, model.dtype)
    model.project()
    return model


def joint_blocks(model, h):
    """Quadratic form A of (x, s), linear part and constant at fixed spikes, from the text term by term."""
    W, b, mu = (to_numpy(model.params[k]) for k in ("W", "b", "mu"))
    alpha, Lambda, Phi = (to_numpy(x) for x in (model.alpha, model.Lambda, model.Phi))
    A = np.block([[np.diag(Lambda + Phi @ h), -W * h], [-(W * h).T, np.diag(alpha)]])
    linear = np.concatenate([np.zeros(len(Lambda)), alpha * mu * h])
    return A, linear, (h * (alpha * mu**2 - b)).sum()


sizes = st.integers(1, 4)
cases = st.tuples(sizes, sizes, st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.1]))


@given(case=cases)
@settings(max_examples=20)
def test_density_from_gaussian_integrals_of_the_texts_energy(case):
    n_v, n_h, seed, Phi = case
    model = drawn(n_v, n_h, seed, Phi=Phi)
    rng = np.random.default_rng(seed)
    v, s = rng.normal(size=(3, n_v)), rng.normal(size=(3, n_h))
    states = model.hidden.states(n_h)
    log_mass, log_joint = [], []
    for h in states:
        A, linear, constant = joint_blocks(model, h)
        both = np.concatenate([v, s], axis=1)
        energy = 0.5 * np.einsum("ni,ij,nj->n", both, A, both) - both @ linear + constant
        rows = np.tile(h, (3, 1))
        np.testing.assert_allclose(model.slab_energy(v, s, rows), energy, atol=1e-10)
        covariance = np.linalg.inv(A)
        log_det = np.linalg.slogdet(A)[1]
        log_mass.append(
            0.5 * ((n_v + n_h) * np.log(2 * np.pi) - log_det + linear @ covariance @ linear) - constant
        )
        given_h = model.visible_given_hidden(rows)
        np.testing.assert_allclose(given_h.covariance[0], covariance[:n_v, :n_v], atol=1e-8)
        np.testing.assert_allclose(given_h.mean[0], (covariance @ linear)[:n_v], atol=1e-8)
        log_joint.append(log_mass[-1] + given_h.log_prob(v))
    log_z = logsumexp(log_mass)
    assert model.log_partition() == pytest.approx(log_z, abs=1e-8)
    np.testing.assert_allclose(model.log_prob(v), logsumexp(log_joint, axis=0) - log_z, atol=1e-8)


def test_the_hidden_field_by_numbers():
    """One visible unit, one hidden one: a = t^2 / (2 alpha) + mu t - alpha mu^2 / 2 - Phi x^2 / 2 + b."""
    model = SpikeAndSlabRBM(1, 1, dtype="float64").set(alpha=2.0, Phi=0.5, Lambda=3.0, W=1.5, b=-0.3, mu=0.7)
    x = np.array([[2.0]])
    a = 3.0**2 / 4.0 + 0.7 * 3.0 - 2.0 * 0.49 / 2.0 - 0.5 * 4.0 / 2.0 - 0.3
    assert model.hidden_field(x)[0, 0] == pytest.approx(a)
    given = model.slabs_given(x, np.ones((1, 1)))
    assert (given.mean[0, 0], given.variance[0, 0]) == pytest.approx((3.0 / 2.0 + 0.7, 0.5))
    idle = model.slabs_given(x, np.zeros((1, 1)))
    assert (idle.mean[0, 0], idle.variance[0, 0]) == pytest.approx((0.0, 0.5))
    down = model.visible_given_slabs(np.array([[1.2]]), np.ones((1, 1)))
    assert (down.mean[0, 0], down.variance[0, 0]) == pytest.approx((1.5 * 1.2 / 3.5, 1.0 / 3.5))
    assert model.visible_precision(np.ones((1, 1)))[0, 0, 0] == pytest.approx(3.5 - 1.5**2 / 2.0)


def test_gibbs_never_inverts_or_factorizes(monkeypatch):
    model = drawn(4, 3)
    for name in ("inv", "solve", "cholesky", "eigh", "slogdet"):
        monkeypatch.setattr(np.linalg, name, None)
    v = model.sample(5, 0, steps=3)
    model.gibbs_step(v, None, Generator(0))
    model.free_energy_gradient(v)
    model.project()


@given(seed=st.integers(0, 2**32 - 1), Phi=st.sampled_from([0.0, 0.02, 0.3]), scale=st.floats(0.1, 30.0))
@settings(max_examples=20)
def test_projection_makes_every_covariance_definite(seed, Phi, scale):
    rng = np.random.default_rng(seed)
    model = SpikeAndSlabRBM(5, 4, Phi=Phi, dtype="float64")
    alpha, Lambda = np.exp(rng.normal(size=4)), np.exp(rng.normal(size=5))
    model.set(W=scale * rng.normal(size=(5, 4)), alpha=alpha, Lambda=Lambda)
    model.project()
    smallest = np.linalg.eigvalsh(model.visible_precision(model.hidden.states(4))).min()
    assert smallest > 0
    kept = model.params["W"].copy()
    model.project()
    np.testing.assert_allclose(model.params["W"], kept, rtol=1e-9)
    gentle = SpikeAndSlabRBM(5, 4, Phi=Phi, dtype="float64")
    before = gentle.params["W"].copy()
    gentle.project()
    assert np.array_equal(gentle.params["W"], before)  # what is safe stays to the bit


def test_a_covariance_that_is_not_definite_names_the_unit_and_the_remedy():
    model = SpikeAndSlabRBM(3, 2, Phi=0.0, dtype="float64")
    W = np.zeros((3, 2))
    W[:, 1] = 2.0
    model.set(W=W)
    h = np.array([[1.0, 0.0], [1.0, 1.0]])
    remedy = r"lower \|W\[:, 1\]\| \(its norm is 3.46\).*raise alpha\[1\]"
    message = rf"not positive definite.*hidden unit 1 takes.*{remedy}"
    with pytest.raises(DataError, match=message):
        model.visible_given_hidden(h)
    with pytest.raises(DataError, match=message):
        model.log_prob(np.zeros((1, 3)))
    model.project()
    assert np.all(np.isfinite(model.log_prob(np.zeros((1, 3)))))


@pytest.mark.parametrize("scale", [1.0, 16.0, 255.0])
def test_training_with_default_settings_stays_finite_and_improves(scale):
    data = digits()
    X, T = (scale * (rows - data.train.mean(axis=0)) for rows in (data.train, data.test))
    values = []
    model = SpikeAndSlabRBM(64, 6, seed=0)
    model.begin(X)
    start = float(model.log_prob(T).mean())
    model.fit(X, epochs=12, callbacks=[lambda t: values.append(float(t.model.log_prob(T).mean()))])
    assert np.all(np.isfinite(values))
    assert values[-1] > start + 0.1


def test_chains_that_run_away_say_why(backend):
    model = SpikeAndSlabRBM(4, 3, backend=backend, seed=0)
    model.params["W"][...] = 0.1
    model.params["W"][:, 2] = 3.0
    with pytest.raises(DataError, match=r"not positive definite.*hidden unit 2 takes.*project\(\) does it"):
        model.sample(5, 0, steps=200)
    far = SpikeAndSlabRBM(4, 3, backend=backend, seed=0)
    start = asarray(np.full((2, 4), 1e5), backend, "float32")
    assert far.sample(2, 0, steps=1, init=start).shape == (2, 4)  # far, but there is a model


def test_large_steps_do_not_cost_definiteness():
    X = np.random.default_rng(0).normal(size=(200, 6)) @ np.diag([5.0, 1, 1, 1, 0.2, 0.2])
    model = SpikeAndSlabRBM(6, 5, seed=0)
    model.fit(X, optimizer=Adam(0.1), epochs=30)
    assert np.all(np.isfinite(model.log_prob(X)))


def test_ais_agrees_with_enumeration():
    """Within 5 standard errors of both directions; fixed seed."""
    model = drawn(4, 3)
    exact = float(model.log_partition())
    forward = evaluation.ais(model, n_chains=300, n_temperatures=300, rng=0)
    reverse = evaluation.reverse_ais(model, n_chains=300, n_temperatures=300, rng=1)
    assert abs(forward.value - exact) < 5 * forward.stderr + 1e-6
    assert abs(reverse.value - exact) < 5 * reverse.stderr + 1e-6


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_weakened_model_has_a_part_of_the_field(beta):
    model = drawn(4, 3)
    x = np.random.default_rng(0).normal(size=(5, 4))
    np.testing.assert_allclose(model.weakened(beta).hidden_field(x), beta * model.hidden_field(x), atol=1e-12)


def test_same_numbers_on_both_backends_and_after_save(tmp_path, backend):
    model = drawn(3, 2, backend=backend, dtype="float32")
    X = asarray(np.random.default_rng(0).normal(size=(40, 3)), backend, "float32")
    model.fit(X, epochs=2, batch_size=15)
    model.save(tmp_path / "model.safetensors")
    again = SpikeAndSlabRBM.load(tmp_path / "model.safetensors", backend=backend)
    assert np.array_equal(to_numpy(again.log_prob(X)), to_numpy(model.log_prob(X)))
    assert to_numpy(model.reconstruct(X)).shape == (40, 3)
    assert to_numpy(model.reconstruct(X, Generator(0, backend))).shape == (40, 3)
    assert to_numpy(model.transform(X)).shape == (40, 2)


@pytest.mark.parametrize("Phi", [0.0, 0.1])
def test_a_step_reads_nothing_back(Phi):
    model = SpikeAndSlabRBM(4, 3, Phi=Phi, backend="strict", seed=0)
    X = asarray(np.random.default_rng(0).normal(size=(10, 4)), "strict", "float32")
    estimator, rng = PersistentContrastiveDivergence(), Generator(0, "strict")
    estimator.gradient(model, X, rng)
    with count_host_reads() as reads:
        estimator.gradient(model, X, rng)
        model.project()
    assert reads.count == 0


def test_one_heavy_column_does_not_starve_the_others():
    """The column that breaks the bound shrinks; those orthogonal to it keep their length to a thousandth."""
    model = SpikeAndSlabRBM(6, 3, Phi=0.0, dtype="float64")
    W = np.zeros((6, 3))
    W[0, 0], W[1, 1], W[2, 2] = 1.2, 0.5, 0.4
    model.set(W=W)
    for _ in range(100):
        model.project()
    lengths = np.linalg.norm(model.params["W"], axis=0)
    assert 0.9 < lengths[0] < 1.0
    np.testing.assert_allclose(lengths[1:], [0.5, 0.4], rtol=1e-3)


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 6), columns=st.integers(1, 6))
@settings(max_examples=20)
def test_bound_of_the_norm_is_above_and_close(seed, rows, columns):
    A = np.random.default_rng(seed).normal(size=(rows, columns))
    log_bound, share = norm_bound(A)
    exact = np.log(np.linalg.norm(A, 2) ** 2)
    assert exact - 1e-9 <= log_bound <= exact + np.log(min(rows, columns)) / 32 + 1e-9
    assert share.shape == (columns,)
    assert share.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("instance", [SpikeAndSlabRBM, SpikeAndSlabRBM(30, 40, Phi=0.0)])
def test_all_identities_hold(instance):
    assert check_model(instance, max_examples=5).ok


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SpikeAndSlabRBM(3, 2, Phi=-0.1), r"Phi must be in \[0, inf\), got -0.1"),
        (lambda: SpikeAndSlabRBM(3, 2, alpha=0.0), r"alpha must be in \(0, inf\)"),
        (lambda: SpikeAndSlabRBM(3, 2, alpha=-1.0), r"alpha must be in \(0, inf\)"),
        (lambda: SpikeAndSlabRBM(3, 2, Lambda=-1.0), r"Lambda must be in \(0, inf\)"),
        (lambda: SpikeAndSlabRBM(3, 2).set(alpha=[1.0, -2.0]), "alpha of hidden unit 1 is -2; .* positive"),
        (
            lambda: SpikeAndSlabRBM(3, 2).set(Phi=[[0, 0], [0, 0], [-1, 0]]),
            "Phi of hidden unit 0 is -1; expected nonnegative",
        ),
        (lambda: SpikeAndSlabRBM(3, 2).set(Lambda=float("nan")), "Lambda of visible unit 0 is nan"),
        (lambda: SpikeAndSlabRBM(3, 2, Phi=0.0).set(Phi=1.0), "made without Phi"),
        (lambda: SpikeAndSlabRBM(3, 2).set(beta=1.0), "no parameter 'beta'"),
        (lambda: SpikeAndSlabRBM(3, 2).initialize(np.zeros((0, 3))), "no rows"),
        (lambda: SpikeAndSlabRBM(3, 2).log_prob(np.zeros((1, 4))), r"\(1, 4\); expected \[n, 3\]"),
        (lambda: SpikeAndSlabRBM(3, 25).log_partition(), r"2\^20.*evaluation.ais"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises((ValueError, IntractableError), match=message):
        call()
