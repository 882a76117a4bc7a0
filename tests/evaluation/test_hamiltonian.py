"""Annealing with HMC against quadrature and exact sums, in one and two dimensions and on small models."""

import numpy as np
import pytest

from minidgm import Generator, MeanCovarianceRBM, MeanProductOfStudentT
from minidgm import evaluation as ev
from minidgm.evaluation.annealing import path_from_base
from minidgm.evaluation.hamiltonian import Between, FactorialGaussian
from minidgm.workspace import Workspace


def drawn(kind, d, n_factors=None, seed=0, scale=0.8):
    model = kind(d, 2, 3, n_factors, dtype="float64")
    rng = np.random.default_rng(seed)
    for name, value in model.params.items():
        x = scale * rng.normal(size=value.shape)
        value[...] = np.abs(x) if name == "P" else x
    return model


CASES = [(MeanCovarianceRBM, 1, None), (MeanCovarianceRBM, 2, 4), (MeanCovarianceRBM, 5, None),
         (MeanProductOfStudentT, 1, 4), (MeanProductOfStudentT, 2, None)]  # fmt: skip


@pytest.mark.parametrize(("kind", "d", "n_factors"), CASES)
def test_both_directions_find_log_z(kind, d, n_factors):
    """200 chains: within five standard errors, and these are small. One run of each in 1.7 million fails."""
    model = drawn(kind, d, n_factors)
    exact = float(model.log_partition())
    forward = ev.ais(model, n_chains=200, n_temperatures=60, rng=1)
    assert forward.stderr < 0.06
    assert abs(forward.value - exact) < 5.0 * forward.stderr
    assert forward.settings["sweeps"] == "HMC"
    if kind is MeanCovarianceRBM:
        backward = ev.reverse_ais(model, n_chains=200, n_temperatures=60, rng=2)
        assert "exact samples" in backward.how
        assert abs(backward.value - exact) < 5.0 * backward.stderr


@pytest.mark.parametrize("base", ["biases", "uniform", [0.3, -0.2], ([0.3, -0.2], [0.5, -0.5])])
def test_any_base_will_do(base):
    model = drawn(MeanProductOfStudentT, 2)
    found = ev.ais(model, n_chains=200, n_temperatures=60, base=base, rng=1)
    assert abs(found.value - float(model.log_partition())) < 5.0 * found.stderr < 0.4


def test_importance_sampling_is_one_temperature():
    """Weights of betas (0, 1): exp(F_0 - F) at draws of the base, nothing else."""
    model = drawn(MeanCovarianceRBM, 2)
    path, log_z = path_from_base(model, None)
    v = path.sample_base(7, Generator(0))
    log_w, _ = path.anneal(v, [0.0, 1.0], Generator(1))
    np.testing.assert_allclose(log_w, path.a.free_energy(v) - model.free_energy(v))
    grid = np.stack([x.reshape(-1) for x in np.meshgrid(*[np.arange(-40.0, 40.0, 0.2)] * 2)], axis=1)
    assert log_z == pytest.approx(np.log(np.exp(-path.a.free_energy(grid)).sum() * 0.04), abs=1e-9)


def test_between_two_models():
    a, b = drawn(MeanCovarianceRBM, 2, seed=1), drawn(MeanCovarianceRBM, 2, 3, seed=2)
    found = ev.ais_between(a, b, n_chains=200, n_temperatures=60, rng=0)
    assert abs(found.value - float(b.log_partition() - a.log_partition())) < 5.0 * found.stderr < 0.4


def test_step_sizes_are_fixed_before_the_chains_that_count():
    """The same step sizes whatever the chains are, and the workers share nothing."""
    model = drawn(MeanCovarianceRBM, 2)
    path, _ = path_from_base(model, None)
    path.tune([0.0, 0.5, 1.0], Generator(3))
    sizes = {beta: float(size[0]) for beta, size in path.step_sizes.items()}
    assert set(sizes) == {0.0, 0.5, 1.0}
    assert all(0.05 < size < 3.0 for size in sizes.values())
    calls = []
    step = path._step
    path._step = lambda chains, beta, rng, gain: calls.append((beta, gain)) or step(chains, beta, rng, gain)
    path.sweep(path.sample_base(4, Generator(0)), 0.5, Generator(1))
    assert calls == [(0.5, 0.0)]


def test_the_road_is_a_geometric_mean():
    model = drawn(MeanProductOfStudentT, 2, 3)
    xp_base = FactorialGaussian(model.visible, np.array([0.2, -0.1]), np.array([0.3, 0.0]), np)
    v = Generator(0).normal((4, 2), dtype="float64")
    for beta in (0.0, 0.3, 1.0):
        road = Between(xp_base, model, beta)
        expected = (1 - beta) * xp_base.free_energy(v) + beta * model.free_energy(v)
        np.testing.assert_allclose(road.free_energy(v), expected)
        out = np.empty_like(v)
        road.input_gradient_in_place(4, Workspace())(v, out)
        np.testing.assert_allclose(out, road.free_energy_input_gradient(v), atol=1e-14)
        steps = 1e-5 * np.eye(2)
        numeric = [(road.free_energy(v + e) - road.free_energy(v - e)) / 2e-5 for e in steps]
        np.testing.assert_allclose(out, np.stack(numeric, axis=1), atol=1e-7)


def test_errors():
    model = drawn(MeanCovarianceRBM, 2)
    with pytest.raises(ValueError, match=r"base has shape \(3,\)"):
        ev.ais(model, base=[0.0, 0.0, 0.0], n_temperatures=3)
    with pytest.raises(ValueError, match="base holds NaN or infinity"):
        ev.ais(model, base=([0.0, 0.0], [np.inf, 0.0]), n_temperatures=3)
    with pytest.raises(ValueError, match="both must see the same v"):
        ev.ais_between(model, drawn(MeanCovarianceRBM, 3), n_temperatures=3)
    with pytest.raises(TypeError, match="no annealing path from MeanCovarianceRBM to dict"):
        ev.ais_between(model, {}, n_temperatures=3)


def test_on_the_strict_device():
    model = drawn(MeanCovarianceRBM, 2, 3)
    found = ev.ais(model.to("strict"), n_chains=20, n_temperatures=8, rng=0)
    assert abs(found.value - float(model.log_partition())) < 1.0
