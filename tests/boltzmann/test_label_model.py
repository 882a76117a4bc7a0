"""Training with labels, without some of them, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from minidgm import DiscriminativeRBM, HybridThirdOrderRBM, datasets
from minidgm.errors import DataError
from minidgm.objectives import ContrastiveDivergence, DiscriminativeLikelihood, HybridLikelihood
from minidgm.optim import Adam

MODELS = [DiscriminativeRBM, HybridThirdOrderRBM]


def toy(n=200, seed=0):
    """Two prototypes of eight bits with noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    prototypes = np.array([[1, 1, 1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 1, 0, 0.0]])
    return np.abs(prototypes[y] - (rng.random((n, 8)) < 0.1)).astype("float32"), y


@pytest.mark.parametrize("model_class", MODELS)
def test_rows_without_labels_are_trained_on(model_class):
    """Four labels and 196 rows without: the classes are the two clusters of the rows."""
    X, y = toy()
    known = np.full(200, -1)
    for k in (0, 1):
        known[np.flatnonzero(y == k)[:2]] = k
    settings = {
        "objective": HybridLikelihood(alpha=0.1),
        "optimizer": Adam(0.01),
        "epochs": 100,
        "batch_size": 20,
    }
    model = model_class(8, 6, 2, seed=0)
    model.fit(X, known, **settings)
    assert model.accuracy(*toy(500, 1)) > 0.9
    assert not model.unlabelled
    nan = np.where(known < 0, np.nan, known)
    twin = model_class(8, 6, 2, seed=0)
    twin.fit(X, nan, **settings)
    np.testing.assert_array_equal(twin.params.buffer, model.params.buffer)


@pytest.mark.parametrize("model_class", MODELS)
def test_missing_labels_need_an_objective_that_takes_them(model_class):
    X, y = toy(10)
    model = model_class(8, 3, 2, seed=0)
    with pytest.raises(DataError, match=r"y\[3\] is missing.*HybridLikelihood"):
        model.fit(X, np.where(np.arange(10) == 3, -1, y), objective=ContrastiveDivergence())
    rows = model.join(X, y)
    rows[4, 8:] = 0.0
    with pytest.raises(DataError, match="X has no label in row 4"):
        model.fit(rows, objective="CD", epochs=1)
    model.fit(rows, epochs=1)


def test_a_classifier_needs_a_label_at_least():
    model, X = DiscriminativeRBM(3, 2, n_classes=2), np.eye(3, dtype="float32")
    with pytest.raises(DataError, match=r"none of the 3 rows has a label.*DiscriminativeLikelihood"):
        model.fit(X, [-1, -1, np.nan], objective=DiscriminativeLikelihood())
    assert len(model.fit(X, [-1, 1, -1], objective=DiscriminativeLikelihood(), epochs=1).records) == 1
    assert len(model.fit(X, [-1, -1, -1], epochs=1).records) == 1


def test_free_energy_of_a_row_without_label_is_that_of_v():
    model = DiscriminativeRBM(8, 3, 2, dtype="float64", seed=0)
    X, y = toy(6)
    rows = model.join(X, y)
    labelled = model.free_energy(rows)
    rows[::2, 8:] = 0.0
    twin = model.with_params(model.params)
    twin.unlabelled = True
    found = twin.free_energy(rows)
    np.testing.assert_allclose(found[1::2], labelled[1::2], rtol=1e-12)
    np.testing.assert_allclose(found[::2], model.input_free_energy(model.split(rows)[0])[::2], rtol=1e-12)


def test_bad_labels_in_fit():
    X, y = toy(10)
    model = DiscriminativeRBM(8, 3, 2)
    for labels, problem in (
        (y[:5], "one label for each of 10 rows"),
        (y + 1, r"is 2; expected whole numbers"),
    ):
        with pytest.raises(DataError, match=problem):
            model.fit(X, labels)
    with pytest.raises(DataError, match=r"validation labels\[0\] is 7"):
        model.fit(X, y, validation=(X[:1], [7]))
    with pytest.raises(DataError, match=r"expected rows of v, \[n, 8\]"):
        model.fit(X[:, :4], y)
    with pytest.raises(DataError, match="X holds 3 "):
        model.fit(3.0 * X, y)


def test_rows_on_a_device(backend):
    from minidgm.backend import asarray

    X, y = toy(20)
    model = DiscriminativeRBM(8, 3, 2, backend=backend, seed=0)
    model.fit(asarray(X, backend), y, epochs=2)
    other = DiscriminativeRBM(8, 3, 2, backend=backend, seed=0)
    other.fit(X, asarray(y, backend), epochs=2)
    assert model.predict(X).shape == (20,)


def test_arguments_from_a_data_set():
    data = datasets.digits(binarize="threshold")
    found = DiscriminativeRBM.arguments_for(data, {"n_hidden": 5})
    assert found == {"n_visible": 64, "n_hidden": 5, "n_classes": 10}
    assert HybridThirdOrderRBM.arguments_for(data, {})["n_hidden"] == 64
    model = DiscriminativeRBM(**found)
    rows = model.prepare(data)
    assert rows.train.shape == (len(data.train), 74)
    np.testing.assert_array_equal(rows.test[:][:, 64:].argmax(axis=1), data.test_labels)
    with pytest.raises(DataError, match="has no labels"):
        DiscriminativeRBM.arguments_for(replace(data, train_labels=None), {})
    with pytest.raises(DataError, match="has no labels"):
        model.prepare(replace(data, test_labels=None))
    with pytest.raises(DataError, match="n_visible = 3"):
        DiscriminativeRBM.arguments_for(data, {"n_visible": 3})
