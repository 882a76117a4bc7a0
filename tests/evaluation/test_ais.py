"""AIS, reverse AIS, AIS between models: exact expectations over all paths, two-sided statistical tests."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from minidgm.backend import Generator, to_numpy
from minidgm.evaluation import (
    ais,
    ais_between,
    base_rate,
    linear_betas,
    log_partition_exact,
    reverse_ais,
)
from minidgm.evaluation.annealing import path_from_base
from tests.evaluation.every_path import EveryPath
from tests.evaluation.models import machine, rbm

BETAS = [0.0, 0.3, 0.8, 1.0]
# (visible, columns, states), (hidden, columns, states); a sweep draws every hidden, then every visible unit.
DISCRETE = {
    "bernoulli-bernoulli": (("bernoulli", 2, 4), ("bernoulli", 1, 2)),
    "spin-bernoulli": (("spin", 2, 4), ("bernoulli", 1, 2)),
    "bernoulli-spin": (("bernoulli", 1, 2), ("spin", 2, 4)),
    "softmax-bernoulli": (("softmax(3)", 3, 3), ("bernoulli", 1, 2)),
    "bernoulli-softmax": (("bernoulli", 2, 4), ("softmax(2)", 2, 2)),
}


def mean_weight(estimate, rng):
    """Exact E[w] over all paths."""
    return math.log(np.exp(rng.log_prob + estimate.log_weights).sum())


def constants(estimate):
    """What the estimate adds to the log of the mean weight."""
    weights = estimate.log_weights
    return estimate.value - (np.logaddexp.reduce(weights) - math.log(len(weights)))


@pytest.mark.parametrize("pair", DISCRETE)
@pytest.mark.parametrize("base", [None, "uniform", "given"])
def test_mean_weight_over_every_path_is_the_ratio_of_partition_functions(pair, base):
    (visible, n_v, m_v), (hidden, n_h, m_h) = DISCRETE[pair]
    model = rbm(n_v, n_h, visible, hidden, seed=3)
    given = np.linspace(-1.0, 1.0, n_v) if base == "given" else base
    rng = EveryPath(m_v * (m_h * m_v) ** 2)
    estimate = ais(model, rng.left, betas=BETAS, base=given, rng=rng, block_size=10**6)
    assert np.exp(rng.log_prob).sum() == pytest.approx(1.0, rel=1e-12)
    expected = log_partition_exact(model).value
    assert mean_weight(estimate, rng) + constants(estimate) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(
    ("visible", "hidden", "n_paths", "nodes", "rel"),
    [
        ("bernoulli", "gaussian", 4 * (40 * 4), 40, 1e-9),
        ("gaussian", "bernoulli", 60 * (4 * 60), 60, 1e-8),
        ("bernoulli", "rectified", 4 * (400 * 4), 400, 1e-4),
    ],
)
def test_mean_weight_with_continuous_units(visible, hidden, n_paths, nodes, rel):
    n_v, n_h = (1, 2) if visible == "gaussian" else (2, 1)
    model = rbm(n_v, n_h, visible, hidden, seed=5, scale=0.6)
    rng = EveryPath(n_paths, nodes)
    estimate = ais(model, n_paths, betas=[0.0, 0.6, 1.0], base="uniform", rng=rng, block_size=10**6)
    expected = log_partition_exact(model).value
    assert mean_weight(estimate, rng) + constants(estimate) == pytest.approx(expected, rel=rel)


@pytest.mark.parametrize("n_hidden", [0, 1])
def test_mean_weight_of_a_boltzmann_machine(n_hidden):
    model = machine(2, n_hidden, seed=4)
    rng = EveryPath((2**2 * 2**n_hidden) ** 3)
    estimate = ais(model, rng.left, betas=BETAS, rng=rng, block_size=10**6)
    expected = log_partition_exact(model).value
    assert np.exp(rng.log_prob).sum() == pytest.approx(1.0, rel=1e-12)
    assert mean_weight(estimate, rng) + constants(estimate) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("pair", DISCRETE)
def test_mean_reverse_weight_over_every_path(pair):
    (visible, n_v, m_v), (hidden, n_h, m_h) = DISCRETE[pair]
    model = rbm(n_v, n_h, visible, hidden, seed=3)
    rng = EveryPath((m_h * m_v) ** 2 * m_v)
    states = model.visible.states(n_v)[rng.digit(m_v)]
    estimate = reverse_ais(model, len(states), betas=BETAS, rng=rng, init=states, block_size=10**6)
    log_p = rng.log_prob + to_numpy(model.log_prob(states))
    assert np.exp(log_p).sum() == pytest.approx(1.0, rel=1e-12)
    mean = math.log(np.exp(log_p + estimate.log_weights).sum())
    constant = estimate.value + np.logaddexp.reduce(estimate.log_weights) - math.log(len(states))
    assert constant - mean == pytest.approx(log_partition_exact(model).value, rel=1e-10)


@pytest.mark.parametrize(
    ("hidden_a", "hidden_b"),
    [(("bernoulli", 1, 2), ("bernoulli", 2, 4)), (("spin", 2, 4), ("softmax(3)", 3, 3))],
)
def test_mean_weight_between_two_models(hidden_a, hidden_b):
    a, b = (rbm(2, n_h, "bernoulli", unit, seed=s) for s, (unit, n_h, _) in enumerate((hidden_a, hidden_b)))
    rng = EveryPath(4 * (4 * hidden_a[2] * hidden_b[2]) ** 2)
    states = a.visible.states(2)[rng.digit(4)]
    estimate = ais_between(a, b, len(states), betas=BETAS, rng=rng, init=states, block_size=10**6)
    log_p = rng.log_prob + a.log_prob(states)
    assert np.exp(log_p).sum() == pytest.approx(1.0, rel=1e-12)
    mean = math.log(np.exp(log_p + estimate.log_weights).sum())
    expected = log_partition_exact(b).value - log_partition_exact(a).value
    assert mean + constants(estimate) == pytest.approx(expected, rel=1e-10)


def test_mean_weight_between_gaussian_visibles_of_different_precision():
    a, b = rbm(1, 1, "gaussian", seed=1, scale=0.5), rbm(1, 2, "gaussian", seed=2, scale=0.5)
    rng = EveryPath(60 * (2 * 4 * 60), 60)
    # p_A(v) as a mixture over h_A: the start is a draw of h_A, then of v.
    h = a.hidden.states(1)
    log_p_h = -a.hidden_free_energy(h)
    log_p_h = log_p_h - np.logaddexp.reduce(log_p_h)
    expected = log_partition_exact(b).value - log_partition_exact(a).value
    total = 0.0
    for k in range(2):
        rng = EveryPath(60 * (2 * 4 * 60), 60)
        start = a.visible_given_hidden(np.repeat(h[k : k + 1], len(rng.rest), axis=0)).sample(rng)
        estimate = ais_between(a, b, len(start), betas=[0, 0.4, 1], rng=rng, init=start, block_size=10**6)
        total += np.exp(log_p_h[k] + rng.log_prob + estimate.log_weights).sum()
    assert math.log(total) + constants(estimate) == pytest.approx(expected, rel=1e-7)


def test_one_intermediate_distribution_is_importance_sampling():
    model = rbm(4, 3, seed=1)
    estimate = ais(model, 50, betas=[0.0, 1.0], base="uniform", rng=7)
    path, log_z = path_from_base(model, "uniform")
    start = path.a.visible.sample(np.zeros((50, 4)), Generator(7))
    weights = -model.free_energy(start) - (-start @ path.a.params["b"])
    assert log_z == pytest.approx(4 * math.log(2.0))
    np.testing.assert_allclose(estimate.log_weights + path.log_constants(), weights, rtol=1e-12)


def moments(model, betas):
    """Exact mean and variance of a chain's weight, and a bound on it, by propagating w and w^2 over paths."""
    path = path_from_base(model, None)[0]
    v, h = model.visible.states(model.n_visible), model.hidden.states(model.n_hidden)
    idle = np.zeros((len(h), 0))
    first = second = np.exp(v @ path.a.params["b"] - np.logaddexp.reduce(v @ path.a.params["b"]))
    bound = 0.0
    for here, there in itertools.pairwise(betas):
        w = np.exp(path.log_increment(v, here, there))
        bound += math.log(w.max())
        p_h, p_v = path.hidden_given_visible(v, there)[1], path.visible_given_hidden(idle, h, there)
        to_h = np.exp([p_h.log_prob(np.tile(x, (len(v), 1))) for x in h]).T
        to_v = np.exp([p_v.log_prob(np.tile(x, (len(h), 1))) for x in v]).T
        first, second = (first * w) @ to_h @ to_v, (second * w * w) @ to_h @ to_v
    return first.sum(), second.sum() - first.sum() ** 2, math.exp(bound)


