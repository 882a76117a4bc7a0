"""Walks through one layer of several: the layers below follow by the means of p."""

from __future__ import annotations

import numpy as np
import pytest

from minidgm import HierarchicalVAE
from minidgm.backend import asarray, to_numpy
from minidgm.latent import nets


def make(n_codes=(3, 2), backend="numpy"):
    pairs = nets.layered(6, n_codes, [(4,)] * len(n_codes))
    return HierarchicalVAE(*pairs, n_codes, seed=1, dtype="float64", backend=backend)


def test_what_each_layer_keeps(backend):
    model, x = make((3, 2, 2), backend), asarray(np.eye(6)[:2], backend, "float64")
    z1, z2, z3 = model.split(model.transform(x))
    by_hand = model.visible_given_latent(model.down(2, model.down(3, z3)[0].mean)[0].mean).mean
    np.testing.assert_array_equal(to_numpy(model.reconstruct(x, 3)), to_numpy(by_hand))
    by_hand = model.visible_given_layer(2, z2).mean
    np.testing.assert_array_equal(to_numpy(model.reconstruct(x, 2)), to_numpy(by_hand))
    np.testing.assert_array_equal(
        to_numpy(model.reconstruct(x)), to_numpy(model.visible_given_latent(z1).mean)
    )


def test_a_code_of_any_layer_moves_the_picture(backend):
    model, x = make(backend=backend), asarray(np.eye(6)[:1], backend, "float64")
    moved = to_numpy(model.traverse(x, (-3.0, 0.0, 3.0)))
    assert moved.shape == (5, 3, 6)
    assert (np.ptp(moved, axis=1).max(axis=1) > 1e-3).all()
    np.testing.assert_array_equal(to_numpy(model.traverse(x, (-3.0, 0.0, 3.0), units=[4]))[0], moved[4])
    np.testing.assert_array_equal(to_numpy(model.traverse(x, (-3.0, 0.0, 3.0), units=[-1]))[0], moved[4])
    z1, z2 = model.split(model.transform(x))
    at_its_own_place = to_numpy(model.traverse(x, [float(to_numpy(z2)[0, 1])], units=[4]))
    np.testing.assert_allclose(at_its_own_place[0], to_numpy(model.reconstruct(x, 2)))
    one = to_numpy(z1).copy()
    one[0, 2] = -3.0
    by_hand = model.visible_given_layer(1, asarray(one, backend, "float64")).mean
    np.testing.assert_allclose(moved[2, 0], to_numpy(by_hand)[0])


def test_the_plane_is_of_the_highest_codes(backend):
    model = make(backend=backend)
    plane = to_numpy(model.manifold(3))
    assert plane.shape == (3, 3, 6)
    middle = model.visible_given_layer(2, model.xp.zeros((1, 2))).mean
    np.testing.assert_allclose(plane[1, 1], to_numpy(middle)[0])
    ends = model.interpolate(*(asarray(np.eye(6)[i : i + 1], backend, "float64") for i in (0, 1)), n_steps=3)
    assert ends.shape == (3, 1, 6)


def test_what_there_is_not():
    model, x = make(), np.eye(6)
    with pytest.raises(ValueError, match=r"layer 3 with 2 codes; .*n_codes=\(3, 2\), the first is 1"):
        model.visible_given_layer(3, np.zeros((1, 2)))
    with pytest.raises(ValueError, match="layer 2 with 3 codes"):
        model.visible_given_layer(2, np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"layer 3; the layers of this model have n_codes=\(3, 2\)"):
        make().reconstruct(np.eye(6), 3)
    with pytest.raises(ValueError, match="layer must be"):
        model.reconstruct(x, layer=0)
    with pytest.raises(ValueError, match=r"units=\[5\]; the codes of this model are 0 ... 4"):
        model.traverse(x[:1], units=[5])
    with pytest.raises(ValueError, match="6 rows; a traversal starts at one"):
        model.traverse(x)
    with pytest.raises(ValueError, match="the highest has 3; use traverse"):
        make((2, 3)).manifold()
