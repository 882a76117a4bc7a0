"""Annealing of deep Boltzmann machines against enumeration, and the errors of its arguments."""

import numpy as np
import pytest

from minidgm import DBM, RBM, Generator, evaluation
from minidgm.backend import asarray
from minidgm.evaluation.layered import LayeredPath, path_between, path_from_base
from minidgm.evaluation.path import Path


def drawn(sizes=(4, 3, 3), visible="bernoulli", seed=0, backend="numpy", scale=0.8):
    dbm = DBM(list(sizes), visible, dtype="float64", backend=backend)
    values = scale * np.random.default_rng(seed).normal(size=dbm.params.size)
    dbm.params.buffer[...] = asarray(values, backend)
    return dbm


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("sizes", [(4, 3), (4, 3, 3), (3, 3, 2, 2)])
@pytest.mark.parametrize("base", [None, "biases", "uniform"])
def test_annealing_finds_the_exact_partition_function(visible, sizes, base):
    dbm = drawn(sizes, visible, scale=0.5)
    exact = float(dbm.log_partition())
    for estimator in (evaluation.ais, evaluation.reverse_ais):
        found = estimator(dbm, n_chains=200, n_temperatures=100, base=base, rng=1)
        assert abs(found.value - exact) < max(8 * found.stderr, 1e-9)


def test_base_rates_and_flat_bases():
    dbm = drawn()
    exact = float(dbm.log_partition())
    data = dbm.sample(50, 0, steps=20)
    for base in (evaluation.base_rate(dbm, data), np.zeros(4), np.zeros(10)):
        found = evaluation.ais(dbm, n_chains=200, n_temperatures=100, base=base, rng=2)
        assert abs(found.value - exact) < 8 * found.stderr
    assert evaluation.base_rate(dbm, data).shape == (10,)


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_between_two_machines(visible):
    a, b = drawn((3, 3, 2), visible, 1, scale=0.5), drawn((3, 3, 2), visible, 2, scale=0.5)
    found = evaluation.ais_between(a, b, n_chains=300, n_temperatures=100, rng=0)
    exact = float(b.log_partition() - a.log_partition())
    assert abs(found.value - exact) < 8 * found.stderr


def test_written_out_annealing_makes_the_draws_of_the_plain_loop(backend):
    dbm = drawn(backend=backend)
    path, _ = path_from_base(dbm, None)
    start = path.sample_base(6, Generator(0, backend))
    betas = [0.0, 0.3, 0.3, 1.0]
    fast, state = path.anneal(start, betas, Generator(1, backend))
    plain, other = Path.anneal(path, start, betas, Generator(1, backend))
    assert float(abs(fast - plain).max()) < 1e-12
    assert all(bool((x == y).all()) for x, y in zip(state, other, strict=True))


def test_the_ends_of_a_path_are_its_models():
    a, b = drawn(visible="gaussian", seed=1), drawn(visible="gaussian", seed=2)
    path = LayeredPath(a, b)
    for beta, model in ((0.0, a), (1.0, b)):
        mixed = path.at(beta)
        for name, value in model.params.items():
            np.testing.assert_allclose(mixed.params[name], value)


def test_large_machines_start_reverse_runs_from_a_forward_run():
    dbm = drawn((25, 11, 11), scale=0.1)
    found = evaluation.reverse_ais(dbm, n_chains=20, n_temperatures=50, gibbs_steps=5, rng=0)
    assert "forward run" in found.how
    assert abs(found.value - float(dbm.log_partition())) < 0.2


def test_few_visible_units_do_not_make_many_hidden_ones_enumerable():
    dbm = drawn((3, 20, 20), scale=0.05)
    assert evaluation.can_sample_exactly(drawn((3, 4, 4)))
    assert not evaluation.can_sample_exactly(dbm)
    found = evaluation.reverse_ais(dbm, n_chains=10, n_temperatures=20, gibbs_steps=3, rng=0)
    assert "forward run" in found.how


def test_bad_bases_and_partners():
    dbm = drawn()
    with pytest.raises(ValueError, match=r"base has shape \(3,\); expected biases \[4\] .* or \[10\]"):
        evaluation.ais(dbm, base=np.zeros(3))
    with pytest.raises(ValueError, match="expected 'biases', 'uniform'"):
        evaluation.ais(dbm, base="data")
    with pytest.raises(ValueError, match="NaN or infinity"):
        evaluation.ais(dbm, base=np.full(4, np.inf))
    with pytest.raises(TypeError, match="base is a int"):
        evaluation.ais(dbm, base=3)
    with pytest.raises(TypeError, match="no path from DBM to RBM"):
        path_between(dbm, RBM(4, 2))
    with pytest.raises(TypeError, match="float64 on numpy"):
        path_between(dbm, DBM([4, 3, 3]))
    with pytest.raises(ValueError, match=r"layers \[4, 3, 3\]"):
        path_between(dbm, drawn((4, 3, 2)))
