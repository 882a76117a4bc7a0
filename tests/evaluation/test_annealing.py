"""Running chains: blocks, workers, where chains start, what is refused."""

from __future__ import annotations

import concurrent.futures
import multiprocessing

import numpy as np
import pytest

from minidgm.backend import Generator, to_numpy
from minidgm.errors import DataError, DivergenceError
from minidgm.evaluation import ais, ais_between, reverse_ais
from minidgm.evaluation.annealing import path_between, path_from_base
from tests.evaluation.models import machine, rbm


def test_reverse_ais_says_what_it_starts_from():
    model = rbm(25, 24, dtype="float32", scale=0.1)  # 2^24 hidden states: too many to sample from
    given = reverse_ais(model, 10, 3, rng=0, init=np.zeros((10, 25)), gibbs_steps=4)
    assert "the given samples and 4 Gibbs sweeps" in given.how
    assert given.settings["gibbs_steps"] == 4
    chains = reverse_ais(model, 10, 3, rng=0, gibbs_steps=5)
    assert "the end of a forward run and 5 Gibbs sweeps" in chains.how
    assert "at least" not in chains.how
    assert abs(chains.value - ais(model, 100, 20, rng=0).value) < 0.3
    other = rbm(25, 30, dtype="float32", seed=1, scale=0.1)
    assert "the biases and 3 Gibbs sweeps" in ais_between(model, other, 10, 3, rng=0, gibbs_steps=3).how


def test_settling_sweeps_weigh_nothing_and_reach_the_model():
    """Gibbs sweeps before a reverse run turn any start into samples: means within seven standard errors."""
    model = rbm(3, 3, seed=0)
    log_p = model.log_prob(model.visible.states(3))
    exact = np.exp(log_p) @ model.visible.states(3)
    path, _ = path_from_base(model, None)
    log_w, v = path.anneal(np.zeros((20000, 3)), [1.0] * 201, Generator(0))
    assert not to_numpy(log_w).any()
    assert (np.abs(v.mean(axis=0) - exact) < 7.0 * np.sqrt(exact * (1 - exact) / 20000)).all()


def test_settling_sweeps_come_before_the_weights():
    """From one state, two temperatures: equal weights, unless sweeps have spread the chains first."""
    model, other, init = rbm(4, 3, seed=1), rbm(4, 2, seed=2), np.zeros((50, 4))
    for run in (
        lambda k: reverse_ais(model, 50, 2, rng=0, init=init, gibbs_steps=k),
        lambda k: ais_between(model, other, 50, 2, rng=0, init=init, gibbs_steps=k),
    ):
        assert len(np.unique(run(None).log_weights)) == 1
        assert len(np.unique(run(3).log_weights)) > 5


@pytest.mark.parametrize(
    ("pool", "context"),
    [
        (concurrent.futures.ThreadPoolExecutor, {}),
        (concurrent.futures.ProcessPoolExecutor, {"mp_context": multiprocessing.get_context("spawn")}),
    ],
)
def test_results_do_not_depend_on_the_workers(pool, context):
    models = [rbm(6, 4, dtype="float32"), rbm(6, 4, "gaussian", dtype="float32"), machine(4, 2)]
    with pool(1, **context) as one, pool(3, **context) as three:
        for model in models:
            alone = ais(model, 25, 4, rng=5, block_size=10)
            for executor in (one, three):
                spread = ais(model, 25, 4, rng=5, block_size=10, executor=executor)
                np.testing.assert_array_equal(spread.log_weights, alone.log_weights)
                np.testing.assert_array_equal(spread.samples, alone.samples)


def test_blocks_have_generators_of_their_own():
    model = rbm(6, 4)
    estimate = ais(model, 20, 4, rng=5, block_size=10)
    assert not np.array_equal(estimate.log_weights[:10], estimate.log_weights[10:])
    assert len(np.unique(estimate.log_weights)) > 10


