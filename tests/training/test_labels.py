"""Labels are checked once, and joined to their rows a batch at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidgm.backend import asarray, to_numpy
from minidgm.datasets import Resampled
from minidgm.errors import DataError
from minidgm.training.labels import LabelledRows, one_hot, read_labels


@given(labels=st.lists(st.integers(-1, 4), min_size=1, max_size=8))
@settings(max_examples=20)
def test_one_hot_rows_are_the_labels(labels):
    found = read_labels(labels, len(labels), 5, missing=True)
    assert found.tolist() == labels
    rows = one_hot(found, 5)
    assert rows.sum(axis=1).tolist() == [float(label >= 0) for label in labels]
    assert [int(r.argmax()) for r in rows if r.any()] == [label for label in labels if label >= 0]


@pytest.mark.parametrize(
    ("y", "problem"),
    [
        ([0, 1], r"shape \(2,\); expected one label for each of 3 rows"),
        ([[0], [1], [1]], r"shape \(3, 1\)"),
        ([0, 1, 2], r"y\[2\] is 2; expected whole numbers from 0 to 1"),
        ([0, -2, 1], r"y\[1\] is -2"),
        ([0.0, 0.5, 1.0], r"y\[1\] is 0.5"),
        ([0.0, np.inf, 1.0], r"y\[1\] is inf"),
        (["a", "b", "c"], "dtype <U1"),
        ([0, -1, 1], r"y\[1\] is missing \(1 of 3 are\).*HybridLikelihood"),
        ([np.nan, 0, np.nan], r"y\[0\] is missing \(2 of 3 are\)"),
    ],
)
def test_bad_labels_are_located(y, problem):
    with pytest.raises(DataError, match=problem):
        read_labels(y, 3, 2)


def test_nan_and_minus_one_are_missing():
    assert read_labels([np.nan, -1, 1.0], 3, 2, missing=True).tolist() == [-1, -1, 1]


def test_rows_are_joined_without_a_copy_of_the_data(backend):
    X = np.random.default_rng(0).random((6, 3)).astype("float32")
    rows = LabelledRows(X, np.array([0, 1, -1, 1, 0, 0]), 2)
    assert rows.X is X
    assert (rows.shape, rows.dtype, rows.ndim, len(rows)) == ((6, 5), X.dtype, 2, 6)
    taken = rows[np.array([2, 1])]
    np.testing.assert_array_equal(taken[:, :3], X[[2, 1]])
    np.testing.assert_array_equal(taken[:, 3:], [[0, 0], [0, 1]])
    device = LabelledRows(asarray(X, backend), rows.labels, 2)[:]
    np.testing.assert_array_equal(to_numpy(device), rows[:])


def test_whole_numbers_become_floats():
    rows = LabelledRows(np.eye(2, dtype=np.uint8), np.array([0, 1]), 2)
    assert rows[:].dtype == np.float32


def test_rows_that_are_drawn_anew_keep_their_state():
    X = Resampled(np.full((4, 3), 0.5, dtype="float32"), seed=1)
    rows = LabelledRows(X, np.zeros(4, dtype=int), 2)
    state = rows.state()
    first = rows[:]
    assert not np.array_equal(first, rows[:])
    rows.set_state(state)
    np.testing.assert_array_equal(first, rows[:])
