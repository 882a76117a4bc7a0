"""Edges of the RBM's service methods: defaults, generators, messages, every unit's own parameters."""

import numpy as np
import pytest

from minidgm import RBM
from minidgm.checks.exhaustive import expectation
from minidgm.errors import DataError


def drawn(**options):
    rbm = RBM(3, 2, dtype="float64", **options)
    rbm.params.buffer[...] = np.random.Generator(np.random.SFC64(5)).normal(size=rbm.params.size)
    return rbm


def test_reconstruction_from_draws_is_the_mean_over_hidden_states():
    rbm, v = drawn(), np.array([[1.0, 0.0, 1.0]])
    found = expectation(lambda rng: {"v": rbm.reconstruct(v, rng)})["v"]
    states = rbm.hidden.states(2)
    p = np.exp(rbm.hidden_given_visible(np.repeat(v, 4, axis=0)).log_prob(states))
    assert np.allclose(found, p @ rbm.visible_given_hidden(states).mean, atol=1e-14)
    assert not np.allclose(found, rbm.reconstruct(v), atol=1e-3)


def test_hidden_free_energy_gradient_sums_when_weights_are_left_out():
    rbm, h = drawn(), np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
    ones, default = rbm.hidden_free_energy_gradient(h, np.ones(3)), rbm.hidden_free_energy_gradient(h)
    for name, value in ones.items():
        assert (default[name] == value).all()


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_initialize_reproduces_the_means_of_the_data(visible):
    rbm = drawn(visible=visible)
    X = np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert rbm.initialize(X) is rbm
    rbm.params["W"][...] = 0.0
    assert np.allclose(rbm.visible_given_hidden(np.zeros((1, 2))).mean, X.mean(axis=0), atol=1e-12)


def test_initialize_names_its_argument():
    with pytest.raises(DataError, match=r"^X "):
        drawn().initialize(np.full((1, 3), 2.0))
