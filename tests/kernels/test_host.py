"""The host engine's Bernoulli draw is exact: every threshold, every tie, every layout."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidgm.kernels.host import BLOCK, HostEngine
from minidgm.numerics import sigmoid

ENDS = [0.0, 1.0, 2.0**-149, 1e-9, 2.0**-15, 1 - 2.0**-24]
PROBABILITIES = st.floats(0.0, 1.0, width=32) | st.sampled_from(ENDS)


class Enumerated:
    """A generator whose raw 15-bit numbers are 0, 1, ..., 2^15 - 1 and whose uniforms are all one number."""

    def __init__(self, uniform):
        self.uniform = uniform
        self.bit_generator = self
        self.n_ties = 0

    def random_raw(self, n):
        return (np.arange(4 * n, dtype=np.uint16) << 1).view(np.uint64)

    def random(self):
        self.n_ties += 1
        return self.uniform


def ones(p, uniform, dtype):
    engine = HostEngine(np.random.SeedSequence(0))
    engine.generator = Enumerated(uniform)
    array = np.full(2**15, p, dtype=dtype)
    return int(engine.bernoulli(array, np.empty_like(array)).sum()), engine.generator.n_ties


@given(PROBABILITIES, st.sampled_from(["float32", "float64"]))
def test_the_probability_of_a_one_is_p_exactly(p, dtype):
    # Of the 2^15 equally likely numbers floor(2^15 p) give 1 and at most one is a tie, which gives 1 when a
    # uniform is below the remainder: P(1) = (floor(2^15 p) + remainder) / 2^15 = p.
    p = float(np.dtype(dtype).type(p))
    whole = int(Fraction(p) * 2**15)
    remainder = float(Fraction(p) * 2**15 - whole)
    below, n_ties = ones(p, np.nextafter(remainder, -1.0), dtype)
    at, _ = ones(p, remainder, dtype)
    assert n_ties == (0 if p == 1.0 else 1)
    assert at == whole
    assert below == whole + n_ties


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=3),
    st.sampled_from(["float32", "float64"]),
    st.booleans(),
)
def test_draws_do_not_depend_on_memory_layout(shape, dtype, fortran):
    p = np.random.default_rng(0).random(shape).astype(dtype)
    expected = engine().bernoulli(p, np.empty_like(p))
    laid_out = np.asfortranarray(p) if fortran else np.repeat(p, 2, axis=-1)[..., ::2]
    wide = np.full((*p.shape[:-1], 2 * p.shape[-1]), 7, dtype)
    out = wide[..., ::2]
    assert engine().bernoulli(laid_out, out) is out
    np.testing.assert_array_equal(out, expected)
    assert (wide[..., 1::2] == 7).all()


@pytest.mark.parametrize("shape", [(3 * BLOCK + 5,), (101, 1999), (5, BLOCK), (2, 3, 40000)])
def test_large_arrays_are_covered_by_the_blocks(shape):
    # Rows of certain ones and zeros: an element that no block reached would keep the 7.
    p = (np.arange(np.prod(shape)) % 2).reshape(shape).astype("float32")
    out = engine().bernoulli(p, np.full_like(p, 7))
    np.testing.assert_array_equal(out, p)


@given(st.integers(1, 9), st.integers(1, 50), st.booleans(), st.sampled_from(["float32", "float64"]))
def test_draws_from_logits_are_draws_from_their_sigmoid(n, d, with_bias, dtype):
    rng = np.random.default_rng(n * d)
    x = (3 * rng.normal(size=(n, d))).astype(dtype)
    bias = rng.normal(size=d).astype(dtype) if with_bias else None
    mean = np.empty_like(x)
    before = x.copy()
    drawn = engine().bernoulli_from_logits(x, bias, np.empty_like(x), mean)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(mean, sigmoid(x if bias is None else x + bias))
    np.testing.assert_array_equal(drawn, engine().bernoulli(mean, np.empty_like(x)))
    np.testing.assert_array_equal(engine().bernoulli_from_logits(x, bias, x, None), drawn)


def test_nan_draws_zero_without_a_warning():
    x = np.array([np.nan, 1e4], dtype="float32")
    assert engine().bernoulli_from_logits(x, None, np.empty_like(x), None)[1] == 1.0


def engine():
    return HostEngine(np.random.SeedSequence(5))
