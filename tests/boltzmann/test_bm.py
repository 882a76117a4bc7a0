"""Boltzmann machine against plain enumeration of its energy."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import chisquare

from minidgm import BoltzmannMachine, IntractableError
from minidgm.backend import Generator, asarray, to_numpy
from minidgm.errors import DataError


def drawn(n_visible=3, n_hidden=2, seed=0, scale=0.6, **kwargs):
    machine = BoltzmannMachine(n_visible, n_hidden, dtype="float64", **kwargs)
    values = scale * np.random.default_rng(seed).normal(size=machine.params.size)
    machine.params.buffer[...] = asarray(values, machine.backend)
    return machine


def table(machine):
    """Every E(v, h), by the text's quadratic form on bits."""
    R, W, S, b, c = (to_numpy(machine.params[k]) for k in "RWSbc")
    V, H = machine.visible.states(machine.n_visible), machine.hidden.states(machine.n_hidden)
    E = [[-v @ R @ v - v @ W @ h - h @ S @ h - b @ v - c @ h for h in H] for v in V]
    return V, H, np.array(E)


cases = st.tuples(st.integers(1, 4), st.integers(0, 3), st.integers(0, 2**32 - 1))


@given(case=cases)
@settings(max_examples=20)
def test_densities_and_conditionals_from_the_energy_table(case):
    n_v, n_h, seed = case
    machine = drawn(n_v, n_h, seed)
    V, H, E = table(machine)
    pairs_v, pairs_h = np.repeat(V, len(H), axis=0), np.tile(H, (len(V), 1))
    np.testing.assert_allclose(machine.energy(pairs_v, pairs_h), E.ravel(), atol=1e-12)
    np.testing.assert_allclose(machine.free_energy(V), -logsumexp(-E, axis=1), atol=1e-12)
    np.testing.assert_allclose(machine.log_prob(V), logsumexp(-E, axis=1) - logsumexp(-E), atol=1e-12)
    posterior = np.exp(-E - logsumexp(-E, axis=1, keepdims=True))
    np.testing.assert_allclose(machine.hidden_given_visible(V).mean, posterior @ H, atol=1e-12)
    np.testing.assert_allclose(
        machine.hidden_given_visible(pairs_v).log_prob(pairs_h), np.log(posterior).ravel(), atol=1e-10
    )
    # The field of a unit is the log-odds of switching it on with all others held.
    for i in range(n_v):
        on, off = pairs_v.copy(), pairs_v.copy()
        on[:, i], off[:, i] = 1, 0
        odds = machine.energy(off, pairs_h) - machine.energy(on, pairs_h)
        np.testing.assert_allclose(machine.visible_field(pairs_v, pairs_h)[:, i], odds, atol=1e-12)
    for j in range(n_h):
        on, off = pairs_h.copy(), pairs_h.copy()
        on[:, j], off[:, j] = 1, 0
        odds = machine.energy(pairs_v, off) - machine.energy(pairs_v, on)
        np.testing.assert_allclose(machine.hidden_field(pairs_v, pairs_h)[:, j], odds, atol=1e-12)
    expected = np.zeros(len(V))
    log_p = machine.log_prob(V)
    for row, v in enumerate(V):
        for i in range(n_v):
            same = (np.delete(V, i, 1) == np.delete(v, i)).all(axis=1)
            expected[row] += log_p[row] - logsumexp(log_p[same])
    np.testing.assert_allclose(machine.pseudo_log_likelihood(V), expected, atol=1e-11)


@given(case=cases)
@settings(max_examples=20)
def test_weighted_gradients_by_difference(case):
    n_v, n_h, seed = case
    machine, rng = drawn(n_v, n_h, seed), np.random.default_rng(seed)
    n = int(rng.integers(0, 5))
    v, h, w = rng.uniform(size=(n, n_v)), rng.uniform(size=(n, n_h)), rng.normal(size=n)
    direction, at = rng.normal(size=machine.params.size), machine.params.buffer.copy()
    energy, free = machine.energy_gradient(v, h, w).buffer, machine.free_energy_gradient(v, w).buffer

    def slope(f):
        values = []
        for step in (1e-5, -1e-5):
            machine.params.buffer[...] = at + step * direction
            values.append(f())
        machine.params.buffer[...] = at
        return (values[0] - values[1]) / 2e-5

    assert energy @ direction == pytest.approx(slope(lambda: w @ machine.energy(v, h)), rel=1e-6, abs=1e-7)
    assert free @ direction == pytest.approx(slope(lambda: w @ machine.free_energy(v)), rel=1e-6, abs=1e-7)


