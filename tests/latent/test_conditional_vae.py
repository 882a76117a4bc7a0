"""Variational autoencoders given labels."""

from __future__ import annotations

import numpy as np
import pytest

from minidgm import ConditionalVAE, Generator, datasets, load, training
from minidgm.backend import asarray, to_numpy
from minidgm.checks import check_model
from minidgm.errors import DataError
from minidgm.latent import nets


def make(backend="numpy", dtype="float64"):
    encoder, decoder = nets.dense(4, 2, [5])
    return ConditionalVAE(encoder, decoder, 2, 3, seed=0, backend=backend, dtype=dtype)


def rows(n=5, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.random((n, 4)) < 0.5, np.eye(3)[rng.integers(0, 3, n)]], axis=1).astype(float)


def test_identities():
    names = {result.name for result in check_model(ConditionalVAE, max_examples=6).results}
    assert {"path gradient", "importance-weighted bound", "joint gradient of codes"} <= names


def test_the_density_is_of_x_given_y():
    """Summed over x and integrated over z, the joint density under each label is one."""
    model = ConditionalVAE.small(dtype="float64", seed=1)
    model.params.buffer[...] = np.random.default_rng(0).normal(size=model.params.size)
    line, rows = np.linspace(-8, 8, 81), model.visible_states()
    z = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    joint = [np.exp(model.log_joint(np.tile(row, (len(z), 1)), z)).sum() * 0.2**2 for row in rows]
    np.testing.assert_allclose(np.asarray(joint) @ rows[:, model.n_visible :], 1.0, atol=1e-9)


def test_backends_and_files_agree(backend, tmp_path):
    model, x = make(), rows()
    there = model.to(backend, "float32")
    np.testing.assert_allclose(to_numpy(there.transform(x)), model.transform(x), atol=1e-5)
    turned = to_numpy(there.reconstruct(x, [0] * 5))
    np.testing.assert_allclose(turned, model.reconstruct(x, [0] * 5), atol=1e-5)
    np.testing.assert_array_equal(turned[:, 4:], np.eye(3)[[0] * 5])
    drawn = to_numpy(there.sample(6, Generator(0, backend), y=[0, 1, 2, 2, 1, 0]))
    np.testing.assert_array_equal(drawn[:, 4:].argmax(axis=1), [0, 1, 2, 2, 1, 0])
    there.check_data(there.sample(5, 0))
    model.save(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "model.safetensors").elbo(x, 0), model.elbo(x, 0))
    z = asarray(np.zeros((3, 2)), backend, "float32")
    means = to_numpy(there.visible_given_latent(z, [0, 1, 2]).mean)
    one_hot = to_numpy(there.visible_given_latent(z, asarray(np.eye(3), backend, "float32")).mean)
    np.testing.assert_array_equal(means, one_hot)


def test_training_learns_what_a_label_says():
    digits = datasets.digits(binarize="threshold")
    model = ConditionalVAE(**ConditionalVAE.arguments_for(digits, {"n_latent": 2}), seed=0)
    labelled = model.prepare(digits)
    history = training.fit(model, labelled.train, epochs=15)
    assert history["loss"][-1] < history["loss"][0] - 8.0
    means = [model.sample(100, 0, y=[k] * 100)[:, :64].mean(axis=0) for k in (0, 1)]
    truth = [digits.train[digits.train_labels == k].mean(axis=0) for k in (0, 1)]
    near = [[np.abs(m - t).sum() for t in truth] for m in means]
    assert near[0][0] < near[0][1]
    assert near[1][1] < near[1][0]


def test_bad_input():
    with pytest.raises(DataError, match="the labels of x"):
        make().check_data(np.zeros((1, 7)))
    with pytest.raises(DataError, match=r"expected \[n, 7\]"):
        make().check_data(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="needs labels: pass y="):
        make().visible_given_latent(np.zeros((1, 2)))
    with pytest.raises(DataError, match="has no labels; use VAE"):
        ConditionalVAE.arguments_for(datasets.bars_and_stripes(), {})
