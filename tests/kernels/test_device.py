"""The device engine: exact probabilities, no host reads, the same bits whatever the namespace."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidgm.backend import to_numpy
from minidgm.checks.strict import count_host_reads
from minidgm.checks.strict import xp as strict
from minidgm.kernels.device import GAMMA_ROUNDS, DeviceEngine


def engine(xp=strict):
    return DeviceEngine(np.random.SeedSequence(11), "strict", xp)


@given(st.floats(0.0, 1.0, width=32), st.sampled_from(["float32", "float64"]))
def test_the_probability_of_a_one_is_p_to_30_bits(p, dtype):
    # A word's top 30 bits, equally likely, give 1 below floor(2^30 p) and 0 from there on.
    threshold = int(p * 2**30)
    tops = np.clip([threshold - 1, threshold, 0, 2**30 - 1], 0, 2**30 - 1)
    device = engine(np)
    device.bits = lambda n: (tops.astype(np.uint32) << 2) | 3
    drawn = device.bernoulli(np.full(4, p, dtype=dtype), np.empty(4, dtype=dtype))
    np.testing.assert_array_equal(drawn, tops < threshold)


DRAWS = {
    "uniform": lambda e, dtype: e.uniform((3, 5), dtype, None),
    "normal": lambda e, dtype: e.normal((3, 5), dtype, None),
    "exponential": lambda e, dtype: e.exponential((3, 5), dtype),
    "gumbel": lambda e, dtype: e.gumbel((3, 5), dtype),
    "gamma": lambda e, dtype: e.gamma(0.7, (3, 5), dtype),
    "integers": lambda e, dtype: e.integers(-2, 9, (3, 5)),
    "permutation": lambda e, dtype: e.permutation(15),
    "bernoulli": lambda e, dtype: e.bernoulli(e.uniform((3, 5), dtype, None), e.xp.empty((3, 5), dtype)),
    "from_logits": lambda e, dtype: e.bernoulli_from_logits(
        e.normal((3, 5), dtype, None), e.normal((5,), dtype, None), e.xp.empty((3, 5), dtype), None
    ),
}


@pytest.mark.parametrize("dtype", [np.dtype("float32"), np.dtype("float64")])
@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_a_draw_reads_nothing_back_and_is_the_same_on_numpy(draw, dtype):
    with count_host_reads() as reads:
        drawn = draw(engine(), dtype)
    assert reads.count == 0
    on_host = draw(engine(np), dtype)
    assert drawn.dtype == on_host.dtype
    np.testing.assert_array_equal(to_numpy(drawn), on_host)


@pytest.mark.parametrize("dtype", [np.dtype("float32"), np.dtype("float64")])
def test_logarithms_never_meet_zero(dtype):
    device = engine(np)
    for word in (0, 2**32 - 1):
        device.bits = lambda n, word=word: np.full(n, word, dtype=np.uint32)
        u = device._open_uniform((4,), dtype)
        assert ((u > 0) & (u < 1)).all()
        assert np.isfinite(device.exponential((4,), dtype)).all()
        assert np.isfinite(device.gumbel((4,), dtype)).all()
        assert np.isfinite(device.normal((4,), dtype, None)).all()


def test_integers_never_reach_the_upper_end():
    device = engine(np)
    device.bits = lambda n: np.full(n, 2**32 - 1, dtype=np.uint32)
    for high in (1, 3, 10, 2**31, 2**52 + 1):
        assert device.integers(0, high, (1,))[0] == high - 1


def test_gamma_rounds_that_all_fail_give_the_mode_of_the_proposal():
    device = engine(np)
    device.normal = lambda shape, dtype, out: np.full(shape, -1e3)
    drawn = device.gamma(2.0, (3,), np.dtype("float64"))
    np.testing.assert_allclose(drawn, 2.0 - 1 / 3)
    # Marsaglia and Tsang (2000), table 1: acceptance is lowest at shape 1, where it is 0.9517.
    assert (1 - 0.9517) ** GAMMA_ROUNDS < 3e-11


def test_draws_advance_the_counter_past_what_they_used():
    device = engine()
    first = to_numpy(device.bits(5))
    assert device.counter == 2
    assert not set(to_numpy(device.bits(8)).tolist()) & set(first.tolist())
