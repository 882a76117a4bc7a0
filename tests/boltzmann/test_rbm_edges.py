"""Edges of the RBM's service methods: defaults, generators, messages, every unit's own parameters."""

import numpy as np
import pytest

from minidgm import RBM, Generator
from minidgm.boltzmann import rbm as module
from minidgm.checks.exhaustive import expectation
from minidgm.errors import DataError, IntractableError


def drawn(**options):
    rbm = RBM(3, 2, dtype="float64", **options)
    rbm.params.buffer[...] = np.random.Generator(np.random.SFC64(5)).normal(size=rbm.params.size)
    return rbm


def test_reconstruction_from_draws_is_the_mean_over_hidden_states():
    rbm, v = drawn(), np.array([[1.0, 0.0, 1.0]])
    found = expectation(lambda rng: {"v": rbm.reconstruct(v, rng)})["v"]
    states = rbm.hidden.states(2)
    p = np.exp(rbm.hidden_given_visible(np.repeat(v, 4, axis=0)).log_prob(states))
    assert np.allclose(found, p @ rbm.visible_given_hidden(states).mean, atol=1e-14)
    assert not np.allclose(found, rbm.reconstruct(v), atol=1e-3)


def test_hidden_free_energy_gradient_sums_when_weights_are_left_out():
    rbm, h = drawn(), np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
    ones, default = rbm.hidden_free_energy_gradient(h, np.ones(3)), rbm.hidden_free_energy_gradient(h)
    for name, value in ones.items():
        assert (default[name] == value).all()


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_initialize_reproduces_the_means_of_the_data(visible):
    rbm = drawn(visible=visible)
    X = np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert rbm.initialize(X) is rbm
    rbm.params["W"][...] = 0.0
    assert np.allclose(rbm.visible_given_hidden(np.zeros((1, 2))).mean, X.mean(axis=0), atol=1e-12)


def test_initialize_names_its_argument():
    with pytest.raises(DataError, match=r"^X "):
        drawn().initialize(np.full((1, 3), 2.0))


def test_a_new_rbm():
    """W small normals of the seed, the rest zero; plain gradients, Bernoulli units."""
    rbm = RBM(60, 50, seed=7)
    assert rbm.config() == {
        **{"n_visible": 60, "n_hidden": 50},
        **{"visible": "bernoulli", "hidden": "bernoulli", "centered": False},
    }
    assert rbm.seed == 7
    W = rbm.params["W"]
    assert (W == np.float32(0.01) * Generator(7).normal((60, 50), dtype="float32")).all()
    assert abs(rbm.params.buffer).sum() == pytest.approx(abs(W).sum(), rel=1e-5)
    double = RBM(6, 5, dtype="float64", seed=7)
    assert (double.params["W"] == 0.01 * Generator(7).normal((6, 5), dtype="float64")).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 2), r"^n_visible must be an integer of at least 1, got 0"),
        ((3, 0), r"^n_hidden must be an integer of at least 1, got 0"),
        ((3, 2, "softmax(2)"), r"^n_visible=3 columns do not divide into softmax\(2\) units of 2; use a mul"),
        ((4, 3, "spin", "softmax(2)"), r"^n_hidden=3 columns do not divide into softmax\(2\) units of 2"),
        ((3, 2, "gaussian", "rectified"), r"^gaussian visibles with rectified hiddens have no finite"),
    ],
)
def test_messages_of_the_constructor(arguments, message):
    with pytest.raises(ValueError, match=message):
        RBM(*arguments)


