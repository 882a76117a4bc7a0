"""Persistent chains: their own number, their own state, and unbiased where they are at p."""

import numpy as np
import pytest
from scipy.stats import chisquare

from minidgm import Generator
from minidgm.checks.exhaustive import expectation
from minidgm.objectives import PersistentContrastiveDivergence, StochasticMaximumLikelihood
from tests.objectives.helpers import (
    ALL,
    assert_gradients,
    drawn,
    joint_states,
    log_visible,
    plain_only,
    rows,
    transition,
)


def started(model, v, h, k=1):
    objective = PersistentContrastiveDivergence(k, n_chains=len(v))
    objective.set_state({"v": v, "h": h})
    return objective


@pytest.mark.parametrize("kind", list(ALL))
@pytest.mark.parametrize("n", [1, 3, 8])
def test_unequal_numbers_of_rows_and_chains(kind, n):
    """The bias gradient is the chains' mean minus the data's, whatever the two numbers (bug a)."""
    model = drawn(kind, seed=2)
    objective = PersistentContrastiveDivergence(2, n_chains=5)
    for step in range(3):
        v = rows(model, n + step, seed=step)
        grads, metrics = objective.gradient(model, v, Generator(step))
        chains = objective.state["v"]
        assert chains.shape == (5, model.n_visible)
        np.testing.assert_allclose(grads["b"], chains.mean(axis=0) - v.mean(axis=0), atol=1e-12)
        assert metrics["mean_gap"] == pytest.approx(abs(grads["b"]).mean())
        weights = np.concatenate([np.full(len(v), 1 / len(v)), np.full(5, -1 / 5)])
        expected = model.free_energy_gradient(np.concatenate([v, chains]), weights)
        assert_gradients(grads, expected)


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("k", [1, 2])
def test_expectation_is_data_minus_chains_moved_by_the_kernel(in_place, k, monkeypatch):
    """Over every outcome: from h, k sweeps v ~ p(v|h), h ~ p(h|v)."""
    if not in_place:
        plain_only(monkeypatch)
    model = drawn("bernoulli", seed=3)
    model = type(model)(2, 1, dtype="float64")
    model.params.buffer[...] = [0.9, -0.7, 0.3, -0.4, 0.5]
    data, h = rows(model, 3), np.array([[1.0]])

    def run(rng):
        grads, _ = started(model, np.zeros((1, 2)), h, k).gradient(model, data, rng)
        return {name: g.copy() for name, g in grads.items()}

    V = model.visible.states(2)
    given_h = np.exp(-model.energy(V, np.repeat(h, 4, axis=0)))
    end = given_h / given_h.sum() @ np.linalg.matrix_power(transition(model), k - 1)
    expected = model.free_energy_gradient(
        np.concatenate([data, V]), np.concatenate([np.full(3, 1 / 3), -end])
    )
    assert_gradients(expectation(run), expected)


@pytest.mark.parametrize("kind", ["bernoulli", "spin", "softmax-softmax", "machine"])
def test_chains_at_p_stay_at_p(kind):
    """Start 40,000 chains exactly at p(v, h): two steps later they still are (false alarm 1e-6)."""
    model = drawn(kind, seed=4, scale=1.0)
    V, H = joint_states(model)
    p = np.exp(-model.energy(V, H))
    p /= p.sum()
    start = np.random.default_rng(7).choice(len(p), size=40_000, p=p)
    objective = started(model, V[start], H[start], k=2)
    rng = Generator(11)
    for step in range(2):
        objective.gradient(model, rows(model, 3, seed=step), rng)
    state = objective.state
    found = [
        ((state["v"] == v).all(axis=1) & (state["h"] == h).all(axis=1)).sum()
        for v, h in zip(V, H, strict=True)
    ]
    assert chisquare(found, 40_000 * p).pvalue > 1e-6


@pytest.mark.parametrize("kind", [kind for kind in ALL if "machine" not in kind])
@pytest.mark.parametrize("k", [1, 2])
def test_in_place_equals_plain(kind, k, monkeypatch):
    model = drawn(kind, seed=5)
    batches = [rows(model, n, seed=n) for n in (4, 9, 2)]

    def run():
        objective, rng = PersistentContrastiveDivergence(k, n_chains=6), Generator(1)
        return [objective.gradient(model, v, rng)[0].buffer.copy() for v in batches], objective.state

    fast, fast_state = run()
    plain_only(monkeypatch)
    plain, plain_state = run()
    np.testing.assert_allclose(fast, plain, rtol=1e-11, atol=1e-12)
    for name, value in plain_state.items():
        np.testing.assert_allclose(fast_state[name], value, atol=1e-12)


def test_chains_start_independent_of_the_batch():
    model = drawn("bernoulli", seed=6)
    states = []
    for v in (np.zeros((2, 3)), np.ones((7, 3))):
        objective = PersistentContrastiveDivergence(n_chains=50)
        objective.gradient(model, v, Generator(3))
        states.append(objective.state)
    np.testing.assert_array_equal(states[0]["v"], states[1]["v"])
    np.testing.assert_array_equal(states[0]["h"], states[1]["h"])


def test_chains_of_another_model_are_refused():
    objective = PersistentContrastiveDivergence(n_chains=3)
    small, large = drawn("bernoulli"), drawn("bernoulli, wide")
    objective.gradient(small, rows(small, 2), Generator(0))
    with pytest.raises(ValueError, match=r"\(3, 3\).*call reset\(\)"):
        objective.gradient(large, rows(large, 2), Generator(0))
    objective.reset()
    objective.gradient(large, rows(large, 2), Generator(0))


def test_many_chains_at_p_give_the_likelihood_gradient():
    """With 50,000 chains at p the step is the likelihood's gradient, within 5.5 standard errors.

    Eleven parameters: false alarm below 1e-6.
    """
    model = drawn("bernoulli", seed=9)
    data = rows(model, 4)
    V, H = joint_states(model)
    p = np.exp(-model.energy(V, H))
    start = np.random.default_rng(1).choice(len(p), size=50_000, p=p / p.sum())
    grads, _ = started(model, V[start], H[start]).gradient(model, data, Generator(2))
    states = model.visible.states(3)
    q = np.exp(log_visible(model))
    each = np.stack([model.free_energy_gradient(s[None]).buffer for s in states])
    sigma = np.sqrt(q @ (each - q @ each) ** 2 / 50_000)
    expected = model.free_energy_gradient(data, np.full(4, 0.25)).buffer - q @ each
    assert (abs(grads.buffer - expected) < 5.5 * sigma + 1e-12).all()


def test_alias():
    assert StochasticMaximumLikelihood is PersistentContrastiveDivergence
