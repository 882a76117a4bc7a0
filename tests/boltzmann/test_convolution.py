"""The sums over places, their transposes and their hot twins, against SciPy's correlation."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import convolve2d, correlate2d

from minidgm.backend import asarray, to_numpy
from minidgm.boltzmann import convolution
from minidgm.boltzmann.convolution import Filters, image, pair


@st.composite
def geometries(draw):
    """Images whose blocks fit, with pooled rows and columns apart."""
    p, q = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    height, width = p * draw(st.integers(1, 3)) + rows - 1, q * draw(st.integers(1, 3)) + columns - 1
    shape = (draw(st.integers(1, 3)), height, width)
    return Filters(shape, draw(st.integers(1, 3)), (rows, columns), (p, q))


def drawn(maps, seed, n=3):
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(maps.filters, maps.channels, maps.rows, maps.columns))
    return W, rng.normal(size=(n, maps.n_visible)), rng.normal(size=(n, maps.n_hidden))


@given(maps=geometries(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_detectors_correlate_and_images_convolve(maps, seed):
    W, v, h = drawn(maps, seed)
    images, fields = v.reshape(3, maps.channels, maps.height, maps.width), maps.as_maps(maps.detectors(v, W))
    painted = maps.images(h, W).reshape(images.shape)
    for n in range(3):
        for k in range(maps.filters):
            expected = sum(correlate2d(images[n, c], W[k, c], "valid") for c in range(maps.channels))
            np.testing.assert_allclose(fields[n, k], expected, atol=1e-12)
        for c in range(maps.channels):
            expected = sum(convolve2d(maps.as_maps(h)[n, k], W[k, c]) for k in range(maps.filters))
            np.testing.assert_allclose(painted[n, c], expected, atol=1e-12)
    assert (maps.detectors(v, W) * h).sum() == pytest.approx((v * maps.images(h, W)).sum(), abs=1e-10)


@given(geometries(), st.integers(0, 2**32 - 1), st.integers(0, 4), st.sampled_from([1, 200]))
@settings(max_examples=20)
def test_hot_twins_in_chunks_of_any_size(maps, seed, n, values):
    W, v, h = drawn(maps, seed, n)
    before = [x.copy() for x in (W, v, h)]
    at_once, convolution.VALUES = convolution.VALUES, values
    try:
        fields = maps.fill_detectors(v, W, np.empty_like(h))
        painted = maps.fill_images(h, W, np.empty_like(v))
        g = maps.gradient(v, h, np.empty_like(W))
    finally:
        convolution.VALUES = at_once
    np.testing.assert_allclose(fields, maps.detectors(v, W), atol=1e-12)
    np.testing.assert_allclose(painted, maps.images(h, W), atol=1e-12)
    # The sum is linear in W: its derivative along one entry is its value at that entry alone.
    for entry in range(W.size):
        one = np.eye(W.size)[entry].reshape(W.shape)
        expected = (maps.detectors(v, one) * h).sum() if n else 0.0
        assert g.reshape(-1)[entry] == pytest.approx(expected, abs=1e-10)
    assert all((x == y).all() for x, y in zip((W, v, h), before, strict=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hot_twins_wherever_they_live(backend, dtype):
    maps = Filters((2, 9, 8), 3, (2, 3), (2, 3))
    W, v, h = (asarray(x, backend, dtype) for x in drawn(maps, 0))
    for left, right in (
        (maps.fill_detectors(v, W, 0.0 * h), maps.detectors(v, W)),
        (maps.fill_images(h, W, 0.0 * v), maps.images(h, W)),
    ):
        assert str(left.dtype) == dtype
        np.testing.assert_allclose(to_numpy(left), to_numpy(right), atol=1e-4)
    host = maps.gradient(*(np.asarray(to_numpy(x)) for x in (v, h, W)))
    np.testing.assert_allclose(to_numpy(maps.gradient(v, h, 0.0 * W)), host, atol=1e-3)


def test_no_array_of_batch_times_positions_times_filter_area():
    """400 images of 28 x 28 with filters of 9 x 9: all patches are 52 MB, a chunk of windows 1 MB."""
    maps = Filters((1, 28, 28), 4, (9, 9), (2, 2))
    W, v, h = (x.astype("float32") for x in drawn(maps, 0, 400))
    patches = 400 * 20 * 20 * 81 * 4
    out, images, g = np.empty_like(h), np.empty_like(v), np.empty_like(W)
    tracemalloc.start()
    try:
        maps.fill_detectors(v, W, out)
        maps.fill_images(h, W, images)
        maps.gradient(v, h, g)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * 4 * convolution.VALUES + 2**16 < patches / 20


def test_sizes_that_do_not_fit_name_those_that_do():
    with pytest.raises(ValueError, match=r"21 places.*blocks of 2; .* fit: \[5, 7, 9\].*height 29"):
        Filters((1, 28, 28), 4, (8, 9), (2, 2))
    with pytest.raises(ValueError, match=r"width 28 with filters of 9 have 20 places.*blocks of 3"):
        Filters((1, 28, 28), 4, (8, 9), (3, 3))
    with pytest.raises(ValueError, match="at most 28"):
        Filters((1, 28, 28), 4, (29, 9), (1, 1))
    for padded in (Filters((1, 29, 28), 4, (8, 9), (2, 2)), Filters((1, 28, 28), 4, (7, 11), (2, 2))):
        assert padded.n_hidden == padded.P * padded.Q * 16


def test_pairs_and_images():
    assert pair("pool", [2, 3]) == (2, 3)
    assert image([3, 8, 9]) == (3, 8, 9)
    for bad in ((1, 2, 3), []):
        with pytest.raises(ValueError, match="one number, or two"):
            pair("pool", bad)
    with pytest.raises(ValueError, match="at least 1"):
        pair("pool", 0)
    for bad in (28, (28,), (1, 1, 28, 28)):
        with pytest.raises(ValueError, match="channels, height, width"):
            image(bad)
