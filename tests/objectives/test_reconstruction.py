"""Losses of autoencoders: what is corrupted, what costs, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from minidgm import RBM, Autoencoder, Generator
from minidgm.backend import asarray, to_numpy
from minidgm.checks.exhaustive import Replay
from minidgm.objectives import Reconstruction


def test_corruptions(backend, xp):
    x = asarray(np.tile([[0.0, 1.0]], (4000, 1)), backend, "float32")
    rng = Generator(0, backend)
    mask = to_numpy(Reconstruction("mask", 0.25).corrupt(x, rng))
    assert set(np.unique(mask)) == {0.0, 1.0}
    assert not mask[:, 0].any()
    flip = to_numpy(Reconstruction("flip", 0.25).corrupt(x, rng))
    noise = to_numpy(Reconstruction("gaussian", 0.5).corrupt(x, rng)) - to_numpy(x)
    # Five standard errors of a frequency of 1/4 and of a deviation of 1/2: false alarms below 1e-6 each.
    error = 5 * np.sqrt(0.25 * 0.75 / 4000)
    np.testing.assert_allclose([1 - mask[:, 1].mean(), *abs(flip - [0, 1]).mean(axis=0)], 0.25, atol=error)
    np.testing.assert_allclose(noise.std(axis=0), 0.5, atol=5 * 0.5 / np.sqrt(8000))
    assert Reconstruction().corrupt(x, None) is x


@pytest.mark.parametrize("corruption", ["mask", "gaussian", "flip"])
def test_the_clean_row_is_the_target(corruption, backend):
    model = Autoencoder([("dense", 2), "tanh"], [("dense", 3)], 2, backend=backend, dtype="float64", seed=0)
    x = asarray(np.eye(3), backend, "float64")
    objective = Reconstruction(corruption, 0.5, contraction=0.1, weight_decay=0.01)
    grads, _ = objective.gradient(model, x, Replay(3, backend))
    seen = objective.corrupt(x, Replay(3, backend))
    right, _, _ = model.loss_gradient(x, model.xp.full(3, 1 / 3), seen, contraction=0.1)
    for name in right:
        decay = 0.01 * model.params[name] if right[name].ndim == 2 else 0.0
        np.testing.assert_allclose(to_numpy(grads[name]), to_numpy(right[name] + decay), atol=1e-12)


def test_denoising_learns_what_copying_cannot():
    """Two equal columns: behind a mask, one tells the other."""
    X = np.random.default_rng(0).normal(size=(500, 1)) @ np.ones((1, 2))
    model = Autoencoder([("dense", 2)], [("dense", 2)], 2, seed=0)
    model.fit(X, objective=Reconstruction("mask", 0.5), epochs=60)
    hidden = model.reconstruct(X * [[1.0, 0.0]])
    assert np.corrcoef(hidden[:, 1], X[:, 1])[0, 1] > 0.99


def test_bad_arguments():
    with pytest.raises(ValueError, match="unknown corruption 'masc'"):
        Reconstruction("masc", 0.1)
    with pytest.raises(ValueError, match="give both"):
        Reconstruction("mask")
    with pytest.raises(ValueError, match="give both"):
        Reconstruction(level=0.5)
    with pytest.raises(ValueError, match=r"level must be in \[0, 1\)"):
        Reconstruction("flip", 1.0)
    assert Reconstruction("gaussian", 2.0).level == 2.0
    with pytest.raises(TypeError, match="has no loss_gradient"):
        Reconstruction().gradient(RBM(3, 2), np.zeros((1, 3), dtype="float32"), Generator(0))
