"""Enumeration: log Z against brute force over both sides, samples against the table."""

from __future__ import annotations

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from scipy import integrate, stats

from minidgm import GMMN, KDE, SigmoidBeliefNet
from minidgm.backend import to_numpy
from minidgm.errors import IntractableError
from minidgm.evaluation import can_sample_exactly, exact_samples, log_partition_exact
from tests.evaluation.models import machine, rbm

DISCRETE = ["bernoulli", "spin", "softmax(2)"]


@pytest.mark.parametrize(("visible", "hidden"), [*itertools.product(DISCRETE, DISCRETE)])
@pytest.mark.parametrize(("n_visible", "n_hidden"), [(4, 2), (2, 4)])
def test_log_partition_is_the_sum_over_both_sides(visible, hidden, n_visible, n_hidden):
    model = rbm(n_visible, n_hidden, visible, hidden, seed=1)
    pairs = itertools.product(model.visible.states(n_visible), model.hidden.states(n_hidden))
    v, h = (np.array(side) for side in zip(*pairs, strict=True))
    estimate = log_partition_exact(model)
    assert estimate.value == pytest.approx(np.logaddexp.reduce(-model.energy(v, h)), rel=1e-12)
    assert (estimate.kind, estimate.unit, estimate.stderr) == ("exact", "nats", None)


@pytest.mark.parametrize(("unit", "low"), [("gaussian", -30.0), ("rectified", 0.0)])
@pytest.mark.parametrize("side", ["visible", "hidden"])
def test_log_partition_with_a_continuous_unit_is_the_integral(unit, low, side):
    model = rbm(*((1, 2) if side == "visible" else (2, 1)), **{side: unit}, seed=2)
    states = (model.hidden if side == "visible" else model.visible).states(2)

    def density(x):
        x = np.full((4, 1), x)
        return np.exp(-(model.energy(x, states) if side == "visible" else model.energy(states, x))).sum()

    value, _ = integrate.quad(density, low, 30.0, epsabs=1e-12, epsrel=1e-10, limit=200)
    assert log_partition_exact(model).value == pytest.approx(math.log(value), rel=1e-9)


def test_log_partition_of_a_machine(backend):
    model = machine(3, 2, backend=backend)
    states = model.visible.states(5, xp=model.xp)
    energies = to_numpy(model.energy(states[:, :3], states[:, 3:]))
    assert log_partition_exact(model).value == pytest.approx(np.logaddexp.reduce(-energies), rel=1e-12)


@pytest.mark.parametrize(
    "model", [rbm(3, 5), rbm(6, 2), rbm(4, 2, "softmax(2)", "spin"), machine(3, 2), machine(3, 0)], ids=repr
)
def test_samples_follow_the_table(model):
    """Chi-square at a false-alarm rate of 1e-6."""
    n = 20000
    draws = exact_samples(model, n, 7)
    v = model.visible.states(model.n_visible)
    expected = n * np.exp(to_numpy(model.log_prob(v)))
    counts = (draws[:, None, :] == v[None]).all(axis=-1).sum(axis=0)
    assert counts.sum() == n
    rare = expected < 5
    counts, expected = (np.append(x[~rare], x[rare].sum()) for x in (counts, expected))
    statistic = ((counts - expected) ** 2 / np.maximum(expected, 1e-9)).sum()
    assert stats.chi2.sf(statistic, len(counts) - 1) > 1e-6


def test_samples_of_continuous_visibles_have_the_mixture_moments():
    """p(v) is a mixture over h: mean within seven standard errors."""
    model, n = rbm(1, 2, "gaussian", seed=3, scale=0.7), 20000
    draws = exact_samples(model, n, 0)
    h = model.hidden.states(2)
    log_p = -model.hidden_free_energy(h)
    p = np.exp(log_p - np.logaddexp.reduce(log_p))
    conditional = model.visible_given_hidden(h)
    mean = p @ conditional.mean[:, 0]
    variance = p @ (conditional.variance[:, 0] + conditional.mean[:, 0] ** 2) - mean**2
    assert abs(draws.mean() - mean) < 7.0 * math.sqrt(variance / n)
    assert draws.shape == (n, 1)


def test_samples_span_blocks_of_states(backend, monkeypatch):
    monkeypatch.setattr("minidgm.evaluation.exact.BLOCK", 3)
    model = rbm(6, 4, backend=backend, dtype="float32")
    whole = to_numpy(exact_samples(model, 50, 3))
    monkeypatch.setattr("minidgm.evaluation.exact.BLOCK", 16)
    np.testing.assert_array_equal(whole, to_numpy(exact_samples(model, 50, 3)))
    assert whole.dtype == np.float32


@pytest.mark.parametrize("n_hidden", [1, 4])
def test_samples_of_a_machine_span_blocks_of_states(n_hidden, monkeypatch):
    model = machine(6, n_hidden)
    whole = exact_samples(model, 50, 3)
    monkeypatch.setattr("minidgm.evaluation.exact.TABLE", 48)  # 24 or 3 visible states a block
    np.testing.assert_array_equal(whole, exact_samples(model, 50, 3))
    monkeypatch.setattr("minidgm.evaluation.exact.TABLE", 1)
    np.testing.assert_array_equal(whole, exact_samples(model, 50, 3))


def test_samples_of_a_machine_never_list_all_joint_states():
    """2^11 visible by 2^12 hidden states are 64 MiB a table, of which a free energy takes several."""
    model = machine(11, 12, scale=0.1)
    tracemalloc.start()
    try:
        exact_samples(model, 5, 0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 * 2**20


def test_errors():
    with pytest.raises(IntractableError, match="ais"):
        log_partition_exact(rbm(30, 30))
    with pytest.raises(TypeError, match=r"dict has no log_partition\(\)"):
        log_partition_exact({})
    assert not can_sample_exactly(rbm(21, 21))
    assert can_sample_exactly(rbm(30, 20))
    assert can_sample_exactly(rbm(3, 30, hidden="gaussian"))
    assert can_sample_exactly(machine(3, 12))
    assert not can_sample_exactly(machine(3, 13))
    assert not can_sample_exactly(machine(20, 12))  # 2^20 rows, each a sum over 2^12 states
    with pytest.raises(ValueError, match=r"at most 2\^20 states, the smaller has 2.1e\+06"):
        exact_samples(rbm(21, 21), 5)
    with pytest.raises(ValueError, match="n must be an integer of at least 1, got 0"):
        exact_samples(rbm(3, 3), 0)


def test_models_without_a_partition_function_name_the_ways_they_have():
    ways = {
        SigmoidBeliefNet([2, 1]): "importance_weighted",
        GMMN(2, hidden=(2,)): "parzen",
        KDE(2): r"model\.log_prob",
    }
    for model, way in ways.items():
        with pytest.raises(TypeError, match=way):
            log_partition_exact(model)
