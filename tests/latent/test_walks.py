"""Walks through codes: ends, planes, one code at a time."""

from __future__ import annotations

import numpy as np
import pytest

from minidgm import VAE, Autoencoder, plotting
from minidgm.backend import asarray, to_numpy
from minidgm.latent import nets


def model(n_latent=2, backend="numpy"):
    encoder, decoder = nets.dense(4, n_latent, [3])
    return VAE(encoder, decoder, n_latent, seed=0, dtype="float64", backend=backend)


def test_interpolation_begins_and_ends_at_the_reconstructions(backend):
    vae, x = model(3, backend), asarray(np.eye(4), backend, "float64")
    for path in ("line", "arc"):
        found = to_numpy(vae.interpolate(x[:2], x[2:], 5, path))
        assert found.shape == (5, 2, 4)
        np.testing.assert_allclose(found[0], to_numpy(vae.reconstruct(x[:2])), atol=1e-12)
        np.testing.assert_allclose(found[-1], to_numpy(vae.reconstruct(x[2:])), atol=1e-12)
    z = 0.5 * (vae.transform(x[:2]) + vae.transform(x[2:]))
    middle = to_numpy(vae.interpolate(x[:2], x[2:], 5))[2]
    np.testing.assert_allclose(middle, to_numpy(vae.visible_given_latent(z).mean), atol=1e-12)


def test_a_traversal_moves_one_code(backend):
    vae, x = model(3, backend), asarray(np.eye(4)[:1], backend, "float64")
    found = to_numpy(vae.traverse(x, [-1.0, 2.0], units=[2]))
    z = vae.transform(x).copy()
    z[:, 2] = 2.0
    np.testing.assert_allclose(found[0, 1], to_numpy(vae.visible_given_latent(z).mean)[0], atol=1e-12)
    assert vae.traverse(x).shape == (3, 5, 4)


def test_the_plane_is_spread_as_the_prior(backend):
    vae = model(2, backend)
    found = to_numpy(vae.manifold(3))
    z = np.array([[-0.9674215661, 0.0]])  # the lower sixth of a normal, and its middle
    right = to_numpy(vae.visible_given_latent(asarray(z, backend, "float64")).mean)
    np.testing.assert_allclose(found[1, 0], right[0], atol=1e-9)
    z = np.array([[0.0, 0.9674215661]])
    right = to_numpy(vae.visible_given_latent(asarray(z, backend, "float64")).mean)
    np.testing.assert_allclose(found[0, 1], right[0], atol=1e-9)


def test_pictures():
    vae = model()
    assert type(plotting.latent_manifold(vae, 4)).__name__ == "Figure"
    assert type(plotting.latent_traversal(vae, np.eye(4)[:1])).__name__ == "Figure"
    linear = Autoencoder([("dense", 2)], [("dense", 4)], 2)
    assert linear.interpolate(np.eye(4), np.eye(4)).shape == (10, 4, 4)


def test_bad_input():
    with pytest.raises(ValueError, match="this model has 3; use traverse"):
        model(3).manifold()
    with pytest.raises(ValueError, match="start has 1 rows, end has 2"):
        model().interpolate(np.eye(4)[:1], np.eye(4)[:2])
    with pytest.raises(ValueError, match="a traversal starts at one"):
        model().traverse(np.eye(4))
    with pytest.raises(ValueError, match="unknown path 'circle'"):
        model().interpolate(np.eye(4), np.eye(4), path="circle")