@pytest.mark.parametrize(
    ("n_visible", "n_hidden", "side"), [(5, 3, "hidden"), (3, 5, "visible"), (4, 4, "hidden")]
)
def test_log_partition_lists_the_smaller_side_in_blocks_in_float64(n_visible, n_hidden, side, monkeypatch):
    rows = []

    class Watched(RBM):
        def free_energy(self, v):
            rows.append(("visible", len(v), str(v.dtype), str(self.params["W"].dtype)))
            return super().free_energy(v)

        def hidden_free_energy(self, h):
            rows.append(("hidden", len(h), str(h.dtype), str(self.params["W"].dtype)))
            return super().hidden_free_energy(h)

    rbm = Watched(n_visible, n_hidden)
    rbm.params.buffer[...] = np.random.default_rng(0).normal(size=rbm.params.size)
    monkeypatch.setattr(module, "BLOCK", 3)
    found, total = rbm.log_partition(), 2 ** min(n_visible, n_hidden)
    blocks = [3] * (total // 3) + [total % 3]
    assert rows == [(side, n, "float64", "float64") for n in blocks]
    double = rbm.to(dtype="float64")
    states = double.visible.states(n_visible)
    assert found == pytest.approx(np.logaddexp.reduce(-double.free_energy(states)), rel=1e-13)


def test_limit_of_the_exact_sum_is_the_smaller_side(monkeypatch):
    monkeypatch.setattr(module, "MAX_STATES", 8)
    assert np.isfinite(RBM(3, 5).log_partition())
    assert np.isfinite(RBM(5, 3).log_partition())
    message = r"^exact log Z sums 16 states, more than 2\^25; use minidgm.evaluation.ais\(model\) for an"
    with pytest.raises(IntractableError, match=message):
        RBM(4, 5).log_partition()


@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian", "rectified"])
def test_weights_left_out_are_ones_of_the_data_s_dtype(hidden):
    rbm, rng = RBM(4, 3, hidden=hidden, seed=1), Generator(0)
    v, h, one = rng.uniform((7, 4)), rng.uniform((7, 3)), np.ones(7, dtype="float32")
    rbm.params["W"][...] = rng.normal((4, 3))
    for method, x in (
        (lambda *w: rbm.energy_gradient(v, h, *w), "energy"),
        (lambda *w: rbm.free_energy_gradient(v, *w), "free energy"),
        (lambda *w: rbm.hidden_free_energy_gradient(h, *w), "hidden free energy"),
    ):
        assert (method().buffer == method(one).buffer).all(), x


def test_gradients_go_where_they_are_asked_for():
    rbm, v, h, w = drawn(visible="gaussian"), np.ones((2, 3)), np.ones((2, 2)), np.array([0.5, -2.0])
    for method, x in (
        (rbm.free_energy_gradient, (v, w)),
        (rbm.hidden_free_energy_gradient, (h, w)),
        (rbm.energy_gradient, (v, h, w)),
    ):
        out = rbm.params.like()
        assert method(*x, out=out) is out
        assert (out.buffer == method(*x).buffer).all()
    scratch = np.full((2, 2), np.nan)
    assert (rbm.energy_gradient(v, h, w, scratch=scratch).buffer == rbm.energy_gradient(v, h, w).buffer).all()
    assert (scratch == -w[:, None] * h).all()
    over = h.copy()
    assert (rbm.energy_gradient(v, over, w, scratch=over).buffer == rbm.energy_gradient(v, h, w).buffer).all()
    assert (over == scratch).all()


def test_a_sweep_draws_hidden_then_visible_units_and_returns_both():
    rbm, v, rng = drawn(), np.array([[1.0, 0.0, 1.0]]).repeat(20, axis=0), Generator(1)
    h = rbm.hidden_given_visible(v).sample(rng)
    expected = rbm.visible_given_hidden(h).sample(rng)
    found = rbm.gibbs_step(v, None, Generator(1))
    assert (found[0] == expected).all()
    assert (found[1] == h).all()


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_sample_starts_from_the_visible_biases(visible):
    rbm = drawn(visible=visible).to(dtype="float32")
    rng, own = Generator(3), rbm._own("visible")
    v = rbm.visible.sample(np.tile(rbm.params["b"], (60, 1)), rng, **own)
    assert (rbm.sample(60, 3, steps=0) == v).all()
    for _ in range(2):
        v, _ = rbm.gibbs_step(v, None, rng)
    found = rbm.sample(60, 3, steps=2)
    assert (found == v).all()
    assert found.dtype == np.float32


def test_sample_makes_a_thousand_sweeps_by_default():
    rbm = drawn()
    assert (rbm.sample(9, 5) == rbm.sample(9, 5, steps=1000)).all()
    assert (rbm.sample(9, 5) != rbm.sample(9, 5, steps=1001)).any()


def test_services_name_what_they_cannot_use():
    rbm = drawn()
    with pytest.raises(ValueError, match=r"^n must be an integer of at least 1, got 0"):
        rbm.sample(0, 0)
    with pytest.raises(ValueError, match=r"^steps must be an integer of at least 0, got -1"):
        rbm.sample(2, 0, steps=-1)
    with pytest.raises(DataError, match=r"^init holds 2"):
        rbm.sample(1, 0, init=[[0.0, 2.0, 0.0]])
    for method in (rbm.log_prob, rbm.pseudo_log_likelihood, rbm.reconstruct, rbm.transform):
        with pytest.raises(DataError, match=r"^v holds 2"):
            method(np.full((1, 3), 2.0))


def test_tempered_scales_couplings_and_hidden_biases():
    rbm, base = drawn(visible="gaussian"), np.array([1.0, -1.0, 0.5])
    cooled = rbm.tempered(0.25, base)
    for name in ("W", "c"):
        assert (cooled.params[name] == 0.25 * rbm.params[name]).all()
    assert np.allclose(cooled.params["b"], 0.75 * base + 0.25 * rbm.params["b"], atol=1e-15)
    assert (cooled.params["visible_log_precision"] == rbm.params["visible_log_precision"]).all()
    assert (rbm.tempered(0.25).params["b"] == 0.25 * rbm.params["b"]).all()


def test_centred_gradients_are_written_in_place():
    rbm, mu, lam = drawn(), np.array([0.5, 0.25, 1.0]), np.array([0.5, 0.75])
    grads = rbm.energy_gradient(np.ones((2, 3)), np.ones((2, 2)), np.array([1.0, -0.5]))
    W, b, c = (grads[name].copy() for name in "Wbc")
    assert rbm.center_gradient(grads, mu, lam) is grads
    moved = W - np.outer(mu, c) - np.outer(b, lam)
    assert np.allclose(grads["W"], moved, atol=1e-15)
    assert np.allclose(grads["b"], b - moved @ lam, atol=1e-15)
    assert np.allclose(grads["c"], c - moved.T @ mu, atol=1e-15)


def test_gaussian_hidden_units_written_out():
    """E = -b.v - c.h - v W h + lambda h^2 / 2: sums over v, normal posteriors, conditionals of v."""
    rbm, h = drawn(hidden="gaussian"), np.array([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]])
    W, b, c = (rbm.params[name] for name in "Wbc")
    precision = np.exp(rbm.params["hidden_log_precision"])
    V = rbm.visible.states(3)
    energies = -V @ b - (h @ c)[:, None] - (h @ W.T) @ V.T + 0.5 * (h**2 @ precision)[:, None]
    for row, expected in zip(h, energies, strict=True):
        assert np.allclose(rbm.energy(V, np.tile(row, (8, 1))), expected, atol=1e-13)
    assert np.allclose(rbm.hidden_free_energy(h), -np.logaddexp.reduce(-energies, axis=1), atol=1e-13)
    posterior, field = rbm.hidden_given_visible(V), V @ W + c
    assert np.allclose(posterior.mean, field / precision, atol=1e-13)
    assert np.allclose(posterior.variance, np.ones((8, 2)) / precision, atol=1e-13)
    log_p = V @ b + 0.5 * (field**2 / precision).sum(axis=1)
    log_p -= np.logaddexp.reduce(log_p)
    expected = np.zeros(8)
    for i in range(3):
        others = rbm.visible.alternatives(V, i)[0]
        flipped = [int((V == other).all(axis=1).argmax()) for other in others]
        expected += log_p - np.logaddexp(log_p, log_p[flipped])
    assert np.allclose(rbm.pseudo_log_likelihood(V), expected, atol=1e-12)


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_hidden_free_energy_gradient_is_linear_in_the_weights(visible):
    rbm, h = drawn(visible=visible), np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    w = np.array([0.5, -2.0, 1.0])
    each = [rbm.hidden_free_energy_gradient(row[None]).buffer.copy() for row in h]
    assert np.allclose(rbm.hidden_free_energy_gradient(h, w).buffer, w @ np.array(each), atol=1e-13)
    assert np.allclose(rbm.hidden_free_energy_gradient(h).buffer, sum(each), atol=1e-13)
    step, at = 1e-6 * np.random.default_rng(0).normal(size=rbm.params.size), rbm.params.buffer.copy()
    values = []
    for sign in (1.0, -1.0):
        rbm.params.buffer[...] = at + sign * step
        values.append(w @ rbm.hidden_free_energy(h))
    rbm.params.buffer[...] = at
    slope = rbm.hidden_free_energy_gradient(h, w).buffer @ step
    assert slope == pytest.approx((values[0] - values[1]) / 2.0, rel=1e-6)
