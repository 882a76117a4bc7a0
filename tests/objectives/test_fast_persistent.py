"""Fast weights: chains under theta + theta_fast, and the rule that moves theta_fast."""

import numpy as np
import pytest

from minidgm import Generator
from minidgm.objectives import FastPersistent, PersistentContrastiveDivergence
from tests.objectives.helpers import ALL, drawn, rows


@pytest.mark.parametrize("kind", list(ALL))
def test_without_fast_weights_it_is_pcd(kind):
    model = drawn(kind, seed=1)
    fast, plain = FastPersistent(2, 6, fast_learning_rate=0.0), PersistentContrastiveDivergence(2, 6)
    a, b = Generator(3), Generator(3)
    for n in (4, 7, 1):
        v = rows(model, n, seed=n)
        expected = plain.gradient(model, v, b)[0].buffer
        np.testing.assert_allclose(fast.gradient(model, v, a)[0].buffer, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(fast.state["fast"], 0.0)


@pytest.mark.parametrize("kind", ["bernoulli", "gaussian", "bernoulli-gaussian", "machine"])
def test_rule(kind):
    """g = <dF(data; theta)> - <dF(chains; theta + fast)>, fast <- 0.9 fast - 0.2 g, but for precisions."""
    model = drawn(kind, seed=2)
    objective = FastPersistent(1, 5, fast_learning_rate=0.2, decay=0.9)
    rng = Generator(0)
    objective.gradient(model, rows(model, 3), rng)
    moves = np.concatenate(
        [np.full(x.size, not name.endswith("precision")) for name, x in model.params.items()]
    )
    for step in range(3):
        fast = objective.state["fast"]
        v = rows(model, 3 + step, seed=step)
        grads, _ = objective.gradient(model, v, rng)
        overlay = model.params.copy()
        overlay.buffer[...] += fast
        chains = objective.state["v"]
        expected = model.free_energy_gradient(v, np.full(len(v), 1 / len(v))).buffer.copy()
        expected -= model.with_params(overlay).free_energy_gradient(chains, np.full(5, 0.2)).buffer
        np.testing.assert_allclose(grads.buffer, expected, atol=1e-12)
        np.testing.assert_allclose(
            objective.state["fast"], np.where(moves, 0.9 * fast - 0.2 * grads.buffer, 0.0), atol=1e-13
        )
    assert abs(objective.state["fast"]).max() > 0.01


def test_chains_sample_the_overlay():
    """Fast biases of +-50 decide every visible unit."""
    model = drawn("bernoulli", seed=3)
    objective = FastPersistent(1, 4)
    objective.gradient(model, rows(model, 2), Generator(0))
    state = objective.state
    state["fast"][...] = 0.0
    state["fast"][model.params.offset("b") :][:3] = [50.0, -50.0, 50.0]
    objective.set_state(state)
    objective.gradient(model, rows(model, 2), Generator(1))
    np.testing.assert_array_equal(objective.state["v"], np.tile([1.0, 0.0, 1.0], (4, 1)))


def test_penalties_stay_out_of_the_fast_weights():
    model = drawn("bernoulli", seed=4)
    states = []
    for decay in (0.0, 3.0):
        objective = FastPersistent(1, 4, fast_learning_rate=0.5, weight_decay=decay)
        objective.gradient(model, rows(model, 2), Generator(1))
        states.append(objective.state["fast"])
    np.testing.assert_array_equal(states[0], states[1])


def test_refusals():
    with pytest.raises(ValueError, match=r"decay must lie in \[0, 1\)"):
        FastPersistent(decay=1.0)
