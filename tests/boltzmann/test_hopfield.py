"""Hopfield network: Hebb's rule, descent, recall, and the machine it is the cold limit of."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidgm import BoltzmannMachine, Hopfield, check_model
from minidgm.backend import Generator, asarray, to_numpy
from minidgm.errors import DataError


def patterns(p, n, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (p, n)).astype("float64")


@given(p=st.integers(1, 4), n=st.integers(2, 8), seed=st.integers(0, 1000))
@settings(max_examples=20)
def test_stored_energy_is_that_of_spins_up_to_a_constant(p, n, seed):
    xi = 2 * patterns(p, n, seed) - 1
    w = xi.T @ xi / n
    np.fill_diagonal(w, 0.0)
    network = Hopfield(n, dtype="float64").store((xi + 1) / 2)
    v = network.visible.states(n)
    spins = 2 * v - 1
    of_spins = -0.5 * np.einsum("ni,ij,nj->n", spins, w, spins)
    difference = network.potential(v) - of_spins
    np.testing.assert_allclose(difference, difference[0], atol=1e-10)


@given(n=st.integers(1, 8), seed=st.integers(0, 1000), ordered=st.booleans())
@settings(max_examples=20)
def test_descent_ends_in_a_local_minimum_and_never_rises(n, seed, ordered):
    network = Hopfield(n, dtype="float64")
    network.params.buffer[...] = np.random.default_rng(seed).normal(size=network.params.size)
    start = patterns(6, n, seed)
    end = network.descend(start, rng=None if ordered else 3)
    assert end.converged.all()
    assert np.all(np.diff(end.energies, axis=0) <= 1e-12)
    field = network.field(end.v)
    assert np.all(field[end.v == 1] >= 0)
    assert np.all(field[end.v == 0] <= 0)


def test_few_stored_patterns_are_recalled_from_corrupted_ones(backend):
    """Five random patterns of 200 bits, load 0.025; a fifth of the bits flipped."""
    stored = patterns(5, 200)
    network = Hopfield(200, backend=backend).store(asarray(stored, backend))
    flipped = np.random.default_rng(1).random(stored.shape) < 0.2
    corrupted = np.where(flipped, 1 - stored, stored)
    recalled = to_numpy(network.recall(asarray(corrupted, backend)))
    assert np.array_equal(recalled, stored)
    assert np.array_equal(corrupted, np.where(flipped, 1 - stored, stored))


def test_gibbs_at_falling_temperature_becomes_the_descent():
    """P(a sweep = the descent's), over 2000 chains, rises to 1 as T falls; at T = 1e-4 all agree."""
    network = Hopfield(6, dtype="float64")
    network.params.buffer[...] = np.random.default_rng(0).normal(size=network.params.size)
    v = np.tile(patterns(1, 6), (2000, 1))
    once = network.descend(v, max_sweeps=1).v
    agree = []
    for temperature in (3.0, 1.0, 0.3, 1e-4):
        swept, _ = network.at_temperature(temperature).gibbs_step(v, v[:, :0], Generator(0))
        agree.append((swept == once).all(axis=1).mean())
    assert agree == sorted(agree)
    assert agree[-1] == 1.0


def test_it_is_the_machine_without_hidden_units():
    machine = BoltzmannMachine(5, dtype="float64")
    machine.params.buffer[...] = np.random.default_rng(0).normal(size=machine.params.size)
    network = Hopfield.of(machine)
    v = machine.visible.states(5)
    np.testing.assert_array_equal(network.log_prob(v), machine.log_prob(v))
    with pytest.raises(ValueError, match="2 hidden units; a Hopfield network has none"):
        Hopfield.of(BoltzmannMachine(5, 2))


def test_it_learns_as_the_machine_does_and_is_saved(tmp_path):
    X = patterns(30, 4).astype("float32")
    network = Hopfield(4, seed=0)
    before = float(network.log_prob(X).mean())
    network.fit(X, objective="ExactLikelihood", epochs=20, batch_size=30)
    assert float(network.log_prob(X).mean()) > before
    network.save(tmp_path / "model.safetensors")
    again = Hopfield.load(tmp_path / "model.safetensors")
    assert np.array_equal(again.log_prob(X), network.log_prob(X))


def test_all_identities_hold():
    assert check_model(Hopfield, max_examples=5).ok


def test_bad_input():
    network = Hopfield(3)
    with pytest.raises(DataError, match="no rows"):
        network.store(np.zeros((0, 3)))
    with pytest.raises(DataError, match=r"must be bits.*v > 0\.5"):
        network.store([[0.5, 0.0, 1.0]])
    with pytest.raises(DataError, match="v must be bits"):
        network.descend([[0.5, 0.0, 1.0]])
    with pytest.raises(DataError, match="expected"):
        network.recall([[1.0, 0.0]])
    with pytest.raises(ValueError, match="temperature must be in"):
        network.at_temperature(0.0)
    with pytest.raises(ValueError, match="max_sweeps"):
        network.descend(np.zeros((1, 3)), max_sweeps=0)
