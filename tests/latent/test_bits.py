"""Bits on the host: the passes over blocks against the density as it reads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidgm import VAE, Generator
from minidgm.latent import bits
from minidgm.nn.losses import Bernoulli


@settings(max_examples=20, deadline=None)
@given(
    n=st.integers(0, 7), d=st.integers(1, 20), k=st.integers(1, 3), block=st.integers(1, 60),
    scale=st.sampled_from([0.1, 3.0, 300.0]), seed=st.integers(0, 99),
)  # fmt: skip
def test_blocks_are_the_density(n, d, k, block, scale, seed):
    rng = np.random.default_rng(seed)
    a, x, w = scale * rng.normal(size=(k * n, d)), rng.random((n, d)).round(1), rng.normal(size=k * n)
    kept = a.copy(), x.copy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bits, "BLOCK", block)
        log_p, cache = bits.forward(a, x)
        da = bits.backward(w, cache)
        again = bits.backward(w, cache)
    loss, expected = Bernoulli().forward(a, np.tile(x, (k, 1)))
    np.testing.assert_allclose(log_p, -loss, rtol=1e-12)
    np.testing.assert_allclose(da, -Bernoulli().backward(w, expected), rtol=1e-9, atol=1e-15 * scale + 1e-12)
    np.testing.assert_array_equal(again, da)
    np.testing.assert_array_equal(a, kept[0])
    np.testing.assert_array_equal(x, kept[1])


@pytest.mark.parametrize("scale", [1.0, 20.0])
@pytest.mark.parametrize("right", [True, False])
def test_float32_is_right_to_its_rounding(scale, right):
    """Also for a confident model that is right, whose log p is small beside the terms that cancel in it."""
    rng = np.random.default_rng(0)
    a = (scale * rng.normal(size=(40, 784))).astype("float32")
    x = (a > 0).astype("float32") if right else rng.integers(0, 2, a.shape).astype("float32")
    log_p, _ = bits.forward(a, x)
    exact = -Bernoulli().forward(a.astype("float64"), x.astype("float64"))[0]
    assert log_p.dtype == "float32"
    np.testing.assert_allclose(log_p, exact, rtol=1e-6)


def test_many_draws_a_row_are_rows_repeated():
    """k draws against one row each give what as many rows do."""
    vae, x = VAE.small(seed=0, dtype="float64"), np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    noise = Generator(0).normal((3, 2, 2), dtype="float64")
    wide = vae.paths(np.tile(x, (3, 1)), noise.reshape(1, 6, 2))
    paths, weights = vae.paths(x, noise), np.array([[0.5, -1.0], [2.0, 0.1], [1.0, 1.0]])
    np.testing.assert_allclose(paths.log_likelihood.reshape(-1), wide.log_likelihood[0], rtol=1e-12)
    one, other = paths.gradient(weights, "sampled"), wide.gradient(weights.reshape(1, 6), "sampled")
    np.testing.assert_allclose(one.buffer, other.buffer, rtol=1e-10, atol=1e-14)
