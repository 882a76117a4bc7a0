"""Parallel tempering: exchanges keep detailed balance, and chains at the product distribution stay there."""

import itertools

import numpy as np
import pytest
from scipy.stats import chisquare

from minidgm import RBM, Generator
from minidgm.checks.exhaustive import outcomes
from minidgm.samplers import tempering
from minidgm.samplers.tempering import TemperingState
from tests.objectives.helpers import drawn, joint_states, plain_only

BASE = {3: np.array([0.5, -0.3, 0.2]), 2: np.array([0.5, -0.3]), 4: np.array([0.1, -0.2, 0.3, 0.0])}


def tempered_table(model, beta, base):
    """p_beta(v, h) over every joint state, from both energies."""
    V, H = joint_states(model)
    b = 0.0 if base is None else base
    start = -(V * b).sum(axis=1)  # E_0 of units with base biases
    log_p = -(1 - beta) * start - beta * model.energy(V, H)
    p = np.exp(log_p - log_p.max())
    return p / p.sum()


@pytest.mark.parametrize("base", [None, "base"])
@pytest.mark.parametrize("betas", [[1.0, 0.4], [1.0, 0.6, 0.0]])
def test_exchange_is_stationary_by_its_matrix(betas, base):
    """The exact matrix of `swap` on the product space of a 2-1 RBM: pi S = pi; one pair: detailed balance."""
    model = RBM(2, 1, dtype="float64")
    model.params.buffer[...] = [1.5, -1.2, 0.3, -0.6, 0.8]
    base = BASE[2] if base else None
    V, H = joint_states(model)
    T, m = len(betas), len(V)
    tables = [tempered_table(model, beta, base) for beta in betas]
    index = {tuple(map(float, [*v, *h])): i for i, (v, h) in enumerate(zip(V, H, strict=True))}
    states = list(itertools.product(range(m), repeat=T))
    place = {s: i for i, s in enumerate(states)}
    pi = np.array([np.prod([tables[t][s[t]] for t in range(T)]) for s in states])
    S = np.zeros((len(states), len(states)))
    for s in states:
        state = TemperingState(V[list(s)][:, None, :], H[list(s)][:, None, :])
        for p, (new, _) in outcomes(lambda rng, state=state: tempering.swap(model, state, betas, rng, base)):
            end = tuple(index[tuple(map(float, [*new.v[t, 0], *new.h[t, 0]]))] for t in range(T))
            S[place[s], place[end]] += p
    np.testing.assert_allclose(S.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(pi @ S, pi, atol=1e-14)
    flow = pi[:, None] * S
    if T == 2:
        np.testing.assert_allclose(flow, flow.T, atol=1e-14)
    assert (S < 1 - 1e-9).any(), "nothing is ever exchanged"


@pytest.mark.parametrize("kind", ["bernoulli", "spin", "softmax", "machine"])
@pytest.mark.parametrize("base", [False, True])
def test_product_distribution_stays(kind, base):
    """20,000 ladders started exactly at the product of tempered densities; false alarm 1e-6 over 3 tests."""
    model = drawn(kind, seed=5, scale=1.2)
    base = BASE[model.n_visible] if base else None
    betas, m = [1.0, 0.5, 0.0], 20_000
    V, H = joint_states(model)
    tables = [tempered_table(model, beta, base) for beta in betas]
    rng = np.random.default_rng(2)
    start = [rng.choice(len(V), size=m, p=p) for p in tables]
    state = TemperingState(np.stack([V[s] for s in start]), np.stack([H[s] for s in start]))
    state, info = tempering.step(model, state, betas, Generator(4), k=2, base=base)
    assert info.swap_rate.shape == (2,)
    for t, p in enumerate(tables):
        found = [
            ((state.v[t] == v).all(axis=1) & (state.h[t] == h).all(axis=1)).sum()
            for v, h in zip(V, H, strict=True)
        ]
        assert chisquare(found, m * p).pvalue > 3e-7


class Deterministic:
    """Stands for a generator: draws the more probable value, or the mean."""

    def bernoulli_from_logits(self, x, bias=None, out=None, mean=None):
        return (x > 0).astype(x.dtype)

    def bernoulli(self, p, out=None):
        return (p > 0.5).astype(p.dtype)

    def normal(self, shape, dtype="float64"):
        return np.zeros(shape, dtype)

    def categorical(self, logits, axis=-1):
        return (logits == logits.max(axis=axis, keepdims=True)).astype(logits.dtype)


@pytest.mark.parametrize("kind", ["bernoulli", "spin", "softmax", "gaussian", "bernoulli-gaussian"])
def test_one_stack_of_rows_equals_one_temperature_at_a_time(kind, monkeypatch):
    model = drawn(kind, seed=6, scale=1.5)
    rng = np.random.default_rng(0)
    betas = [1.0, 0.7, 0.3, 0.0]
    state = TemperingState(rng.normal(size=(4, 6, model.n_visible)), rng.normal(size=(4, 6, model.n_hidden)))
    base = BASE[model.n_visible]
    stacked, info = tempering.step(model, state, betas, Deterministic(), k=3, base=base)
    plain_only(monkeypatch)
    single, expected = tempering.step(model, state, betas, Deterministic(), k=3, base=base)
    np.testing.assert_allclose(stacked.v, single.v, atol=1e-12)
    np.testing.assert_allclose(stacked.h, single.h, atol=1e-12)
    np.testing.assert_allclose(info.swap_rate, expected.swap_rate, atol=1e-12)


def test_swap_rates_are_mean_acceptances():
    model = drawn("bernoulli", seed=7)
    V, H = joint_states(model)
    state = TemperingState(np.stack([V, V[::-1]]), np.stack([H, H[::-1]]))
    _, info = tempering.swap(model, state, [1.0, 0.5], Generator(0))
    u = model.energy(V, H)
    assert info.swap_rate[0] == pytest.approx(np.minimum(1, np.exp(0.5 * (u - u[::-1]))).mean())


def test_a_state_can_climb_the_whole_ladder():
    """Even pairs, then odd ones: where every exchange is sure, state 0 goes to row 2 and row 1 comes down."""
    model = drawn("bernoulli", seed=7)
    model.params.buffer[...] = 0.0
    V, H = joint_states(model)
    state = TemperingState(V[:12].reshape(3, 4, 3), H[:12].reshape(3, 4, 2))
    new, info = tempering.swap(model, state, [1.0, 0.5, 0.0], Generator(0))
    np.testing.assert_array_equal(new.v, state.v[[1, 2, 0]])
    np.testing.assert_array_equal(new.h, state.h[[1, 2, 0]])
    np.testing.assert_array_equal(info.swap_rate, 1.0)


def test_ladders():
    assert tempering.linear(1) == [1.0]
    with pytest.raises(ValueError, match="n_temperatures=0"):
        tempering.linear(0)
    model = drawn("bernoulli")
    for betas in ([0.9, 0.0], [1.0, 1.0], [1.0, -0.1], []):
        with pytest.raises(ValueError, match="fall from 1"):
            tempering.init(model, betas, 2, Generator(0))


@pytest.mark.parametrize("kind", ["bernoulli", "machine"])
@pytest.mark.parametrize("betas", [[0.9, 0.5, 0.0], [1.0, 0.5, -0.1], [1.0, 0.2, 0.4], [1.0, np.nan, 0.0]])
def test_a_step_refuses_a_ladder_that_does_not_fall_from_one(kind, betas):
    model, rng = drawn(kind), Generator(0)
    state = tempering.init(model, tempering.linear(3), 2, rng)
    with pytest.raises(ValueError, match=r"temperatures fall from 1 to at least 0, got \[.*see linear"):
        tempering.step(model, state, betas, rng)


@pytest.mark.parametrize("kind", ["bernoulli", "machine"])
def test_a_step_refuses_other_numbers_of_temperatures_and_no_sweep(kind):
    model, rng = drawn(kind), Generator(0)
    state = tempering.init(model, tempering.linear(3), 2, rng)
    for n in (2, 4):
        with pytest.raises(ValueError, match=f"{n} inverse temperatures for chains of 3; pass those"):
            tempering.step(model, state, tempering.linear(n), rng)
    with pytest.raises(ValueError, match=r"^k must be an integer of at least 1, got 0"):
        tempering.step(model, state, tempering.linear(3), rng, k=0)
