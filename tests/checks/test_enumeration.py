import math

import numpy as np
import pytest

from minidgm import RBM, BoltzmannMachine
from minidgm.checks import transition_matrix
from minidgm.checks.enumeration import (
    conditional_matrix,
    index_of,
    log_integral,
    log_sum_exp,
    quadrature_nodes,
)
from minidgm.checks.subject import Domain, Subject, enumerate_states

REAL, HALF = Domain(1, "real"), Domain(1, "nonnegative")


@pytest.mark.parametrize(("mean", "precision"), [(0.0, 1.0), (25.0, 0.4), (-3.0, 2.7), (0.1, 7.0)])
def test_normal_integrals(mean, precision):
    found = log_integral(lambda x: -0.5 * precision * (x[:, 0] - mean) ** 2, REAL)
    assert found == pytest.approx(0.5 * math.log(2 * math.pi / precision), abs=1e-11)


def test_two_dimensions_and_a_mixture():
    def log_density(x):
        far = -0.5 * ((x - 12.0) ** 2).sum(axis=1)
        return np.logaddexp(far + math.log(3.0), -0.5 * (x**2).sum(axis=1) - 0.3 * x[:, 0] * x[:, 1])

    exact = math.log(2 * math.pi) + math.log(3.0 + 1.0 / math.sqrt(1.0 - 0.09))
    assert log_integral(log_density, Domain(2, "real")) == pytest.approx(exact, abs=1e-10)


@pytest.mark.parametrize("rate", [2.0, 9.0])
def test_half_line_integrals(rate):
    assert log_integral(lambda x: -rate * x[:, 0], HALF, 1e-11) == pytest.approx(-math.log(rate), abs=1e-8)
    truncated = log_integral(lambda x: -0.5 * (x[:, 0] + rate) ** 2, HALF)
    exact = math.log(math.sqrt(math.pi / 2) * math.erfc(rate / math.sqrt(2)))
    assert truncated == pytest.approx(exact, abs=1e-10)


def test_what_does_not_fall_off_is_infinite():
    assert log_integral(lambda x: 0.5 * x[:, 0] ** 2, REAL) == math.inf


def test_three_dimensions_are_refused():
    with pytest.raises(ValueError, match="one or two dimensions"):
        log_integral(lambda x: -(x**2).sum(axis=1), Domain(3, "real"))


def test_nodes_carry_moments():
    nodes, weights = quadrature_nodes(lambda x: -0.5 * (x[:, 0] - 2.0) ** 2, REAL, level=2)
    p = weights * np.exp(-0.5 * (nodes[:, 0] - 2.0) ** 2) / math.sqrt(2 * math.pi)
    assert p.sum() == pytest.approx(1.0, abs=1e-12)
    assert p @ nodes[:, 0] == pytest.approx(2.0, abs=1e-12)


def test_log_sum_exp_of_nothing_and_of_much():
    assert log_sum_exp([]) == -math.inf
    assert log_sum_exp([-math.inf, 0.0]) == 0.0
    assert log_sum_exp([[1e4, 1e4], [0.0, -1e4]], axis=1).tolist() == [1e4 + math.log(2.0), 0.0]


def test_index_of_finds_rows_and_refuses_strangers():
    states = enumerate_states(4, (-1.0, 1.0))
    order = np.random.Generator(np.random.SFC64(0)).permutation(len(states))
    assert (index_of(states[order], states) == order).all()
    with pytest.raises(ValueError, match="not among the 16 states"):
        index_of(0.5 * states[:1], states)


def drawn(model):
    rng = np.random.Generator(np.random.SFC64(3))
    model.params.buffer[...] = rng.normal(size=model.params.buffer.shape)
    return model


@pytest.mark.parametrize("units", [("bernoulli", "spin"), ("spin", "bernoulli"), ("softmax(2)", "bernoulli")])
def test_sampling_code_gives_the_matrix_of_the_conditionals(units):
    model = drawn(RBM(4, 2, *units, dtype="float64"))
    T = transition_matrix(model)
    assert np.allclose(T.sum(axis=1), 1.0, atol=1e-14)
    assert np.allclose(T, conditional_matrix(Subject(model)), atol=1e-14)


def test_one_spin_by_hand():
    model = RBM(1, 1, dtype="float64")
    model.params["b"][...], model.params["c"][...], model.params["W"][...] = 1.0, -0.5, 2.0

    def sigmoid(x):
        return 1.0 / (1.0 + math.exp(-x))

    T = transition_matrix(model)
    up = sigmoid(-0.5 + 2.0)
    assert T[2, 3] == pytest.approx(up * sigmoid(1.0 + 2.0))  # (v, h) = (1, 0) -> (1, 1)


def test_a_sampler_that_draws_otherwise_falls_back():
    class ByUniform(RBM):
        def gibbs_step(self, v, h, rng):
            mean = self.hidden_given_visible(v).mean
            h = 1.0 * (rng.uniform(mean.shape, dtype=self.dtype) < mean)
            return self.visible_given_hidden(h).sample(rng), h

    model = drawn(ByUniform(2, 2, dtype="float64"))
    assert np.allclose(transition_matrix(model), conditional_matrix(Subject(model)))


def test_sequential_sweeps_and_given_sweeps():
    model = drawn(BoltzmannMachine(2, 1, dtype="float64"))
    assert np.allclose(transition_matrix(model, lambda v, h, rng: (v, h)), np.eye(8))
    T = transition_matrix(model)
    assert np.allclose(np.linalg.matrix_power(T, 3).sum(axis=1), 1.0)


def test_continuous_models_have_no_matrix():
    with pytest.raises(ValueError, match="continuous"):
        transition_matrix(RBM(2, 2, visible="gaussian"))
