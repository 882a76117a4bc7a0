"""Autoencoders: loss, costs, contraction, the linear optimum."""

from __future__ import annotations

import numpy as np
import pytest

from minidgm import Autoencoder, Generator, load, optim
from minidgm.backend import asarray, to_numpy
from minidgm.checks import check_model
from minidgm.errors import DataError
from minidgm.latent import nets
from minidgm.objectives import Reconstruction

KINDS = {
    "linear": lambda **o: Autoencoder([("dense", 2)], [("dense", 4)], 2, **o),
    "sigmoid": lambda **o: Autoencoder([("dense", 2), "sigmoid"], [("dense", 4)], 2, "bernoulli", **o),
    "tanh": lambda **o: Autoencoder([("dense", 3), "tanh"], [("dense", 4)], 3, **o),
    "deep": lambda **o: Autoencoder(*nets.dense(4, 2, [3], codes=1), 2, **o),
    "words": lambda **o: Autoencoder(*nets.dense(6, 2, [3], codes=1), 2, "categorical", n_classes=3, **o),
}


@pytest.mark.parametrize("kind", KINDS)
def test_identities(kind):
    report = check_model(KINDS[kind](dtype="float64"), ["4", "5", "6", "32"], max_examples=6)
    assert {"autoencoder gradient"} <= {result.name for result in report.results}


def test_a_large_one_is_checked_on_a_small_twin_of_its_kind():
    for kind in KINDS:
        like = KINDS[kind]()
        twin = Autoencoder.small(like)
        assert twin.linear == like.linear
        assert twin.likelihood.name == like.likelihood.name
    assert Autoencoder.small(KINDS["sigmoid"]()).encoder.layers[-1:] == KINDS["sigmoid"]().encoder.layers[-1:]


@pytest.mark.parametrize("kind", ["sigmoid", "tanh"])
def test_the_contraction_is_the_squared_jacobian(kind):
    model, rng = KINDS[kind](dtype="float64", seed=0), np.random.default_rng(0)
    model.params.buffer[...] = rng.normal(size=model.params.size)
    x, step = rng.random((3, 4)), 1e-6
    found = np.zeros(3)
    for i in range(4):
        e = step * np.eye(4)[i]
        found += (((model.transform(np.clip(x + e, 0, 1)) - model.transform(x - e)) / (2 * step)) ** 2).sum(1)
    np.testing.assert_allclose(model.contraction(x), found, rtol=1e-7)


def test_training_a_linear_one_reaches_the_principal_subspace():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4)) @ np.diag([3.0, 2.0, 0.5, 0.2]) @ np.linalg.qr(rng.normal(size=(4, 4)))[0]
    model, best = KINDS["linear"](dtype="float64", seed=0), KINDS["linear"](dtype="float64")
    model.fit(X, optimizer=optim.Adam(optim.schedules.Linear(0.05)), epochs=600, batch_size=200)
    best.principal_components(X)
    # The next best pair of components costs (2^2 - 0.5^2) / 2 more, times the spectrum of the noise.
    np.testing.assert_allclose(model.loss(X).mean(), best.loss(X).mean(), atol=1e-4)
    np.testing.assert_allclose(model.reconstruct(X), best.reconstruct(X), atol=0.1)


def test_more_codes_than_columns_copy():
    X = np.random.default_rng(0).normal(size=(20, 2))
    model = Autoencoder([("dense", 3)], [("dense", 2)], 3, dtype="float64").principal_components(X)
    np.testing.assert_allclose(model.reconstruct(X), X, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_backends_precisions_and_files_agree(kind, backend, tmp_path):
    model = KINDS[kind](seed=1, dtype="float64")
    x = np.eye(3)[[0, 1, 2, 0, 1, 1]].reshape(3, -1)[:, : model.n_visible]
    x = x if kind == "words" else np.random.default_rng(0).random((3, 4))
    there = model.to(backend, "float32")
    objective = Reconstruction(activity=0.1)
    grads, metrics = objective.gradient(there, asarray(x, backend, "float32"), Generator(0, backend))
    right, losses, _ = model.loss_gradient(x, np.full(3, 1 / 3), activity=0.1)
    for name in right:
        np.testing.assert_allclose(to_numpy(grads[name]), right[name], atol=1e-5)
    np.testing.assert_allclose(to_numpy(metrics["loss"]), losses.mean(), rtol=1e-5)
    model.save(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "model.safetensors").transform(x), model.transform(x))


def test_bad_input():
    with pytest.raises(ValueError, match=r"(?s)do not meet.*encoder\n.*decoder\n"):
        Autoencoder([("dense", 5)], [("dense", 4)], 2)
    with pytest.raises(TypeError, match="one dense layer and sigmoid or tanh"):
        KINDS["deep"]().contraction(np.zeros((1, 4), dtype="float32"))
    with pytest.raises(TypeError, match="linear autoencoder"):
        KINDS["deep"]().principal_components(np.zeros((2, 4)))
    with pytest.raises(DataError, match="likelihood='gaussian'"):
        KINDS["sigmoid"]().check_data(2.0 * np.ones((1, 4)))
