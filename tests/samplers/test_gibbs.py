"""Block Gibbs: the sweep keeps p, and the half sweeps into arrays are the conditionals."""

import numpy as np
import pytest
from scipy.stats import chisquare

from minidgm import Generator
from minidgm.backend import asarray, to_numpy
from minidgm.checks.exhaustive import outcomes
from minidgm.samplers import gibbs
from tests.objectives.helpers import ALL, DISCRETE, drawn, joint_states, rows

FINITE = [kind for kind in DISCRETE if kind not in ("bernoulli-gaussian", "bernoulli-rectified")]


@pytest.mark.parametrize("kind", FINITE)
def test_sweep_keeps_the_joint_distribution(kind):
    """30,000 chains started exactly at p(v, h); false alarm 1e-6."""
    model = drawn(kind, seed=1, scale=1.0)
    V, H = joint_states(model)
    p = np.exp(-model.energy(V, H))
    p /= p.sum()
    start = np.random.default_rng(3).choice(len(p), size=30_000, p=p)
    state, _ = gibbs.step(model, gibbs.GibbsState(V[start], H[start]), Generator(5), k=3)
    found = [
        ((state.v == v).all(axis=1) & (state.h == h).all(axis=1)).sum() for v, h in zip(V, H, strict=True)
    ]
    assert chisquare(found, 30_000 * p).pvalue > 1e-6


@pytest.mark.parametrize("kind", FINITE)
def test_init_draws_hidden_units_from_the_posterior(kind):
    model = drawn(kind, seed=2, scale=1.0)
    if not model.n_hidden:
        return
    v = np.repeat(rows(model, 1), 20_000, axis=0)
    state = gibbs.init(model, v, Generator(1))
    expected = to_numpy(model.hidden_given_visible(v[:1]).mean)[0]
    scale = np.sqrt(to_numpy(model.hidden_given_visible(v[:1]).variance)[0] / 20_000)
    assert (abs(state.h.mean(axis=0) - expected) < 5.5 * scale + 1e-12).all()  # below 1e-6 for 3 units


def test_chain_is_pure_and_repeatable():
    model = drawn("bernoulli", seed=3)
    v, h = rows(model, 4), np.zeros((4, 2))
    before = v.copy()
    first, info = gibbs.step(model, gibbs.GibbsState(v, h), Generator(0), k=2)
    again, _ = gibbs.step(model, gibbs.GibbsState(v, h), Generator(0), k=2)
    np.testing.assert_array_equal(v, before)
    np.testing.assert_array_equal(h, 0.0)
    np.testing.assert_array_equal(first.v, again.v)
    np.testing.assert_array_equal(first.h, again.h)
    assert 0 <= info.changed <= 1
    with pytest.raises(ValueError, match="k=0"):
        gibbs.step(model, first, Generator(0), k=0)


def test_changed_counts_the_last_sweep():
    model = drawn("bernoulli", seed=3)
    model.params["b"][...] = [100.0, -100.0, 100.0]
    model.params["W"][...] = 0.0
    _, info = gibbs.step(model, gibbs.GibbsState(np.zeros((2, 3)), np.zeros((2, 2))), Generator(0))
    assert info.changed == pytest.approx(2 / 3)
    _, info = gibbs.step(model, gibbs.GibbsState(np.zeros((2, 3)), np.zeros((2, 2))), Generator(0), k=2)
    assert info.changed == 0


@pytest.mark.parametrize("kind", [kind for kind in ALL if "machine" not in kind])
def test_half_sweeps_into_arrays(kind, backend):
    """Mean, draw or both: equal to the conditionals with the same random numbers."""
    model = drawn(kind, seed=4, dtype="float32", backend=backend)
    v = rows(model, 5)
    sides = [
        (gibbs.fill_hidden, v, model.hidden_given_visible(v), model.n_hidden),
        (
            gibbs.fill_visible,
            h := model.hidden_given_visible(v).mean,
            model.visible_given_hidden(h),
            model.n_visible,
        ),
    ]
    for fill, x, given, width in sides:
        draw, mean, alone = (asarray(np.zeros((5, width)), backend, "float32") for _ in range(3))
        fill(model, x, Generator(1, backend), draw=draw, mean=mean)
        fill(model, x, mean=alone)
        np.testing.assert_allclose(to_numpy(mean), to_numpy(given.mean), rtol=2e-5, atol=2e-6)
        np.testing.assert_allclose(to_numpy(alone), to_numpy(given.mean), rtol=2e-5, atol=2e-6)
        expected = to_numpy(given.sample(Generator(1, backend)))
        np.testing.assert_allclose(to_numpy(draw), expected, rtol=2e-4, atol=2e-5)
        draw[...] = 7.0
        fill(model, x, Generator(1, backend), draw=draw)
        np.testing.assert_allclose(to_numpy(draw), expected, rtol=2e-4, atol=2e-5)


def test_sweep_moves_by_both_conditionals():
    """Over every outcome from h: p(v' | h) p(h' | v')."""
    model = drawn("bernoulli", seed=5)
    V, H = joint_states(model)
    joint = np.exp(-model.energy(V, H)).reshape(8, 4)
    found = np.zeros((8, 4))
    for p, (v, h) in outcomes(lambda rng: gibbs.sweep(model, np.ones((1, 3)), H[2:3], rng)):
        found[int(v[0] @ [1, 2, 4]), int(h[0] @ [1, 2])] += p
    expected = (joint[:, 2] / joint[:, 2].sum())[:, None] * joint / joint.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-13)
