"""The fast sums of a convolution against the ones to read, their memory, and the memory of their images."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minidgm.backend import asarray, to_numpy
from minidgm.nn import correlation, fast_correlation
from minidgm.nn.windows import Grid

extent = st.tuples(
    st.integers(1, 4), st.integers(1, 3), st.integers(1, 2), st.integers(0, 2), st.integers(0, 2)
)


@given(
    down=extent,
    across=extent,
    spare=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    groups=st.integers(1, 2),
    n=st.integers(0, 4),
    chunk=st.sampled_from([1, 200, 2**20]),
    last=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@example(  # two pixels of a stride as one run, and a pixel that no window sees
    down=(2, 1, 1, 0, 0), across=(2, 2, 1, 0, 0), spare=(0, 1), groups=1, n=3, chunk=1, last=True, seed=0
)
@settings(max_examples=20)
def test_fast_sums_equal_the_ones_to_read(backend, down, across, spare, groups, n, chunk, last, seed):
    size, stride, dilation, before, after = zip(down, across, strict=True)
    grid = Grid(size, stride, dilation, tuple(zip(before, after, strict=True)))
    smallest = grid.image((2, 3))
    image = tuple(max(1, found) + extra for found, extra in zip(smallest, spare, strict=True))
    P, Q = grid.places(image)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2 * groups, *image))
    y = rng.normal(size=(n, 3 * groups, P, Q))
    W = rng.normal(size=(3 * groups, 2, *size))
    b, c = rng.normal(size=3 * groups), rng.normal(size=2 * groups)
    if last:
        x, y = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) for a in (x, y))
    there = [asarray(a, backend, "float64") for a in (x, y, W, b, c)]
    dW = asarray(np.full(W.shape, np.nan), backend, "float64")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_correlation, "VALUES", chunk)
        found = (
            fast_correlation.correlate(there[0], there[2], grid, groups, there[3]),
            fast_correlation.paint_filters(there[1], there[2], image, grid, groups, there[4]),
            fast_correlation.filter_gradient(there[0], there[1], W.shape, grid, groups),
        )
        fast_correlation.filter_gradient(there[0], there[1], W.shape, grid, groups, dW)
    expected = (
        correlation.correlate(x, W, grid, groups) + b[:, None, None],
        correlation.paint_filters(y, W, image, grid, groups) + c[:, None, None],
        correlation.filter_gradient(x, y, W.shape, grid, groups),
    )
    for fast, plain in zip((*found, dW), (*expected, expected[2]), strict=True):
        assert fast.shape == plain.shape
        np.testing.assert_allclose(to_numpy(fast), plain, rtol=1e-11, atol=1e-11)


def test_windows_of_a_batch_never_exist_together(monkeypatch):
    monkeypatch.setattr(fast_correlation, "VALUES", 2**18)
    grid, n = Grid((4, 4), (2, 2), (1, 1), ((1, 1), (1, 1))), 256
    x, W = np.ones((n, 8, 32, 32), dtype="float32"), np.ones((16, 8, 4, 4), dtype="float32")
    y = np.ones((n, 16, 16, 16), dtype="float32")
    windows = n * 16 * 16 * 8 * 16 * 4  # bytes
    allowed = x.nbytes + 3 * 4 * fast_correlation.VALUES
    assert allowed < windows / 2
    for function in (
        lambda: fast_correlation.correlate(x, W, grid),
        lambda: fast_correlation.paint_filters(y, W, (32, 32), grid),
        lambda: fast_correlation.filter_gradient(x, y, W.shape, grid, 1),
    ):
        tracemalloc.start()
        try:
            function()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < allowed


def test_outputs_have_their_channels_side_by_side():
    grid, W = Grid((2, 2)), np.ones((3, 2, 2, 2))
    y = fast_correlation.correlate(np.ones((2, 2, 4, 4)), W, grid)
    x = fast_correlation.paint_filters(y, W, (4, 4), grid)
    for image in (x, y):
        assert image.transpose(0, 2, 3, 1).flags.c_contiguous