def test_learning_is_hebbian():
    """d log p / dR_ij = <v_i v_j>_data - <v_i v_j>_model; hidden pairs likewise."""
    machine = drawn(3, 2, seed=2)
    V, H, E = table(machine)
    joint = np.exp(-E - logsumexp(-E))
    data = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 1.0]])
    grads = machine.free_energy_gradient(
        np.concatenate([data, V]), np.concatenate([np.full(3, 1 / 3), -joint.sum(axis=1)])
    )
    dreams = V.T @ (joint.sum(axis=1)[:, None] * V)
    np.testing.assert_allclose(-grads["R"], data.T @ data / 3 - dreams, atol=1e-12)
    rows = [int(r @ [1, 2, 4]) for r in data]
    clamped = (joint / joint.sum(axis=1, keepdims=True))[rows].mean(axis=0)
    np.testing.assert_allclose(-grads["S"], H.T @ ((clamped - joint.sum(axis=0))[:, None] * H), atol=1e-12)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_mean_field_ascends_the_bound_to_a_fixed_point(seed):
    """ELBO(mu) = -E(v, mu) + H(mu), linear in each mean, never falls and stays below log p(v)."""
    machine = drawn(3, 3, seed, scale=1.0)
    V = machine.visible.states(3)

    def bound(mu):
        mu = np.clip(mu, 1e-15, 1 - 1e-15)
        return -machine.energy(V, mu) - (mu * np.log(mu) + (1 - mu) * np.log1p(-mu)).sum(axis=1)

    bounds = [bound(machine.mean_field(V, None, k).mean) for k in (1, 2, 3, 10, 200)]
    for earlier, later in itertools.pairwise(bounds):
        assert (later >= earlier - 1e-10).all()
    assert (bounds[-1] <= -machine.free_energy(V) + 1e-10).all()
    result = machine.mean_field(V, 1e-12, 2000)
    np.testing.assert_allclose(
        result.mean, 1 / (1 + np.exp(-machine.hidden_field(V, result.mean))), atol=1e-10
    )
    assert result.iterations < 2000


def test_gibbs_keeps_the_exact_distribution(backend):
    """40,000 chains started exactly at p(v, h) and swept twice: chi-square at 1e-6."""
    machine = drawn(2, 2, seed=3, scale=1.0, backend=backend)
    V, H, E = table(machine)
    p = np.exp(-E - logsumexp(-E)).ravel()
    pick = np.random.default_rng(1).choice(16, size=40_000, p=p)
    v, h = asarray(V[pick // 4], backend), asarray(H[pick % 4], backend)
    rng = Generator(5, backend)
    for _ in range(2):
        v, h = machine.gibbs_step(v, h, rng)
    cell = (to_numpy(v) @ [1, 2]).astype(int) * 4 + (to_numpy(h) @ [1, 2]).astype(int)
    assert chisquare(np.bincount(cell, minlength=16), 40_000 * p).pvalue > 1e-6
    free = to_numpy(machine.sample(40_000, 6, steps=30))
    counts = np.bincount((free @ [1, 2]).astype(int), minlength=4)
    assert chisquare(counts, 40_000 * p.reshape(4, 4).sum(axis=1)).pvalue > 1e-6


def test_backend_parity(backend):
    host, device = drawn(4, 3, 1), drawn(4, 3, 1, backend=backend)
    v, h = np.random.default_rng(0).uniform(size=(2, 5, 4))
    w, h = np.random.default_rng(1).normal(size=5), h[:, :3]
    args = [asarray(x, backend) for x in (v, h, w)]
    np.testing.assert_allclose(to_numpy(device.energy(*args[:2])), host.energy(v, h))
    np.testing.assert_allclose(to_numpy(device.log_prob(args[0])), host.log_prob(v))
    np.testing.assert_allclose(to_numpy(device.mean_field(args[0]).mean), host.mean_field(v).mean)
    np.testing.assert_allclose(
        to_numpy(device.energy_gradient(*args).buffer), host.energy_gradient(v, h, w).buffer
    )


def test_without_hidden_units():
    machine = drawn(3, 0, seed=4)
    v, h = machine.gibbs_step(machine.visible.states(3), None, Generator(0))
    assert v.shape == (8, 3)
    assert h.shape == (8, 0)
    np.testing.assert_allclose(np.exp(machine.log_prob(machine.visible.states(3))).sum(), 1.0)


def test_inputs_stay_as_they_were():
    machine = drawn()
    v, h = np.ones((2, 3)), np.ones((2, 2))
    machine.gibbs_step(v, h, Generator(0)), machine.mean_field(v), machine.pseudo_log_likelihood(v)
    machine.energy_gradient(v, h, np.ones(2)), machine.free_energy_gradient(v)
    assert (v == 1).all()
    assert (h == 1).all()


def test_limits_and_bad_input():
    assert not BoltzmannMachine(3, 13).exact_posterior
    with pytest.raises(IntractableError, match="mean_field"):
        BoltzmannMachine(3, 13).free_energy(np.zeros((1, 3)))
    with pytest.raises(IntractableError, match=r"2\^26 states"):
        BoltzmannMachine(20, 6).log_partition()
    with pytest.raises(ValueError, match="n_hidden must be an integer of at least 0, got -1"):
        BoltzmannMachine(3, -1)
    with pytest.raises(DataError, match="holds 3"):
        BoltzmannMachine(3).log_prob([[0, 3, 1]])
    with pytest.raises(DataError, match=r"expected \[n, 3\]"):
        BoltzmannMachine(3).log_prob(np.zeros((1, 2)))
