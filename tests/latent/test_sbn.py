"""Sigmoid belief nets against plain enumeration; estimates, draws, parity, files, training, bad input."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from minidgm import HelmholtzMachine, IntractableError, SigmoidBeliefNet, check_model, load
from minidgm.backend import Generator, asarray, to_numpy
from minidgm.checks.exhaustive import Replay
from minidgm.errors import DataError
from minidgm.evaluation import Estimate, importance_weighted, lower_bound
from minidgm.latent.directed import DirectedModel, Draws
from minidgm.objectives import ReweightedWakeSleep, WakeSleep
from minidgm.optim import Adam

SIZES = ([3, 2], [3, 2, 2], [2, 3, 1, 2])


def drawn(sizes, seed=0, scale=0.8, kind=SigmoidBeliefNet, **options):
    net = kind(sizes, **{"dtype": "float64", **options})
    values = scale * np.random.default_rng(seed).normal(size=net.params.size)
    net.params.buffer[...] = asarray(values, net.backend, net.dtype)
    return net


def bits(n):
    return np.array(list(itertools.product([0.0, 1.0], repeat=n)))


def log_bits(x, field):
    return (x * field - np.logaddexp(0.0, field)).sum(axis=-1)


def enumerated(net, x):
    """log p(x, z) and log q(z | x), [n, m], of every z, from the parameters."""
    p = {name: to_numpy(value) for name, value in net.params.items()}
    Z = bits(net.n_latent)
    log_p, log_q = np.empty((2, len(x), len(Z)))
    for (i, row), (j, z) in itertools.product(enumerate(x), enumerate(Z)):
        s = [row, *np.split(z, np.cumsum(net.sizes[1:-1]))]
        log_p[i, j] = log_bits(s[-1], p[f"b{net.depth}"])
        log_q[i, j] = 0.0
        for layer in range(1, net.depth + 1):
            log_p[i, j] += log_bits(s[layer - 1], p[f"W{layer}"] @ s[layer] + p[f"b{layer - 1}"])
            log_q[i, j] += log_bits(s[layer], s[layer - 1] @ p[f"R{layer}"] + p[f"r{layer}"])
    return Z, log_p, log_q


@given(case=st.tuples(st.sampled_from(SIZES), st.integers(0, 2**31)))
@settings(max_examples=12)
def test_densities_are_sums_over_all_hidden_states(case):
    sizes, seed = case
    net = drawn(sizes, seed)
    x = bits(sizes[0])
    Z, log_p, log_q = enumerated(net, x)
    pairs = np.repeat(x, len(Z), axis=0), np.tile(Z, (len(x), 1))
    np.testing.assert_allclose(net.log_joint(*pairs).reshape(log_p.shape), log_p, atol=1e-10)
    np.testing.assert_allclose(net.log_recognition(*pairs).reshape(log_q.shape), log_q, atol=1e-10)
    np.testing.assert_allclose(net.recognition(pairs[0]).log_prob(pairs[1]), log_q.reshape(-1), atol=1e-10)
    np.testing.assert_allclose(net.log_prob(x), logsumexp(log_p, axis=1), atol=1e-10)
    bound = (np.exp(log_q) * (log_p - log_q)).sum(axis=1)
    np.testing.assert_allclose(net.elbo(x), bound, atol=1e-10)
    # Layer by layer is the same sum as over all states at once.
    np.testing.assert_allclose(DirectedModel.log_prob(net, x), net.log_prob(x), atol=1e-10)
    np.testing.assert_allclose(DirectedModel.mean_log_weight(net, x), bound, atol=1e-10)


@pytest.mark.parametrize("sizes", [[2, 2], [2, 2, 1], [3, 1, 1, 1]], ids=str)
def test_every_identity_holds(sizes):
    report = check_model(SigmoidBeliefNet(sizes, dtype="float64"), max_examples=3)
    assert report.ok
    assert {"27", "30"} <= {result.number for result in report.results}


def test_checks_a_large_net_on_a_small_twin():
    names = ["belief net's joint", "weighted draws"]
    assert "sizes=[2, 2, 1]" in check_model(SigmoidBeliefNet([64, 30, 20]), names, 3).notes[0]
    assert "sizes=[2, 2]" in check_model(HelmholtzMachine([64, 30]), names, 3).notes[0]


def test_draws_made_together_are_draws_made_one_by_one(backend):
    """The same noise, drawn row by row of the wide batch, gives the plain class's numbers."""
    net = drawn([4, 3, 2], seed=1, backend=backend)
    x = asarray(bits(4)[1::3], backend, "float64")
    quick = net.draw(x, 3, Replay(5, backend))
    plain = Draws(net, x, 3, Replay(5, backend))
    np.testing.assert_array_equal(to_numpy(quick.z), to_numpy(plain.z))
    weights = asarray(np.random.default_rng(0).normal(size=(3, len(x))), backend, "float64")
    for name in ("log_joint", "log_recognition", "log_weights"):
        np.testing.assert_allclose(to_numpy(getattr(quick, name)), to_numpy(getattr(plain, name)), atol=1e-12)
    for name in ("log_joint_gradient", "log_recognition_gradient"):
        found = [to_numpy(getattr(d, name)(weights).buffer) for d in (quick, plain)]
        np.testing.assert_allclose(*found, atol=1e-12)
        stale = net.params.like()
        stale.buffer[...] = 7.0
        np.testing.assert_array_equal(to_numpy(getattr(quick, name)(weights, stale).buffer), found[0])


