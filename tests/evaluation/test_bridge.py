"""Bridge sampling: exact on exact populations, unbiased in the limit, refused where paths have no twins."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minidgm.backend import asarray
from minidgm.evaluation import acceptance_ratio, ais, bridge_sampling, log_partition_exact, reverse_ais
from tests.evaluation.models import machine, rbm


@pytest.mark.parametrize("scale", [1, 7])
@pytest.mark.parametrize("log_z", [-300.0, 0.0, 40.0])
def test_exact_populations_give_the_exact_ratio(scale, log_z):
    """p_0 = (1, 1, 2) / 4 and p_1 = (5, 2, 1) / 8: each state appears as often as it is probable.

    Bennett's equation then holds in expectation at the true ratio, whatever the two sizes.
    """
    f_0, f_1 = np.array([1.0, 1.0, 2.0]), np.array([5.0, 2.0, 1.0])
    log_ratio = np.log(f_1 / f_0) + log_z
    forward = log_ratio[[0, 1, 2, 2]]
    reverse = np.repeat(-log_ratio[[0, 0, 0, 0, 0, 1, 1, 2]], scale)
    value, stderr = acceptance_ratio(forward, reverse)
    assert value == pytest.approx(log_z + math.log(8.0 / 4.0), abs=1e-9)
    assert stderr > 0.0


def test_order_of_the_runs_is_the_sign(backend):
    forward, reverse = np.array([1.0, 3.0, 2.0]), np.array([-2.5, -1.0])
    value, stderr = acceptance_ratio(*(asarray(x, backend) for x in (forward, reverse)))
    turned, turned_error = acceptance_ratio(reverse, forward)
    assert turned == pytest.approx(-value, abs=1e-10)
    assert turned_error == pytest.approx(stderr, rel=1e-6)


def test_solution_solves_bennetts_equation():
    rng = np.random.default_rng(0)
    forward, reverse = rng.normal(5.0, 2.0, 30), rng.normal(-7.0, 2.0, 50)
    r, _ = acceptance_ratio(forward, reverse)
    shift = math.log(30 / 50)
    left = (1.0 / (1.0 + np.exp(-(forward - r - shift)))).sum()
    right = (1.0 / (1.0 + np.exp(-(reverse + r + shift)))).sum()
    assert left == pytest.approx(right, rel=1e-9)


def test_standard_error_of_gaussian_work():
    """Crooks: forward log w ~ N(-s^2/2, s^2) fits reverse log w' ~ N(-s^2/2, s^2), log-ratio 0.

    500 repetitions: the root's spread within 25 % of the mean stated error (a false alarm is beyond 7 sd),
    and its mean within seven standard errors of 0.
    """
    rng, s, n = np.random.default_rng(1), 1.5, 100
    roots = [acceptance_ratio(*(rng.normal(-(s**2) / 2, s, n) for _ in range(2))) for _ in range(500)]
    values, errors = np.array(roots).T
    assert abs(values.mean()) < 7.0 * values.std() / math.sqrt(500)
    assert abs(values.std() / errors.mean() - 1.0) < 0.25


def test_disjoint_runs_have_an_infinite_error():
    value, stderr = acceptance_ratio(np.array([-1e4]), np.array([-1e4]))
    assert math.isinf(stderr)
    assert value == pytest.approx(0.0, abs=1e-6)
    # Far apart, but a root there is: each side's only path is accepted with probability e^-20 about.
    value, stderr = acceptance_ratio(np.array([-10.0]), np.array([-30.0]))
    assert value == pytest.approx(10.0, abs=1e-6)
    assert stderr == pytest.approx(math.exp(10.0) / math.sqrt(2.0), rel=1e-3)


@pytest.mark.parametrize("n_temperatures", [2, 6])
@pytest.mark.parametrize(
    ("visible", "hidden"), [("bernoulli", "bernoulli"), ("gaussian", "spin"), ("spin", "gaussian")]
)
def test_close_to_exact_on_both_sides(n_temperatures, visible, hidden, backend):
    """Within seven stated standard errors, which are small."""
    model = rbm(5, 4, visible, hidden, seed=2, scale=0.6, backend=backend)
    estimate = bridge_sampling(model, 2000, n_temperatures, rng=0)
    exact = log_partition_exact(model).value
    assert estimate.stderr < 0.1
    assert abs(estimate.value - exact) < 7.0 * estimate.stderr
    assert estimate.log_weights.shape == (2, 2000)
    assert estimate.how == "acceptance ratio of forward and reverse chains from exact samples"
    assert 0 < estimate.ess <= 4000 * 1.01


def test_less_variance_than_either_run_alone():
    """Forty repetitions of 50 chains on a hard model; its root mean square error is the smallest of three."""
    model = rbm(8, 6, seed=3, scale=1.5)
    exact = log_partition_exact(model).value
    errors = np.array(
        [
            [
                f(model, 50, 5, base="uniform", rng=seed).value - exact
                for f in (ais, reverse_ais, bridge_sampling)
            ]
            for seed in range(40)
        ]
    )
    up, down, both = np.sqrt((errors**2).mean(axis=0))
    assert both < up
    assert both < down


def test_errors():
    with pytest.raises(TypeError, match="those of BoltzmannMachine are not; use ais and reverse_ais"):
        bridge_sampling(machine(3, 1))
    with pytest.raises(ValueError, match="from exactly 0"):
        bridge_sampling(rbm(3, 2), betas=[0.5, 1.0])
    with pytest.raises(TypeError):
        acceptance_ratio(asarray(np.zeros(3), "strict"), np.zeros(3))
