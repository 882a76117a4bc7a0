"""Noise that makes codes: laws of hard, relaxed and repeated draws, and their derivatives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from minidgm import Generator
from minidgm.backend import asarray, to_numpy
from minidgm.boltzmann.units import Bernoulli, Gaussian, Softmax
from minidgm.checks.exhaustive import Replay
from minidgm.objectives.relaxations import noise_for

UNITS = (Bernoulli(), Softmax(2), Softmax(3))
STEP = 1e-6


def drawn(unit, seed, n=4, scale=1.5):
    rng = np.random.default_rng(seed)
    return scale * rng.normal(size=(n, 2 * unit.k)), rng.normal(size=(n, 2 * unit.k))


@given(unit=st.sampled_from(UNITS), seed=st.integers(0, 2**31), tau=st.sampled_from([0.3, 1.0, 2.5]))
@settings(max_examples=15)
def test_derivatives(unit, seed, tau):
    noise, (a, d) = noise_for(unit), drawn(unit, seed)
    direction = np.random.default_rng(seed + 1).normal(size=a.shape)
    y = noise.relaxed(a, tau)
    moved = (noise.relaxed(a + STEP * direction, tau) - noise.relaxed(a - STEP * direction, tau)) / (2 * STEP)
    assert (noise.backward(d, y, tau) * direction).sum() == pytest.approx((d * moved).sum(), abs=1e-7)
    z = noise.hard(noise.noisy(a, Replay(seed)))
    there, cache = noise.again(a, z, Replay(seed))
    far, near = (noise.again(a + s * STEP * direction, z, Replay(seed))[0] for s in (1.0, -1.0))
    slope = (d * (far - near)).sum() / (2 * STEP)
    assert (noise.again_backward(d, cache) * direction).sum() == pytest.approx(slope, rel=1e-6, abs=1e-6)
    np.testing.assert_array_equal(noise.hard(there), z)


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_noise_given_the_draw_has_the_law_of_the_noise(unit):
    """Hard draws have the means of the unit, repeated ones the law of the first: false alarms below 1e-6."""
    noise, n = noise_for(unit), 20000
    a = np.tile(drawn(unit, 0, 1)[0], (n, 1))
    noisy = noise.noisy(a, Generator(0))
    z = noise.hard(noisy)
    mean = unit.mean(a[:1])[0]
    assert (abs(z.mean(axis=0) - mean) < 5.5 * np.sqrt(mean * (1.0 - mean) / n)).all()
    again, first = noise.again(a, z, Generator(1))[0], noise.noisy(a, Generator(2))
    for i in range(a.shape[1]):
        assert ks_2samp(again[:, i], first[:, i]).pvalue > 1e-7
        gaps = [x[:, i] - x[:, 0] * (i > 0) for x in (again, first)]
        assert ks_2samp(*gaps).pvalue > 1e-7


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_devices_and_precisions_agree(unit, backend):
    noise, (a, _) = noise_for(unit), drawn(unit, 3)
    z = noise.hard(noise.noisy(a, Replay(1)))
    right = noise.again(a, z, Replay(2))[0]
    moved = [asarray(x, backend, "float32") for x in (a, z)]
    left = noise.again(*moved, Replay(2, backend))[0]
    np.testing.assert_allclose(to_numpy(left), right, rtol=1e-4, atol=1e-4)
    y = noise.relaxed(left, 0.5)
    np.testing.assert_allclose(to_numpy(y), noise.relaxed(right, 0.5), atol=1e-4)
    assert str(y.dtype) == "float32"


def test_others_have_no_noise():
    assert noise_for(Gaussian()) is None