@pytest.mark.parametrize("seed", [0, 1])
def test_estimate_lies_within_bernsteins_bound_on_both_sides(seed):
    """False-alarm rate 1e-6: P(|mean w - E w| > t) <= 2 exp(-n t^2 / 2 / (var + M t / 3)), Bernstein."""
    model, n, betas = rbm(4, 3, seed=seed, scale=0.8), 20000, linear_betas(6)
    mean, variance, largest = moments(model, betas)
    log_rate = math.log(2.0 / 1e-6)
    b = largest * log_rate / (3.0 * n)
    t = b + math.sqrt(b * b + 2.0 * variance * log_rate / n)
    estimate = ais(model, n, betas=betas, rng=seed, block_size=n)
    exact = log_partition_exact(model).value
    assert t < 0.1 * mean, "the test has power"
    assert abs(math.exp(estimate.value - exact) - 1.0) <= t / mean
    # The standard error is the delta method's, and the effective sample size fits to it.
    assert estimate.stderr == pytest.approx(math.sqrt(variance / n) / mean, rel=0.2)
    assert estimate.ess == pytest.approx(n / (1.0 + variance / mean**2), rel=0.1)


def test_value_and_log_weights_agree():
    model = rbm(5, 3, seed=2)
    estimate = ais(model, 64, 5, rng=3)
    w = np.exp(estimate.log_weights)
    _, log_z_base = path_from_base(model, None)
    assert estimate.value == pytest.approx(log_z_base + 3 * math.log(2.0) + math.log(w.mean()), rel=1e-12)
    assert estimate.stderr == pytest.approx(w.std(ddof=1) / w.mean() / 8.0, rel=1e-12)
    assert estimate.ess == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=1e-12)
    assert estimate.log_weights.dtype == np.float64
    assert estimate.samples.shape == (64, 5)
    assert (estimate.kind, estimate.unit) == ("estimate", "nats")
    assert estimate.settings == {
        "n_chains": 64,
        "n_temperatures": 5,
        "block_size": 100,
        "base": "field of idle hidden units",
        "sweeps": "block",
    }


