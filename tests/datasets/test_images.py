"""Digits and MNIST: counts, splits, binarizations."""

import numpy as np
import pytest

from minidgm import datasets
from minidgm.errors import DataError
from tests.datasets.needs_data import needs_data


def test_digits_hold_what_the_repository_documents():
    data = datasets.digits()
    assert [part.shape for part in (data.train, data.validation, data.test)] == [
        (1297, 64),
        (250, 64),
        (250, 64),
    ]
    assert data.train.dtype == np.float32
    assert data.shape == (8, 8)
    levels = np.concatenate([data.train, data.validation, data.test]) * 16
    assert np.array_equal(levels, np.rint(levels))
    assert (levels.min(), levels.max()) == (0, 16)
    labels = np.concatenate([data.train_labels, data.validation_labels, data.test_labels])
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert len(np.unique(levels, axis=0)) == 1797


def test_digits_are_those_of_scikit_learn_in_the_documented_order():
    sklearn = pytest.importorskip("sklearn.datasets")
    images, labels = sklearn.load_digits(return_X_y=True)
    data = datasets.digits()
    order = np.argsort(np.random.PCG64(np.random.SeedSequence(0)).random_raw(1797), kind="stable")
    assert np.array_equal(np.concatenate([data.train, data.validation, data.test]) * 16, images[order])
    assert np.array_equal(
        np.concatenate([data.train_labels, data.validation_labels, data.test_labels]), labels[order]
    )


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_digits_binarized_three_ways(part):
    grey = getattr(datasets.digits(), part)
    assert np.array_equal(getattr(datasets.digits(binarize="threshold"), part), grey >= 0.5)
    fixed = getattr(datasets.digits(binarize="fixed"), part)
    assert np.array_equal(fixed, getattr(datasets.digits(binarize="fixed"), part))
    assert not np.array_equal(fixed, getattr(datasets.digits(binarize="fixed", seed=1), part))
    assert np.all(fixed[grey == 0] == 0)
    assert np.all(fixed[grey == 1] == 1)


def test_dynamic_digits_resample_the_training_part_alone():
    grey, data = datasets.digits(), datasets.digits(binarize="dynamic")
    assert data.binarize == "dynamic"
    assert isinstance(data.train, datasets.Resampled)
    assert np.array_equal(data.train.probabilities, grey.train)
    assert not np.array_equal(data.train[:], data.train[:])
    assert isinstance(data.test, np.ndarray)
    assert np.array_equal(data.test, datasets.digits(binarize="dynamic").test)


@pytest.mark.parametrize("make", [datasets.digits, datasets.mnist])
def test_an_unknown_binarization_is_refused_with_the_nearest(make):
    with pytest.raises(ValueError, match="unknown binarization 'treshold'; did you mean 'threshold'"):
        make(binarize="treshold")


@pytest.mark.parametrize("validation", [-1, 60_000, 0.1, True])
def test_mnist_refuses_a_validation_part_that_cannot_be(validation):
    with pytest.raises(DataError, match="expected a number of images"):
        datasets.mnist(validation=validation)


@needs_data
def test_mnist():
    data = datasets.mnist(binarize="threshold", validation=5000)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [55_000, 5000, 10_000]
    assert data.train.dtype == np.float32
    assert data.train.shape[1] == 784
    labels = np.concatenate([data.train_labels, data.validation_labels])
    assert np.bincount(labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert set(np.unique(data.test)) == {0.0, 1.0}


@needs_data
def test_fixed_mnist_does_not_depend_on_the_split():
    a, b = datasets.mnist(binarize="fixed"), datasets.mnist(binarize="fixed", validation=0)
    assert np.array_equal(a.validation, b.train[50_000:])
    assert np.array_equal(a.test, b.test)
