"""Tempered persistent chains: PCD's estimate from the chains at beta = 1 of a ladder."""

import numpy as np
import pytest

from minidgm import RBM, Generator
from minidgm.objectives import PersistentContrastiveDivergence, TemperedPersistent
from minidgm.samplers import TemperingState, tempering
from tests.objectives.helpers import ALL, drawn, joint_states, rows


@pytest.mark.parametrize("kind", list(ALL))
def test_gradient_from_the_coldest_chains(kind):
    """Each step is `tempering.step` from the state before, then data minus the chains at beta = 1."""
    model = drawn(kind, seed=1)
    objective = TemperedPersistent(3, k=2, n_chains=4)
    objective.gradient(model, rows(model, 2), Generator(0))
    for step in range(2):
        before, v = objective.state, rows(model, 3 + step, seed=step)
        grads, metrics = objective.gradient(model, v, Generator(step))
        state, info = tempering.step(
            model, TemperingState(before["v"], before["h"]), [1.0, 0.5, 0.0], Generator(step), k=2
        )
        np.testing.assert_array_equal(objective.state["v"], state.v)
        weights = np.concatenate([np.full(len(v), 1 / len(v)), np.full(4, -1 / 4)])
        expected = model.free_energy_gradient(np.concatenate([v, state.v[0]]), weights).buffer
        np.testing.assert_allclose(grads.buffer, expected, atol=1e-12)
        assert metrics["swap_rate"] == pytest.approx(info.swap_rate.mean())


@pytest.mark.parametrize("kind", ["bernoulli", "gaussian-spin"])
def test_one_temperature_is_pcd(kind):
    model = drawn(kind, seed=2)
    tempered, plain = TemperedPersistent(1, 2, 5), PersistentContrastiveDivergence(2, 5)
    a, b = Generator(1), Generator(1)
    for n in (3, 6):
        v = rows(model, n)
        grads, metrics = tempered.gradient(model, v, a)
        np.testing.assert_allclose(
            grads.buffer, plain.gradient(model, v, b)[0].buffer, rtol=1e-10, atol=1e-12
        )
        assert "swap_rate" not in metrics


def test_crosses_between_modes():
    """Two modes 60 nats deep: 50 steps of PCD from one stay there, the ladder's cold chains are in both."""
    model = RBM(8, 1, dtype="float64")
    model.params["W"][...] = 16.0
    model.params["b"][...] = -8.0
    model.params["c"][...] = -64.0  # all off or all on: F(0) = F(1) = -log(1 + e^-64), about equal
    ones = {}
    for objective in (TemperedPersistent(10, n_chains=100), PersistentContrastiveDivergence(n_chains=100)):
        rng = Generator(0)
        objective.gradient(model, np.zeros((1, 8)), rng)
        state = objective.state
        state["v"][...] = 0.0
        state["h"][...] = 0.0
        objective.set_state(state)
        for _ in range(50):
            objective.gradient(model, np.zeros((1, 8)), rng)
        v = objective.state["v"]
        ones[type(objective)] = (v[0] if v.ndim == 3 else v).mean()
    V, H = joint_states(model)
    p = np.exp(-model.energy(V, H))
    assert p[V.sum(axis=1) == 8].sum() / p.sum() == pytest.approx(0.5, abs=0.01)
    assert ones[PersistentContrastiveDivergence] < 0.01
    assert 0.2 < ones[TemperedPersistent] < 0.8
