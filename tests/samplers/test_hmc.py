"""HMC: leapfrog against its matrix, stationarity, detailed balance, adaptation, rejections."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, kstest, norm

from minidgm import Generator, MeanCovarianceRBM
from minidgm.backend import asarray, namespace, to_numpy
from minidgm.checks.exhaustive import Replay
from minidgm.checks.strict import count_host_reads
from minidgm.samplers import hmc
from minidgm.workspace import Workspace

FALSE_ALARM = 1e-6


class Normal:
    """exp(-F) is normal with precision matrix A around m."""

    def __init__(self, A, m):
        self.A, self.m = A, m

    def free_energy(self, v):
        return 0.5 * (((v - self.m) @ self.A) * (v - self.m)).sum(axis=1)

    def free_energy_input_gradient(self, v):
        return (v - self.m) @ self.A


class Filled(Normal):
    def input_gradient_in_place(self, m, scratch):
        def fill(v, out):
            out[...] = self.free_energy_input_gradient(v)

        return fill


class OfEnergy:
    """The same interface without hidden units: energy(v)."""

    def energy(self, v):
        return 0.5 * (v * v).sum(axis=1)

    def energy_input_gradient(self, v):
        return v


@st.composite
def normals(draw):
    d = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    B = rng.normal(size=(d, d))
    return Normal(B @ B.T + 0.5 * np.eye(d), rng.normal(size=d)), rng


def leapfrog_matrix(A, eps, n):
    """The linear map of n leapfrog steps on (v - m, p), from the three shears."""
    d = len(A)
    eye, zero = np.eye(d), np.zeros((d, d))
    kick = np.block([[eye, zero], [-0.5 * eps * A, eye]])
    drift = np.block([[eye, eps * eye], [zero, eye]])
    return np.linalg.matrix_power(kick @ drift @ kick, n)


@given(normals(), st.integers(1, 12), st.floats(0.01, 0.4))
@settings(max_examples=20)
def test_leapfrog_is_the_product_of_its_shears(case, n, eps):
    model, rng = case
    d = len(model.A)
    v, p = rng.normal(size=(2, 3, d))
    x, q = hmc.leapfrog(model.free_energy_input_gradient, v, p, eps, n)
    M = leapfrog_matrix(model.A, eps, n)
    expected = np.concatenate([v - model.m, p], axis=1) @ M.T
    np.testing.assert_allclose(np.concatenate([x - model.m, q], axis=1), expected, rtol=1e-9, atol=1e-9)
    assert np.linalg.det(M) == pytest.approx(1.0)
    back, momentum = hmc.leapfrog(model.free_energy_input_gradient, x, -q, eps, n)
    np.testing.assert_allclose(back, v, atol=1e-8)
    np.testing.assert_allclose(-momentum, p, atol=1e-8)
    at, along = v.copy(), p.copy()

    def fill(where, out):
        out[...] = model.free_energy_input_gradient(where)

    hmc.leapfrog_in_place(fill, at, along, np.full(1, eps), n, Workspace())
    np.testing.assert_allclose(at, x, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(along, q, rtol=1e-12, atol=1e-12)


def test_energy_error_falls_with_the_square_of_the_step():
    A = np.array([[2.0, 0.3], [0.3, 1.0]])
    model, rng = Normal(A, np.zeros(2)), np.random.default_rng(0)
    v, p = rng.normal(size=(2, 50, 2))

    def errors(n):
        x, q = hmc.leapfrog(model.free_energy_input_gradient, v, p, 1.0 / n, n)
        H = [model.free_energy(a) + 0.5 * (b * b).sum(axis=1) for a, b in ((x, q), (v, p))]
        return np.abs(H[0] - H[1]).max()

    ratios = [errors(n) / errors(2 * n) for n in (20, 40, 80)]
    np.testing.assert_allclose(ratios, 4.0, rtol=0.02)


@pytest.mark.parametrize("kind", [Normal, Filled])
def test_chains_that_are_at_the_model_stay(kind):
    """20,000 exact draws, three trajectories that often reject: squared radius and margins, 1e-6 in all."""
    A = np.array([[3.0, 0.8, 0.0], [0.8, 1.0, 0.2], [0.0, 0.2, 2.0]])
    model, rng = kind(A, np.array([1.0, -2.0, 0.5])), np.random.default_rng(1)
    v = rng.multivariate_normal(model.m, np.linalg.inv(A), size=20_000)
    state, noise = hmc.init(v, 0.8), Generator(2)
    for _ in range(3):
        state, info = hmc.step(model, state, noise, n_leapfrog=5, adaptation=0.0)
    assert 0.2 < info.acceptance[0] < 0.95
    assert kstest(2.0 * model.free_energy(state.v), chi2(3).cdf).pvalue > FALSE_ALARM / 4
    for i in range(3):
        sd = np.sqrt(np.linalg.inv(A)[i, i])
        assert kstest(state.v[:, i], norm(model.m[i], sd).cdf).pvalue > FALSE_ALARM / 4


def test_detailed_balance():
    """Flows between each two of six intervals are equal: counts a -> b and b -> a, 1e-6 in all."""
    model, rng = Normal(np.array([[1.0]]), np.zeros(1)), np.random.default_rng(3)
    v = rng.normal(size=(40_000, 1))
    state, info = hmc.step(model, hmc.init(v, 1.8), Generator(4), n_leapfrog=2, adaptation=0.0)
    assert info.acceptance[0] < 0.9
    edges = norm.ppf(np.arange(1, 6) / 6)
    start, end = np.searchsorted(edges, v[:, 0]), np.searchsorted(edges, state.v[:, 0])
    flow = np.zeros((6, 6))
    np.add.at(flow, (start, end), 1)
    assert np.trace(flow) < 30_000
    a, b = np.triu_indices(6, 1)
    z = (flow[a, b] - flow[b, a]) / np.sqrt(np.maximum(flow[a, b] + flow[b, a], 1.0))
    assert (np.abs(z) < norm.isf(FALSE_ALARM / 2 / len(z))).all()


@pytest.mark.parametrize("target", [0.6, 0.9])
@pytest.mark.parametrize("start", [1e-3, 10.0])
def test_the_step_size_adapts_to_the_target(target, start):
    model, rng = Normal(np.eye(10), np.zeros(10)), Generator(5)
    state = hmc.init(rng.normal((100, 10), dtype="float64"), start)
    acceptances = []
    for _ in range(700):
        state, info = hmc.step(model, state, rng, n_leapfrog=5, target=target)
        acceptances.append(float(info.acceptance[0]))
    assert abs(np.mean(acceptances[-200:]) - target) < 0.01
    frozen, _ = hmc.step(model, state, rng, adaptation=0.0)
    assert frozen.step_size is state.step_size


def test_paths_that_diverge_are_rejected_and_reported():
    model = Normal(1e3 * np.eye(2), np.zeros(2))
    v = np.ones((4, 2), dtype="float32")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        state, info = hmc.step(model, hmc.init(v, 1e8), Generator(0))
    assert (state.v == v).all()
    assert info.acceptance[0] == 0.0
    assert not info.accepted.any()
    assert state.step_size[0] < 1e8
    with pytest.warns(RuntimeWarning, match=r"rejected everything .* step size 1e\+08: start from a smaller"):
        hmc.warn_if_stuck(0.0, 1e8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hmc.warn_if_stuck(0.5, 0.1)


def test_one_bad_chain_does_not_touch_the_others():
    model, rng = Normal(np.eye(2), np.zeros(2)), Generator(0)
    v = rng.normal((5, 2), dtype="float64")
    v[2] = 1e200
    state, info = hmc.step(model, hmc.init(v, 0.1), Generator(1))
    without, _ = hmc.step(model, hmc.init(np.where(v == 1e200, 0.0, v), 0.1), Generator(1))
    assert np.isfinite(info.acceptance).all()
    np.testing.assert_array_equal(np.delete(state.v, 2, 0), np.delete(without.v, 2, 0))


@pytest.mark.parametrize("n_factors", [None, 4])
def test_host_and_strict_device_agree_without_reading(n_factors):
    host = MeanCovarianceRBM(4, 3, 2, n_factors, dtype="float64", seed=0)
    device, xp = host.to("strict"), namespace("strict")
    v = Generator(1).normal((6, 4), dtype="float64")
    here, _ = hmc.step(host, hmc.init(v, 0.3), Replay(7, "numpy", False))
    state = hmc.init(xp.asarray(v), 0.3)
    with count_host_reads() as reads:
        there, _info = hmc.step(device, state, Replay(7, "strict", False))
    assert reads.count == 0, reads
    np.testing.assert_allclose(to_numpy(there.v), here.v, rtol=1e-12)
    np.testing.assert_allclose(to_numpy(there.step_size), here.step_size, rtol=1e-12)


def test_inputs_are_left_as_they_were(backend):
    model = MeanCovarianceRBM(4, 3, 2, backend=backend, seed=0)
    v = asarray(np.random.default_rng(0).normal(size=(5, 4)), backend, "float32")
    state = hmc.init(v, 0.2)
    before = [to_numpy(x).copy() for x in state]
    hmc.step(model, state, Generator(0, backend), scratch=Workspace())
    for x, copy in zip(state, before, strict=True):
        np.testing.assert_array_equal(to_numpy(x), copy)


def test_an_energy_without_hidden_units_will_do():
    state, info = hmc.step(OfEnergy(), hmc.init(np.zeros((3, 2))), Generator(0))
    assert info.accepted.all()
    with pytest.raises(TypeError, match="dict has no free_energy"):
        hmc.step({}, state, Generator(0))
    with pytest.raises(ValueError, match="step_size must be in"):
        hmc.init(np.zeros((3, 2)), -1.0)
    with pytest.raises(ValueError, match="n_leapfrog must be an integer of at least 1"):
        hmc.step(OfEnergy(), state, Generator(0), n_leapfrog=0)


def test_no_chains():
    state, info = hmc.step(OfEnergy(), hmc.init(np.zeros((0, 2))), Generator(0))
    assert state.v.shape == (0, 2)
    assert info.energy_error.shape == (0,)
