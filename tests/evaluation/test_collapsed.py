"""Annealing on the hidden side: exact over every path, stationary, reversible, and better where v pins h."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minidgm.backend import Generator, to_numpy
from minidgm.checks.strict import count_host_reads
from minidgm.evaluation import ais, bridge_sampling, linear_betas, log_partition_exact, reverse_ais
from minidgm.evaluation.annealing import path_from_base, sample_base
from minidgm.evaluation.collapsed import CollapsedPath
from minidgm.evaluation.path import Path
from tests.evaluation.every_path import EveryPath
from tests.evaluation.models import rbm

PAIRS = [
    ("bernoulli", "bernoulli"),
    ("spin", "bernoulli"),
    ("bernoulli", "spin"),
    ("gaussian", "spin"),
    ("softmax(2)", "bernoulli"),
]


def collapsed(model, base=None):
    path, log_z = path_from_base(model, base, "collapsed")
    assert isinstance(path, CollapsedPath)
    return path, log_z


def log_f(path, h, beta):
    """log f_beta(h) up to the base measure of h, which is the same at every beta."""
    return path.log_increment((None, h), 0.0, beta) + path._summed(path._field(h, 0.0))


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_increments_sum_the_visible_units_out_of_the_tempered_joint(visible, hidden, backend):
    model = rbm(4, 3, visible, hidden, seed=1, backend=backend)
    base = model.xp.linspace(-0.5, 0.5, 4)
    path, _ = collapsed(model, base)
    h = model.hidden.states(3, xp=model.xp)
    for here, there in ((0.0, 0.4), (0.4, 1.0), (0.9, 0.2)):
        before, after = (model.tempered(beta, base).hidden_free_energy(h) for beta in (here, there))
        increment = path.log_increment((None, h), here, there)
        np.testing.assert_allclose(to_numpy(increment), to_numpy(before - after), atol=1e-10)


def every_sweep(path, H, beta, step):
    """Transition matrix between the rows of H of one sweep, over every outcome."""
    n_paths = 2 ** H.shape[1]
    rng = EveryPath(n_paths * len(H))
    start = np.repeat(np.arange(len(H)), n_paths)
    rng.rest, rng.left = np.tile(np.arange(n_paths), len(H)), n_paths
    field = path._field(H[start], beta)
    end, summed = path._draw(H[start], field, path._summed(field), beta, rng, step)
    np.testing.assert_allclose(summed, path._summed(path._field(end, beta)), rtol=1e-12)
    arrived = np.abs(end[:, None] - H[None]).sum(axis=2).argmin(axis=1)
    T = np.zeros((len(H), len(H)))
    np.add.at(T, (start, arrived), np.exp(rng.log_prob))
    return T


@pytest.mark.parametrize("hidden", ["bernoulli", "spin"])
@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_a_falling_sweep_is_the_reversal_of_a_rising_one(hidden, beta):
    path, _ = collapsed(rbm(5, 3, hidden=hidden, seed=2), "uniform")
    H = path.b.hidden.states(3)
    up, down = (every_sweep(path, H, beta, step) for step in (1, -1))
    np.testing.assert_allclose(up.sum(axis=1), 1.0)
    p = np.exp(log_f(path, H, beta))
    p /= p.sum()
    np.testing.assert_allclose(p @ up, p, rtol=1e-10)
    np.testing.assert_allclose(p[:, None] * up, (p[:, None] * down).T, rtol=1e-9)
    assert up.min() > 0.0


@pytest.mark.parametrize(("visible", "hidden"), PAIRS[:3])
def test_mean_weight_over_every_path(visible, hidden):
    model = rbm(2, 2, visible, hidden, seed=8, scale=1.5)
    path, log_z = collapsed(model, "uniform")
    rng = EveryPath(4 * 4 * 4**2)
    start = sample_base(path, rng.left, rng)
    log_w, _ = path.anneal(start, [0.0, 0.3, 1.0], rng)
    ratio = np.log(np.exp(rng.log_prob + log_w).sum())
    found = ratio + log_z + float(path.log_constants())
    assert found == pytest.approx(log_partition_exact(model).value, rel=1e-12)


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_same_chains_as_the_plain_loop(visible, hidden, backend):
    model = rbm(6, 5, visible, hidden, seed=1, backend=backend)
    path, _ = collapsed(model)
    start = sample_base(path, 30, Generator(0, backend))
    for betas in (linear_betas(9), [0.2, 0.2, 0.5, 1.0]):
        log_w, (_, h) = path.anneal(start, betas, Generator(2, backend))
        plain_w, (_, plain_h) = Path.anneal(path, start, betas, Generator(2, backend))
        np.testing.assert_array_equal(to_numpy(h), to_numpy(plain_h))
        np.testing.assert_allclose(to_numpy(log_w), to_numpy(plain_w), rtol=1e-11, atol=1e-11)


def test_the_last_visible_units_are_drawn_given_the_last_hidden_ones():
    """20 bits of 500 chains beside their means: |z| > 6 has probability 2e-9 a bit."""
    model = rbm(20, 3, seed=4)
    path, _ = collapsed(model)
    start = sample_base(path, 500, Generator(0))
    _, (v, h) = path.anneal(start, linear_betas(5), Generator(1))
    mean = model.visible_given_hidden(h).mean
    z = (v - mean).sum(axis=0) / np.sqrt((mean * (1.0 - mean)).sum(axis=0))
    assert np.abs(z).max() < 6.0


def test_where_few_hidden_units_face_many_visible_ones_it_is_the_default():
    for sizes, kind in (((40, 4), True), ((39, 4), False), ((400, 33), False)):
        assert isinstance(path_from_base(rbm(*sizes), None)[0], CollapsedPath) is kind
    assert not isinstance(path_from_base(rbm(40, 4, hidden="gaussian"), None)[0], CollapsedPath)
    assert not isinstance(path_from_base(rbm(40, 4), None, "block")[0], CollapsedPath)


def test_bad_sweeps_are_refused():
    with pytest.raises(ValueError, match="'collapsed', or None"):
        ais(rbm(4, 2), n_temperatures=3, sweeps="blocks", rng=0)
    for hidden in ("gaussian", "softmax(2)"):
        with pytest.raises(ValueError, match="two values"):
            ais(rbm(4, 2, hidden=hidden), n_temperatures=3, sweeps="collapsed", rng=0)


def test_no_host_read_in_the_loop():
    model = rbm(5, 4, backend="strict", dtype="float32")
    path, _ = collapsed(model)
    start = sample_base(path, 10, Generator(0, "strict"))
    rng = Generator(1, "strict")
    with count_host_reads() as reads:
        path.anneal(start, linear_betas(6), rng)
    assert reads.count == 0


def test_both_ends_meet_on_a_machine_whose_modes_block_gibbs_does_not_leave():
    """Eight hidden units, each shown by fifty sharp visible ones: given v, h is all but certain.

    Six standard errors of a normal: 2e-9 each.
    """
    model = rbm(400, 8, seed=0, scale=0.8, dtype="float32")
    exact = log_partition_exact(model).value
    estimates = {
        sweeps: [
            function(model, 50, 400, base="uniform", rng=0, sweeps=sweeps)
            for function in (ais, reverse_ais, bridge_sampling)
        ]
        for sweeps in ("block", "collapsed")
    }
    errors = {sweeps: [abs(e.value - exact) for e in found] for sweeps, found in estimates.items()}
    for estimate, error in zip(estimates["collapsed"], errors["collapsed"], strict=True):
        assert error < 6.0 * estimate.stderr < 1.0
        assert estimate.settings.get("sweeps", "collapsed") == "collapsed"
    pairs = itertools.product(estimates["collapsed"][:2], estimates["block"][:2])
    assert all(better.ess > worse.ess for better, worse in pairs)