def test_mean_field_posteriors_are_not_taken_for_exact():
    model = machine(2, 13, scale=0.1)
    estimate = ais(model, 200, 20, rng=0)
    assert abs(estimate.value - log_partition_of(model)) < 0.1
    assert "exact samples" not in reverse_ais(model, 5, 3, rng=0, gibbs_steps=1).how


def log_partition_of(model):
    states = model.visible.states(15)
    return np.logaddexp.reduce(-model.energy(states[:, :2], states[:, 2:]))


def test_errors():
    model = rbm(4, 3)
    for betas in ([0.0, 0.5], [0.1, 1.0], [1.0, 0.0], [], [1.0]):
        with pytest.raises(ValueError, match="from exactly 0 to exactly 1"):
            ais(model, betas=betas)
    with pytest.raises(ValueError, match=r"betas\[1\]=0.5 and betas\[2\]=0.5 do not increase"):
        ais(model, betas=[0.0, 0.5, 0.5, 1.0])
    with pytest.raises(ValueError, match="n_chains must be an integer of at least 1, got 0"):
        ais(model, 0)
    with pytest.raises(ValueError, match="n_temperatures must be an integer of at least 2"):
        ais(model, 5, 1)
    with pytest.raises(ValueError, match="block_size must be an integer of at least 1"):
        ais(model, 5, 3, block_size=0)
    with pytest.raises(ValueError, match=r"base has shape \(3,\); expected biases \[4\]"):
        ais(model, base=np.zeros(3))
    with pytest.raises(ValueError, match="expected 'biases', 'uniform', an array"):
        ais(model, base="unifrom")
    with pytest.raises(ValueError, match="NaN or infinity"):
        ais(model, base=np.full(4, np.inf))
    with pytest.raises(TypeError, match="base is a float"):
        ais(model, base=1.0)
    with pytest.raises(ValueError, match="init has 3 rows; expected one for each of n_chains=5"):
        reverse_ais(model, 5, 3, init=np.zeros((3, 4)))
    with pytest.raises(DataError, match="init holds 2"):
        reverse_ais(model, 1, 3, init=np.full((1, 4), 2.0))
    with pytest.raises(ValueError, match="gibbs_steps must be an integer of at least 0, got -1"):
        reverse_ais(model, 5, 3, gibbs_steps=-1)


def test_errors_of_models():
    with pytest.raises(TypeError, match="no annealing path is known for dict"):
        ais({})
    with pytest.raises(ValueError, match="model_a has 4 visible units, model_b 5"):
        ais_between(rbm(4, 3), rbm(5, 3))
    with pytest.raises(TypeError, match="model_a has spin visibles, model_b bernoulli"):
        ais_between(rbm(4, 3, "spin"), rbm(4, 3))
    with pytest.raises(TypeError, match="from RBM to BoltzmannMachine"):
        path_between(rbm(4, 3), machine(4, 3))
    with pytest.raises(ValueError, match="model_a has 2 hidden units, model_b 3"):
        ais_between(machine(4, 2), machine(4, 3))
    with pytest.raises(TypeError, match="model_a is float64 on numpy, model_b float32 on numpy"):
        ais_between(rbm(4, 3), rbm(4, 3, dtype="float32"))
    with pytest.raises(TypeError, match="strict"):
        ais(rbm(4, 3, backend="strict"), base=np.zeros(4))
    with pytest.raises(TypeError, match="the generator draws on"):
        ais(rbm(4, 3, backend="strict"), rng=Generator(0))
    broken = rbm(4, 3)
    broken.params["W"][0, 0] = np.nan
    with pytest.raises(DivergenceError, match="log-weights are not finite"):
        ais(broken, 5, 3)


def test_parameters_and_starts_are_left_alone():
    model = rbm(4, 3)
    before, start = model.params.buffer.copy(), np.ones((5, 4))
    reverse_ais(model, 5, 3, rng=0, init=start)
    ais(model, 5, 3, rng=0)
    np.testing.assert_array_equal(model.params.buffer, before)
    assert start.all()
