"""load: a user's file becomes a data set, or a clear error; DNA."""

import gzip
import struct

import numpy as np
import pytest
import scipy.io

from minidgm import datasets
from minidgm.datasets import load
from minidgm.errors import DataError
from tests.datasets.needs_data import needs_data

X = np.arange(40.0).reshape(20, 2) / 40
Y = np.arange(20) % 3


def rows(data):
    return np.concatenate([data.train, data.validation, data.test])


def test_npy(tmp_path):
    np.save(tmp_path / "mine.npy", X)
    data = load(tmp_path / "mine.npy")
    assert (data.name, data.source, len(data.train)) == ("mine", "mine.npy", 16)
    assert data.train.dtype == np.float32
    assert np.allclose(np.sort(rows(data)[:, 0]), X[:, 0])


def test_npy_on_disk(tmp_path):
    np.save(tmp_path / "mine.npy", X)
    data = load(tmp_path / "mine.npy", mmap=True, seed=None, dtype=None)
    assert isinstance(data.train, np.memmap)
    assert np.array_equal(rows(data), X)
    with pytest.raises(DataError, match="give seed=None, dtype=None"):
        load(tmp_path / "mine.npy", mmap=True)


def test_npz_with_named_examples_and_labels(tmp_path):
    np.savez(tmp_path / "mine.npz", a=X, b=Y, c=np.arange(3))
    data = load(str(tmp_path / "mine.npz"), data="a", labels="b", seed=None)
    assert np.array_equal(np.concatenate([data.train_labels, data.validation_labels, data.test_labels]), Y)
    with pytest.raises(DataError, match="say which are the examples"):
        load(tmp_path / "mine.npz")
    with pytest.raises(DataError, match="no array 'aa'; did you mean 'a'"):
        load(tmp_path / "mine.npz", data="aa")
    with pytest.raises(DataError, match="no labels 'bb'; did you mean 'b'"):
        load(tmp_path / "mine.npz", data="a", labels="bb")


def test_npz_with_usual_names(tmp_path):
    np.savez(tmp_path / "mine.npz", X=X, y=Y)
    assert load(tmp_path / "mine.npz").train_labels.shape == (16,)


def test_npz_with_parts_of_its_own(tmp_path):
    np.savez(tmp_path / "mine.npz", X_train=X, X_test=X[:4], y_train=Y, y_test=Y[:4])
    data = load(tmp_path / "mine.npz")
    assert [part.shape for part in (data.train, data.validation, data.test)] == [(20, 2), (0, 2), (4, 2)]
    assert np.array_equal(data.test_labels, Y[:4])
    np.savez(tmp_path / "other.npz", train=X, test=X[:, :1])
    with pytest.raises(DataError, match="the parts differ in width"):
        load(tmp_path / "other.npz")
    np.savez(tmp_path / "third.npz", train=X, train_labels=Y[:3])
    with pytest.raises(DataError, match="3 labels for 20 examples in train"):
        load(tmp_path / "third.npz")


def test_csv_with_a_column_of_text_labels(tmp_path):
    lines = ["width,height,kind", *(f"{a},{b},{'xyz'[k]}" for (a, b), k in zip(X, Y, strict=True))]
    (tmp_path / "mine.csv").write_text("\n".join(lines))
    data = load(tmp_path / "mine.csv", labels="kind", seed=None)
    assert data.train.shape == (16, 2)
    assert np.array_equal(data.train_labels, Y[:16])
    with pytest.raises(DataError, match="column 'kind' holds text; expected numbers"):
        load(tmp_path / "mine.csv")


def test_mat(tmp_path):
    scipy.io.savemat(tmp_path / "mine.mat", {"images": X, "labels": Y})
    data = load(tmp_path / "mine.mat", seed=None)
    assert np.array_equal(data.train_labels, Y[:16])


def test_idx_images_with_labels_in_another_file(tmp_path):
    images = (np.arange(10 * 4) % 256).astype(np.uint8)
    path = tmp_path / "images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 3]) + struct.pack(">3I", 10, 2, 2) + images.tobytes()))
    labels = tmp_path / "labels-idx1-ubyte"
    labels.write_bytes(bytes([0, 0, 8, 1]) + struct.pack(">I", 10) + bytes(range(10)))
    data = load(path, labels=str(labels), seed=None, binarize=None)
    assert data.shape == (2, 2)
    assert data.train.shape == (8, 4)
    assert data.train_labels.tolist() == list(range(8))


@pytest.mark.parametrize("how", ["fixed", "dynamic", "threshold"])
def test_binarize(tmp_path, how):
    np.save(tmp_path / "mine.npy", np.repeat([[0, 100, 255]], 6000, axis=0).astype(np.uint8))
    data = load(tmp_path / "mine.npy", binarize=how)
    assert data.binarize == how
    assert isinstance(data.train, datasets.Resampled) == (how == "dynamic")
    for part in (data.train[:], data.validation, data.test):
        assert set(np.unique(part)) <= {0.0, 1.0}
        assert np.all(part[:, 0] == 0)
        assert np.all(part[:, 2] == 1)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([[1.0], [np.nan], [2.0]] * 5), "holds NaN or infinity"),
        (np.array([[1.0], [np.inf], [2.0]] * 5), "holds NaN or infinity"),
        (np.array([["a"], ["b"]]), "expected real numbers"),
        (np.array([[1j], [2]]), "expected real numbers"),
        (np.float64(3.0), "expected rows of examples"),
        (np.zeros((5, 0)), "expected rows of examples"),
        (np.zeros((0, 5)), "leave none to train on"),
    ],
)
def test_what_is_not_rows_of_finite_numbers_is_refused(tmp_path, array, message):
    np.save(tmp_path / "mine.npy", array)
    with pytest.raises(DataError, match=message):
        load(tmp_path / "mine.npy")


@pytest.mark.parametrize("labels", [np.full(20, 0.5), np.zeros((20, 2)), np.full(20, 1j), np.arange(19)])
def test_labels_that_are_none_are_refused(tmp_path, labels):
    np.savez(tmp_path / "mine.npz", data=X, labels=labels)
    with pytest.raises(DataError, match="label"):
        load(tmp_path / "mine.npz")


def test_an_unknown_binarization_is_refused_first(tmp_path):
    with pytest.raises(ValueError, match="unknown binarization"):
        load(tmp_path / "absent.npy", binarize="x")


@needs_data
def test_dna():
    data = datasets.uci_dna()
    assert [part.shape for part in (data.train, data.validation, data.test)] == [
        (1400, 180),
        (600, 180),
        (1186, 180),
    ]
    assert data.train.dtype == np.float32
    assert set(np.unique(data.train)) == {0.0, 1.0}
    assert data.train.reshape(-1, 60, 3).sum(axis=2).max() == 1
