"""Generative moment matching: identities, learning, codes, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from minidgm import GMMN, CodeGMMN, DifferentiableGenerator, Generator, datasets
from minidgm.backend import asarray, to_numpy
from minidgm.checks import check_model
from minidgm.errors import DataError
from minidgm.evaluation import GaussianKernel, mmd2
from minidgm.objectives import MaximumMeanDiscrepancy
from minidgm.optim import Adam


def test_identities():
    report = check_model(GMMN, max_examples=10)
    assert report.ok
    assert {"34a", "34b", "6"} <= {result.number for result in report.results}


def test_learning_brings_samples_to_the_data(backend):
    rng = np.random.default_rng(0)
    X = (np.array([2.0, -1.0]) + np.array([0.3, 1.0]) * rng.normal(size=(400, 2))).astype("float32")
    model = GMMN(2, 2, (16,), seed=0, backend=backend)
    kernel, data = GaussianKernel.around(X), asarray(X, backend)
    before = mmd2(model.sample(400, Generator(1, backend)), data, kernel).value
    history = model.fit(X, optimizer=Adam(1e-2), epochs=50, batch_size=100)
    x = model.sample(400, Generator(1, backend))
    assert mmd2(x, data, kernel).value < 0.05 * before
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    np.testing.assert_allclose(to_numpy(x).mean(axis=0), X.mean(axis=0), atol=0.3)


def test_arguments_for_follow_the_data():
    digits = datasets.digits()
    assert GMMN.arguments_for(digits, {}) == {"n_visible": 64, "output": "sigmoid"}
    assert GMMN.arguments_for(digits, {"output": "linear"})["output"] == "linear"
    assert "output" not in GMMN.arguments_for(datasets.two_moons(), {})


def test_codes():
    """The encoder is an isometry of the plane into 5 dimensions, whose inverse is the decoder."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(5, 2)))[0].astype("float32")
    X = (rng.normal(size=(1500, 2)) @ basis.T).astype("float32")
    model = CodeGMMN(GMMN(2, 2, (8,), seed=0), lambda x: x @ basis, lambda z: z @ basis.T)
    assert model.codes(X).shape == (1500, 2)
    history = model.fit(X, epochs=1, batch_size=500)
    assert len(history["loss"]) == 1
    x = model.sample(4, rng=1)
    np.testing.assert_array_equal(x, model.generator.sample(4, rng=1) @ basis.T)
    with pytest.raises(DataError, match="no rows"):
        model.codes(X[:0])
    with pytest.raises(DataError, match=r"encode\(X\) has shape"):
        CodeGMMN(GMMN(3), lambda x: x @ basis, lambda z: z).fit(X)


def test_batch_norm_inside_learns_its_running_means():
    layers = [("dense", 4), "batch_norm", "relu", ("dense", 2)]
    model = DifferentiableGenerator(2, 2, layers, seed=0)
    name = next(name for name in model.params if "mean" in name)
    before = model.params[name].copy()
    X = np.random.default_rng(0).normal(size=(40, 2)).astype("float32")
    model.fit(X, objective=MaximumMeanDiscrepancy(), epochs=1, batch_size=20)
    assert (model.params[name] != before).any()


def test_refusals():
    with pytest.raises(ValueError, match="did you mean 'sigmoid'"):
        GMMN(2, output="sigmod")
    with pytest.raises(ValueError, match="hidden must be"):
        GMMN(2, hidden=(0,))
    with pytest.raises(TypeError, match="expected a DifferentiableGenerator"):
        CodeGMMN("GMMN", abs, abs)
    with pytest.raises(TypeError, match="decode=3"):
        CodeGMMN(GMMN(2), abs, 3)
