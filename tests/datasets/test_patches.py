"""Patches: whitened to the identity, restored, cut from places that the parts do not share."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidgm import datasets
from minidgm.datasets import Whitening, patches
from minidgm.errors import DataError


def images(m=4, height=40, width=33, channels=()):
    """Smooth images whose every pixel has another value."""
    noise = np.random.default_rng(0).normal(size=(m, height, width, *channels))
    return noise.cumsum(axis=1).cumsum(axis=2)


@pytest.mark.parametrize("whiten", ["zca", "pca"])
@pytest.mark.parametrize("channels", [(), (2,)])
def test_covariance_of_whitened_patches_is_the_identity(whiten, channels):
    data = patches(images(channels=channels), size=3, n=1500, whiten=whiten, epsilon=0.0)
    Z = data.train.astype(np.float64)
    assert Z.shape == (1200, 9 * (channels or (1,))[0])
    assert np.abs(Z.mean(axis=0)).max() < 1e-5
    assert np.allclose(Z.T @ Z / len(Z), np.eye(Z.shape[1]), atol=1e-4)


@pytest.mark.parametrize("whiten", ["zca", "pca", None])
def test_inverse_restores_the_pixels_and_log_det_is_that_of_the_map(whiten):
    X = patches(images(), size=3, n=500, whiten=None).train.astype(np.float64)
    whitening = Whitening.of(X, whiten)
    assert np.allclose(whitening.inverse(whitening(X)), X, atol=1e-9)
    assert np.allclose(whitening.forward @ whitening.backward, np.eye(9), atol=1e-9)
    assert whitening.log_det == pytest.approx(np.linalg.slogdet(whitening.forward)[1], abs=1e-9)


def test_zca_is_the_symmetric_square_root_and_pca_orders_the_variances():
    X = patches(images(), size=3, n=500, whiten=None).train.astype(np.float64)
    zca, pca = Whitening.of(X, "zca", 0.0), Whitening.of(X, "pca", 0.0)
    assert np.allclose(zca.forward, zca.forward.T)
    lengths = np.linalg.norm(pca.backward, axis=1)
    assert np.all(np.diff(lengths) <= 0)


def test_epsilon_is_in_units_of_the_mean_variance():
    X = patches(images(), size=2, n=500, whiten=None).train.astype(np.float64)
    C = np.cov(X.T, bias=True)
    Z = Whitening.of(X, "zca", 0.5)(X)
    ridge = C + 0.5 * np.trace(C) / 4 * np.eye(4)
    assert np.allclose(np.cov(Z.T, bias=True), np.linalg.solve(ridge, C), atol=1e-6)


def test_patches_less_their_own_mean_lose_one_direction():
    data = patches(images(), size=3, n=500, whiten="pca", center="patch")
    assert data.train.shape == (400, 8)
    assert data.shape is None
    assert data.patch_shape == (3, 3)
    assert np.isnan(data.whitening.log_det)
    assert np.abs(data.whitening.inverse(data.test).sum(axis=1)).max() < 1e-3
    assert np.allclose(patches(images(), 3, 500, "zca", center="patch").train.sum(axis=1), 0, atol=1e-3)
    with pytest.raises(DataError, match=r"1 of 9 directions .* no variance.*pca"):
        patches(images(), size=3, n=500, whiten="zca", center="patch", epsilon=0.0)


@settings(max_examples=20)
@given(
    m=st.integers(1, 5),
    height=st.integers(24, 40),
    width=st.integers(24, 40),
    size=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
def test_every_patch_is_one_of_the_images_and_parts_share_no_pixel(m, height, width, size, seed):
    """Each pixel is its own number, so that a patch says where it comes from."""
    stack = np.arange(m * height * width, dtype=np.float64).reshape(m, height, width)
    data = patches(stack, size, 20, None, seed, validation=0.2, test=0.2)
    seen = []
    for part in (data.train, data.validation, data.test):
        X = np.rint(data.whitening.inverse(part.astype(np.float64))).astype(int).reshape(-1, size, size)
        assert np.array_equal(X[:, :, :1] + np.arange(size), X)
        assert np.array_equal(X[:, :1] + width * np.arange(size)[:, None], X)
        assert np.all(X[:, 0, 0] % width <= width - size)
        assert len({*X[:, 0, 0].tolist()}) == len(X)
        seen.append({*X.ravel().tolist()})
    assert [len(data.train), len(data.validation), len(data.test)] == [12, 4, 4]
    assert not seen[0] & (seen[1] | seen[2])
    assert not seen[1] & seen[2]


def test_every_place_can_be_drawn():
    stack = np.arange(20 * 17, dtype=np.float64).reshape(1, 20, 17)
    corners = set()
    for seed in range(40):
        data = patches(stack, 2, 60, None, seed)
        X = np.rint(data.whitening.inverse(data.train.astype(np.float64))).astype(int)
        corners |= {*X.ravel().tolist()}
    assert corners == set(range(20 * 17))


def test_seed_decides_and_another_seed_differs():
    first, again, other = (patches(images(), 3, 300, seed=seed).train for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_inputs_stay_as_they_are():
    stack = images()
    kept = stack.copy()
    patches(stack, 3, 200, center="patch")
    assert np.array_equal(stack, kept)


def test_channels_stay_last():
    stack = np.stack([images()] * 2, axis=-1) + np.array([0.0, 5000.0])
    data = patches(stack, 3, 200, None)
    X = data.whitening.inverse(data.train.astype(np.float64)).reshape(-1, *data.patch_shape)
    assert data.patch_shape == (3, 3, 2)
    assert np.allclose(X[..., 1] - X[..., 0], 5000, atol=0.1)


def test_digits_by_name_and_through_the_registry():
    data = datasets.get("patches", images="digits", size=5, n=1000)
    assert data.train.shape == (800, 25)
    assert data.name == "digits_patches"
    assert data.license == "CC BY 4.0"


def test_photographs():
    pytest.importorskip("sklearn")
    gray, color = datasets.photographs(), datasets.photographs(color=True)
    assert gray.shape == (2, 427, 640)
    assert color.shape == (2, 427, 640, 3)
    assert gray.min() >= 0
    assert gray.max() <= 1
    assert np.allclose(gray, color @ [0.299, 0.587, 0.114])
    data = patches(n=3000)
    assert data.train.shape == (2400, 64)
    assert np.abs(np.cov(data.train.T) - np.eye(64)).max() < 0.05  # epsilon shrinks the smallest variances


def test_without_scikit_learn_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match=r"pip install scikit-learn.*images of your own"):
        patches()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": "photgraphs"}, "unknown images 'photgraphs'; did you mean 'photographs'"),
        ({"images": np.zeros((10, 10))}, r"float64 \(10, 10\); expected numbers \[m, H, W\]"),
        ({"images": np.full((1, 9, 9), np.nan)}, "NaN or infinity"),
        ({"images": np.ones((3, 30, 30))}, "all the same"),
        ({"size": 50}, "50 x 50 pixels do not fit"),
        ({"size": 0}, "size must be an integer of at least 1"),
        ({"n": 10**7}, r"train: 8000000 patches asked for.*have \d+ places"),
        ({"images": np.ones((1, 4, 4)), "n": 4, "validation": 0.25}, "1 cells of 6 pixels are too few"),
        ({"whiten": "zac"}, "unknown whitening 'zac'; did you mean 'zca'"),
        ({"center": "image"}, "unknown center 'image'"),
        ({"epsilon": -1.0}, "epsilon must be in"),
        ({"validation": 0.7, "test": 0.4}, "leave some to train on"),
    ],
)
def test_bad_input(change, message):
    with pytest.raises(ValueError, match=message):
        patches(**{"images": images(), "size": 3, "n": 100, **change})
