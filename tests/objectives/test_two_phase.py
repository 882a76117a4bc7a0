"""Where the posterior is not enumerated: mean field of the data, the chains' own hidden states."""

import numpy as np
import pytest

from minidgm import BoltzmannMachine, Generator
from minidgm.boltzmann import bm
from minidgm.objectives import (
    ContrastiveDivergence,
    FastPersistent,
    PersistentContrastiveDivergence,
    TemperedPersistent,
    two_phase,
)
from tests.objectives.helpers import drawn, rows


@pytest.fixture
def machine(monkeypatch):
    """A machine that refuses to enumerate its two hidden units."""
    model = drawn("machine", seed=1)
    monkeypatch.setattr(bm, "MAX_HIDDEN_BITS", 1)
    assert not model.exact_posterior
    return model


@pytest.mark.parametrize("n", [1, 4])
def test_mean_field_of_the_data_and_states_of_the_chains(machine, n):
    objective = PersistentContrastiveDivergence(1, n_chains=3)
    for step in range(2):
        v = rows(machine, n, seed=step)
        grads, _ = objective.gradient(machine, v, Generator(step))
        state = objective.state
        mean = machine.mean_field(v, None, two_phase.MEAN_FIELD_SWEEPS).mean
        expected = machine.energy_gradient(v, mean, np.full(n, 1 / n)).buffer.copy()
        expected -= machine.energy_gradient(state["v"], state["h"], np.full(3, 1 / 3)).buffer
        np.testing.assert_allclose(grads.buffer, expected, atol=1e-13)


def test_fast_weights_use_the_same_two_sides(machine):
    fast = FastPersistent(1, n_chains=3, fast_learning_rate=0.0)
    plain = PersistentContrastiveDivergence(1, n_chains=3)
    v = rows(machine, 4)
    for seed in (1, 2):
        expected = plain.gradient(machine, v, Generator(seed))[0].buffer
        np.testing.assert_allclose(fast.gradient(machine, v, Generator(seed))[0].buffer, expected, atol=1e-13)


@pytest.mark.parametrize("make", [ContrastiveDivergence, PersistentContrastiveDivergence, TemperedPersistent])
def test_many_hidden_units(make):
    """Twenty hidden units: 2^20 posterior states are never listed."""
    model = BoltzmannMachine(4, 20, dtype="float64", seed=0)
    grads, metrics = make().gradient(model, np.eye(4), Generator(0))
    assert np.isfinite(grads.buffer).all()
    assert np.isfinite(metrics["mean_gap"])


def test_mean_field_approaches_the_exact_gradient(monkeypatch):
    """With independent hidden units the mean field is exact, and so is the positive phase."""
    model = drawn("machine", seed=3)
    model.params["S"][...] = 0.0
    v = rows(model, 5)
    exact = two_phase.phase(model, v, 1.0, None).buffer.copy()
    monkeypatch.setattr(bm, "MAX_HIDDEN_BITS", 1)
    np.testing.assert_allclose(two_phase.phase(model, v, 1.0, None).buffer, exact, atol=1e-13)
