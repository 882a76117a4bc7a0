"""Image grids, filters and chains: what is drawn where, in which color."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from minidgm.checks.strict import xp as strict_xp
from minidgm.plotting import chains, filters, image_grid
from minidgm.plotting.images import GAP


def canvas(figure):
    return np.asarray(figure.axes[0].images[0].get_array())


def tiles(figure, nrows, ncols, shape):
    """The colors [nrows, ncols, h, w, 3] at the middle of each pixel of each image."""
    drawn = canvas(figure)[..., :3]
    high, wide = (drawn.shape[0] - GAP) // nrows, (drawn.shape[1] - GAP) // ncols
    ph, pw = (high - GAP) // shape[0], (wide - GAP) // shape[1]
    out = np.empty((nrows, ncols, *shape, 3))
    for index in np.ndindex(nrows, ncols, *shape):
        i, j, r, c = index
        out[index] = drawn[GAP + i * high + r * ph + ph // 2, GAP + j * wide + c * pw + pw // 2]
    return out


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 12),
    h=st.integers(1, 5),
    w=st.integers(1, 5),
    ncols=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_every_pixel_of_every_image_is_in_its_place(n, h, w, ncols, seed):
    X = np.random.default_rng(seed).integers(0, 2, (n, h, w)).astype(float)
    before = X.copy()
    drawn = tiles(image_grid(X.reshape(n, h * w), (h, w), ncols=ncols), -(-n // ncols), ncols, (h, w))
    flat = drawn.reshape(-1, h, w, 3)
    assert np.allclose(flat[:n], 1 - X[..., None])  # dark for high values
    assert np.allclose(flat[n:], 1)  # nothing beyond the last image
    assert np.array_equal(X, before)


def test_values_outside_grey_levels_stretch_the_scale():
    drawn = tiles(image_grid(np.array([[-2.0, 6.0]]), (1, 2)), 1, 1, (1, 2))
    assert np.allclose(drawn[0, 0, 0], [[1, 1, 1], [0, 0, 0]])
    narrow = tiles(image_grid(np.array([[0.5, 0.5]]), (1, 2)), 1, 1, (1, 2))
    assert np.allclose(narrow, 0.5, atol=0.01)


@pytest.mark.parametrize(("n", "expected"), [(1, 1), (16, 4), (60, 10), (64, 8), (100, 10), (7, 4)])
def test_columns_fill_the_rows(n, expected):
    height, width = canvas(image_grid(np.zeros((n, 4)))).shape[:2]
    assert round(width / height * -(-n // expected) / expected, 1) == 1


def test_filters_are_columns_and_their_colors_symmetric():
    W = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [0.0, 0.5]])
    figure = filters(W, ncols=2, limit=1.0)
    first, second = tiles(figure, 1, 2, (2, 2))[0]
    red, blue, white = first[0, 0], first[0, 1], first[1, 0]
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    assert white.min() > 0.95
    assert np.allclose(second[0], white, atol=0.01)
    assert red[1] < second[1, 1, 1] < white[1]
    assert figure.axes[1].get_ylabel() == "weight"
    assert tuple(figure.axes[1].get_ylim()) == (-1.0, 1.0)


def test_filters_of_zeros_are_white():
    assert tiles(filters(np.zeros((4, 1))), 1, 1, (2, 2)).min() > 0.95


def test_chains_are_rows_and_moments_columns():
    samples = np.zeros((3, 2, 4))
    samples[1, 0] = 1
    figure = chains(samples, steps=[0, 10, 100], title="chains")
    drawn = tiles(figure, 2, 3, (2, 2))
    assert np.allclose(drawn[0, 1], 0)
    assert np.allclose(np.delete(drawn.reshape(6, -1), 1, axis=0), 1)
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["0", "10", "100"]
    assert figure.axes[0].get_xlabel() == "sweeps"


def test_arrays_of_a_device_are_drawn():
    X = strict_xp.asarray(np.eye(4, dtype=np.float32))
    assert np.array_equal(canvas(image_grid(X)), canvas(image_grid(np.eye(4))))
    assert isinstance(filters(X), Figure)
    assert isinstance(chains(X.reshape(2, 2, 4)), Figure)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: image_grid(np.zeros((2, 5))), "5 pixels do not make a square image; give shape"),
        (
            lambda: image_grid(np.zeros((2, 6)), (2, 2)),
            r"shape=\(2, 2\) asks for 4 pixels; the images have 6",
        ),
        (lambda: image_grid(np.zeros(4)), r"images came as \(4,\)"),
        (lambda: image_grid(np.zeros((0, 4))), "no images to show"),
        (lambda: image_grid(np.zeros((2, 4)), ncols=0), "ncols=0; expected"),
        (lambda: filters(np.zeros(4)), r"W came as \(4,\); expected \[n_visible, n_hidden\]"),
        (lambda: chains(np.zeros((2, 4))), r"samples came as \(2, 4\)"),
        (lambda: chains(np.zeros((2, 1, 4)), steps=[1]), "1 steps came for 2 moments"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
