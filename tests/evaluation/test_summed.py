"""Annealing of free energies: the base, the ends, and what is refused."""

import numpy as np
import pytest
from scipy.special import logsumexp

from minidgm import GatedRBM, Generator, HybridThirdOrderRBM
from minidgm.evaluation import ais
from minidgm.evaluation.annealing import path_from_base


def drawn(seed=0):
    model = GatedRBM(2, 2, 2, dtype="float64")
    model.params.buffer[...] = np.random.default_rng(seed).normal(size=model.params.size)
    return model


@pytest.mark.parametrize("base", [None, "biases", "uniform", np.array([0.5, -1.0, 0.0, 2.0])])
def test_the_base_is_a_product_of_its_biases(base):
    model = drawn()
    path, log_z = path_from_base(model, base)
    states = model.visible.states(4)
    start = path.at(0.0)
    assert logsumexp(-start.free_energy(states)) == pytest.approx(log_z, abs=1e-12)
    np.testing.assert_allclose(path.at(1.0).free_energy(states), model.free_energy(states))
    mean = path.sample_base(40_000, Generator(0)).mean(axis=0)
    p = np.exp(-start.free_energy(states) - log_z)
    np.testing.assert_allclose(mean, p @ states, atol=6 * 0.5 / 200)


def test_labels_of_the_base_are_one_hot():
    model = HybridThirdOrderRBM(3, 2, 4, dtype="float64", seed=0)
    path, log_z = path_from_base(model, None)
    rows = path.sample_base(100, Generator(0))
    assert (rows[:, 3:].sum(axis=1) == 1).all()
    assert log_z == pytest.approx(float(logsumexp(-path.at(0.0).free_energy(model.visible_states()))))


def test_bad_bases_are_refused():
    with pytest.raises(ValueError, match="base='flat'; expected"):
        ais(drawn(), base="flat", n_chains=2, n_temperatures=2)
    with pytest.raises(ValueError, match=r"base has shape \(3,\); expected 4 finite biases"):
        ais(drawn(), base=[0.0, 1.0, 2.0], n_chains=2, n_temperatures=2)
    with pytest.raises(ValueError, match="4 finite biases"):
        ais(drawn(), base=[0.0, 1.0, 2.0, np.nan], n_chains=2, n_temperatures=2)