def test_one_chain_has_no_standard_error():
    estimate = ais(rbm(3, 2), 1, 3, rng=0)
    assert estimate.stderr is None
    assert estimate.ess == pytest.approx(1.0)


def test_forward_and_reverse_enclose_the_exact_value():
    """Mean of log w <= log Z <= mean of -log w', chain by chain: off by seven standard errors at most."""
    model = rbm(8, 5, seed=1, scale=1.5)
    exact = log_partition_exact(model).value
    up = ais(model, 4000, 8, base="uniform", rng=0)
    down = reverse_ais(model, 4000, 8, base="uniform", rng=1)
    added = constants(up)
    for weights, sign in ((up.log_weights, 1.0), (down.log_weights, -1.0)):
        error = sign * weights.mean() + added - exact
        assert sign * error < 7.0 * weights.std() / math.sqrt(4000)
        assert abs(error) > 0.05, "far enough from equilibrium to tell the sides apart"
    assert "at least log Z" in down.how
    assert "exact samples" in down.how


@pytest.mark.parametrize(
    ("visible", "hidden"),
    [("bernoulli", "bernoulli"), ("spin", "softmax(2)"), ("gaussian", "spin"), ("softmax(3)", "rectified")],
)
def test_runs_on_every_backend_in_float32(backend, visible, hidden):
    model = rbm(6, 4, visible, hidden, seed=1, scale=0.3, backend=backend, dtype="float32")
    exact = log_partition_exact(model).value
    base = base_rate(model, model.sample(50, 0, steps=5))
    up, down = ais(model, 200, 30, base=base, rng=0), reverse_ais(model, 200, 30, base=base, rng=0)
    # Weights this even (ess near n) put the error at some multiples of 0.01.
    assert min(up.ess, down.ess) > 150
    assert abs(up.value - exact) < 0.1
    assert abs(down.value - exact) < 0.1
    assert up.log_weights.dtype == np.float64


def test_machine_on_every_backend(backend):
    model = machine(4, 3, backend=backend)
    exact = log_partition_exact(model).value
    assert abs(ais(model, 500, 20, rng=0).value - exact) < 0.2
    assert abs(reverse_ais(model, 500, 20, rng=0).value - exact) < 0.2
    other = machine(4, 3, seed=9, backend=backend)
    difference = log_partition_exact(other).value - exact
    assert abs(ais_between(model, other, 500, 20, rng=0).value - difference) < 0.3


def test_between_models_of_two_sizes_on_every_backend(backend):
    a = rbm(6, 3, seed=1, scale=0.5, backend=backend)
    b = rbm(6, 5, hidden="spin", seed=2, scale=0.5, backend=backend)
    difference = log_partition_exact(b).value - log_partition_exact(a).value
    there, back = ais_between(a, b, 500, 50, rng=0), ais_between(b, a, 500, 50, rng=0)
    assert abs(there.value - difference) < 0.1
    assert abs(back.value + difference) < 0.1


def test_samples_follow_the_model():
    """Weighted final states have the model's mean: seven standard errors of a ratio estimate."""
    model, n = rbm(4, 3, seed=6, scale=1.2), 20000
    estimate = ais(model, n, 20, rng=0)
    w = np.exp(estimate.log_weights)
    w /= w.sum()
    v = model.visible.states(4)
    exact = np.exp(model.log_prob(v)) @ v
    error = np.sqrt((w[:, None] ** 2 * (estimate.samples - exact) ** 2).sum(axis=0))
    assert (np.abs(w @ estimate.samples - exact) < 7.0 * error).all()