def test_estimates_draw_near_the_exact_values():
    """Means of 2000 draws; false alarms below 1e-6 (5.5 sigma, 16 means)."""
    net = drawn([3, 2, 2], seed=3)
    x = bits(3)
    wide = np.repeat(x, 2000, axis=0)
    for found, exact in (
        (net.elbo(wide, rng=0), net.elbo(x)),
        (np.exp(net.log_prob_estimate(wide, rng=1, n_samples=1)), np.exp(net.log_prob(x))),
    ):
        values = found.reshape(8, 2000)
        error = values.std(axis=1, ddof=1) / 2000**0.5
        assert (abs(values.mean(axis=1) - exact) < 5.5 * error + 1e-12).all()
    np.testing.assert_allclose(net.log_prob_estimate(x, rng=1, n_samples=5000), net.log_prob(x), atol=0.3)
    assert net.log_weights(x, 0, 7).shape == (7, 8)
    z, log_w = net.importance_weights(x, 5, Generator(0))
    assert (z.shape, log_w.shape) == ((5, 8, 4), (5, 8))


def test_estimates_take_as_many_draws_at_a_time_as_fit(monkeypatch):
    net = drawn([3, 2])
    monkeypatch.setattr("minidgm.latent.directed.BLOCK", 3 * 4 * 5)
    assert net.log_weights(bits(3)[:4], 0, 7).shape == (7, 4)


def test_evaluation_knows_that_nothing_is_left_to_normalize():
    net, x = drawn([3, 2]), bits(3)
    exact = lower_bound(net, x)
    assert exact.value == pytest.approx(float(net.elbo(x).mean()))
    assert (exact.kind, "log Z" in exact.how) == ("lower bound", False)
    assert lower_bound(net, x, rng=0, n_samples=50).value == pytest.approx(exact.value, abs=0.5)
    close = importance_weighted(net, x, rng=0, n_samples=3000)
    assert isinstance(close, Estimate)
    assert close.value == pytest.approx(float(net.log_prob(x).mean()), abs=0.1)


def test_sampling_features_and_stacks(backend, xp):
    net = drawn([3, 2, 4], backend=backend)
    x, z = net.dream(6, 0)
    assert (x.shape, z.shape) == ((6, 3), (6, 6))
    assert set(to_numpy(net.sample(5, 0)).ravel()) <= {0.0, 1.0}
    assert [part.shape for part in net.layers(z)] == [(6, 2), (6, 4)]
    x = asarray(bits(3), backend, "float64")
    assert net.transform(x).shape == (8, 4)
    assert net.recognition(x).mean.shape == (8, 6)
    assert net.recognition(x).sample(Generator(0, backend)).shape == (8, 6)
    assert net.reconstruct(x).shape == (8, 3)
    assert net.visible_given_latent(z).mean.shape == (6, 3)
    np.testing.assert_allclose(to_numpy(net.transform(x, 1)), to_numpy(net.recognition(x).mean)[:, :2])


