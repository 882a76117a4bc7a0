"""The hot path makes the chains of the plain loop: same draws, same weights."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minidgm import RBM
from minidgm.backend import Generator, asarray, to_numpy
from minidgm.checks.strict import count_host_reads
from minidgm.evaluation import ais, linear_betas, log_partition_exact
from minidgm.evaluation.annealing import path_from_base, sample_base
from minidgm.evaluation.fused import BernoulliPath
from minidgm.evaluation.path import HarmoniumPath, Path
from tests.evaluation.every_path import EveryPath
from tests.evaluation.models import rbm


@pytest.mark.parametrize(
    "betas", [linear_betas(9), linear_betas(9)[::-1], [0.0, 1.0], [1.0, 1.0, 1.0, 0.5, 0.0]]
)
@pytest.mark.parametrize(("n_visible", "n_hidden"), [(7, 5), (1, 1), (3, 70), (40, 130)])
def test_same_chains_as_the_plain_loop(betas, n_visible, n_hidden, backend):
    model = rbm(n_visible, n_hidden, seed=1, backend=backend)
    path, _ = path_from_base(model, model.xp.linspace(-1.0, 1.0, n_visible))
    assert isinstance(path, BernoulliPath)
    start = sample_base(path, 30, Generator(0, backend))
    log_w, v = path.anneal(start, betas, Generator(2, backend))
    plain_w, plain_v = Path.anneal(HarmoniumPath(path.a, path.b), start, betas, Generator(2, backend))
    np.testing.assert_array_equal(to_numpy(v), to_numpy(plain_v))
    np.testing.assert_allclose(to_numpy(log_w), to_numpy(plain_w), rtol=1e-11, atol=1e-11)


def test_other_units_take_the_plain_loop():
    for visible, hidden in (("spin", "bernoulli"), ("bernoulli", "spin")):
        path, _ = path_from_base(rbm(3, 2, visible, hidden), None)
        assert type(path) is HarmoniumPath


class ShiftedRBM(RBM):
    def hidden_field(self, v):
        return super().hidden_field(v) + 1.0


def test_a_subclass_with_another_field_takes_the_plain_loop():
    model = ShiftedRBM(4, 2, dtype="float64", seed=1)
    model.params["W"][...] = np.random.default_rng(0).normal(size=(4, 2))
    log_z = np.log(np.exp(-model.free_energy(model.visible.states(4))).sum())
    estimate = ais(model, n_temperatures=100, rng=0)
    assert abs(estimate.value - log_z) < 5.0 * estimate.stderr < 0.1


def test_mean_weight_over_every_path():
    model = rbm(2, 2, seed=8, scale=1.5)
    path, log_z = path_from_base(model, "uniform")
    rng = EveryPath(4 * 16**2)
    start = sample_base(path, rng.left, rng)
    log_w, _ = path.anneal(start, [0.0, 0.3, 0.7, 1.0], rng)
    ratio = math.log(np.exp(rng.log_prob + log_w).sum())
    assert ratio + log_z + 2 * math.log(2.0) == pytest.approx(log_partition_exact(model).value, rel=1e-12)


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_float32_weights_stay_near_float64(scale):
    """One step, so that the same states are weighted; fields of up to 1e3 are no trouble."""
    model = rbm(200, 300, seed=3, scale=scale)
    single = model.to(dtype="float32")
    path, path32 = (path_from_base(m, "uniform")[0] for m in (model, single))
    v = sample_base(path, 20, Generator(0))
    for betas in ([0.0, 1.0], [0.5, 0.51], [1.0, 0.999]):
        exact, _ = path.anneal(v, betas, Generator(0))
        rounded, _ = path32.anneal(asarray(v, dtype="float32"), betas, Generator(0))
        assert rounded.dtype == np.float64
        # 300 fields, each rounded at 2^-24 of its size (about scale x 10), some 30 operations each
        step = abs(betas[1] - betas[0])
        bound = 30 * 2.0**-24 * 300 * (10 * scale * step + 1.0)
        np.testing.assert_allclose(rounded, exact, rtol=0, atol=bound)


def test_no_host_read_in_the_loop():
    model = rbm(5, 4, backend="strict", dtype="float32")
    path, _ = path_from_base(model, None)
    start = sample_base(path, 10, Generator(0, "strict"))
    betas = linear_betas(6)
    rng = Generator(1, "strict")
    with count_host_reads() as reads:
        path.anneal(start, betas, rng)
        HarmoniumPath(path.a, path.b)
        Path.anneal(path, start, betas, rng)
    assert reads.count == 0


@pytest.mark.slow
def test_wide_model_within_a_tenth_of_the_exact_value():
    """784-16, 100 chains x 10,000 temperatures, the configuration that published numbers use."""
    model = rbm(784, 16, seed=0, scale=0.25, dtype="float32")
    estimate = ais(model, 100, 10_000, rng=0)
    assert abs(estimate.value - log_partition_exact(model).value) < 0.1