def test_no_rows_and_extreme_logits():
    net = SigmoidBeliefNet([3, 2, 2], seed=0)
    none = np.zeros((0, 3), "float32")
    for found in (net.log_prob(none), net.elbo(none, rng=0), net.log_prob_estimate(none)):
        assert found.shape == (0,)
    assert net.dream(0, 0)[0].shape == (0, 3)
    assert not net.draw(none, 2, Generator(0)).log_joint_gradient(np.zeros((2, 0), "float32")).buffer.any()
    net.params.buffer[...] = np.where(np.arange(net.params.size) % 2, 1e4, -1e4)
    x = bits(3).astype("float32")
    assert np.isfinite(net.log_prob(x)).all()
    drawn_ = net.draw(x, 3, Generator(0))
    assert np.isfinite(drawn_.log_weights).all()
    assert np.isfinite(drawn_.log_joint_gradient(np.ones((3, 8), "float32")).buffer).all()


def test_precisions_and_files(tmp_path, backend):
    net = drawn([4, 3, 2], seed=2, backend=backend, dtype="float32")
    x = asarray(bits(4), backend)
    np.testing.assert_allclose(
        to_numpy(net.log_prob(x)), net.to("numpy", "float64").log_prob(bits(4)), atol=1e-5
    )
    net.save(tmp_path / "net.safetensors")
    twin = load(tmp_path / "net.safetensors", backend=backend)
    assert (type(twin), twin.sizes) == (SigmoidBeliefNet, net.sizes)
    np.testing.assert_array_equal(to_numpy(twin.log_prob(x)), to_numpy(net.log_prob(x)))


def test_learns_a_distribution_it_can_hold():
    """Two bits that agree, and one that is free: log p rises towards -2 log 2 = -1.39."""
    x = np.array([[a, a, b] for a in (0.0, 1.0) for b in (0.0, 1.0)] * 25)
    net = SigmoidBeliefNet([3, 2], seed=0).initialize(x)
    before = net.log_prob(x).mean()
    net.fit(x, objective=ReweightedWakeSleep(5), optimizer=Adam(0.03), epochs=200, batch_size=25, seed=0)
    after = net.log_prob(x).mean()
    assert after > before + 0.5
    assert net.elbo(x).mean() <= after <= -2 * np.log(2.0) + 1e-6


def test_defaults_and_arguments_from_data():
    from minidgm.datasets import digits

    data = digits()
    assert SigmoidBeliefNet.arguments_for(data, {}) == {"sizes": [64, 64]}
    assert isinstance(SigmoidBeliefNet([3, 2]).default_objective(), ReweightedWakeSleep)
    assert isinstance(HelmholtzMachine([3, 2]).default_objective(), WakeSleep)
    with pytest.raises(DataError, match="begin with it"):
        SigmoidBeliefNet.arguments_for(data, {"sizes": [3, 2]})


def test_bad_input_says_what_to_do():
    net = SigmoidBeliefNet([30, 20], seed=0)
    with pytest.raises(IntractableError, match=r"2\^20 states.*log_prob_estimate"):
        net.log_prob(np.zeros((1, 30)))
    with pytest.raises(IntractableError, match="elbo"):
        net.elbo(np.zeros((1, 30)))
    with pytest.raises(IntractableError, match="latent states"):
        DirectedModel.log_prob(net, np.zeros((1, 30)))
    with pytest.raises(DataError, match="0 or 1"):
        net.log_prob(np.full((1, 30), 2.0))
    with pytest.raises(DataError, match=r"shape \(1, 29\)"):
        net.elbo(np.zeros((1, 29)), rng=0)
    with pytest.raises(ValueError, match="n_samples"):
        net.log_prob_estimate(np.zeros((1, 30)), n_samples=0)
    with pytest.raises(ValueError, match=r"k must be an integer"):
        net.importance_weights(np.zeros((1, 30)), 0, Generator(0))
    for sizes, error in ((3, TypeError), ([3], ValueError), ([3, 0], ValueError), ("32", TypeError)):
        with pytest.raises(error, match="sizes"):
            SigmoidBeliefNet(sizes)
