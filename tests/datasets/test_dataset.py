"""Dataset: what it shows, the exact best log-likelihood, splits, vocabularies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidgm import datasets
from minidgm.datasets import Dataset, split
from minidgm.errors import DataError


def test_every_name_of_the_catalogue_is_a_function_here():
    from minidgm import registry

    for name in registry.DATASETS:
        assert callable(getattr(datasets, name))
        assert name in datasets.__all__


def test_get_refuses_an_unknown_name_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'digits'"):
        datasets.get("digit")


def test_repr_shows_shapes_type_labels_and_binarization():
    shown = repr(datasets.digits(binarize="fixed"))
    assert (
        shown == "Dataset('digits', train=[1297, 64] float32, validation=[250, 64], test=[250, 64], labels, "
        "binarize='fixed')"
    )


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_best_log_likelihood_is_minus_the_entropy_of_the_rows(tokens):
    X = np.eye(4)[tokens]
    p = np.bincount(tokens, minlength=4) / len(tokens)
    entropy = -sum(q * np.log(q) for q in p if q > 0)
    data = Dataset("tokens", X, X[:0], X[:0])
    assert data.best_log_likelihood == pytest.approx(-entropy, abs=1e-12)


def test_best_log_likelihood_is_unknown_where_rows_are_not_discrete():
    assert datasets.digits().best_log_likelihood is None
    assert datasets.rings(20).best_log_likelihood is None


@given(
    n=st.integers(1, 60),
    validation=st.one_of(st.integers(0, 10), st.floats(0, 0.4)),
    test=st.one_of(st.integers(0, 10), st.floats(0, 0.4)),
    seed=st.one_of(st.none(), st.integers(0, 2**32)),
)
def test_split_keeps_every_row_once_beside_its_label(n, validation, test, seed):
    X, y = np.arange(n)[:, None], np.arange(n) * 7
    held_out = sum(size if isinstance(size, int) else round(size * n) for size in (validation, test))
    if held_out >= n:
        with pytest.raises(DataError, match="leave none to train on"):
            split(X, y, validation=validation, test=test, seed=seed)
        return
    data = split(X, y, validation=validation, test=test, seed=seed)
    rows = np.concatenate([data.train, data.validation, data.test])[:, 0]
    labels = np.concatenate([data.train_labels, data.validation_labels, data.test_labels])
    assert sorted(rows) == list(range(n))
    assert np.array_equal(labels, rows * 7)
    assert len(data.validation) == (validation if isinstance(validation, int) else round(validation * n))
    if seed is None:
        assert np.array_equal(rows, np.arange(n))
        assert np.shares_memory(data.train, X)


def test_split_is_the_same_for_a_seed_and_another_for_another():
    X = np.arange(100)[:, None]
    first, again, other = split(X, seed=1), split(X, seed=1), split(X, seed=2)
    assert np.array_equal(first.train, again.train)
    assert not np.array_equal(first.train, other.train)


def test_split_of_sequences_keeps_them_as_a_list():
    data = split([np.arange(i) for i in range(10)], validation=2, test=1)
    assert [len(data.train), len(data.validation), len(data.test)] == [7, 2, 1]
    assert repr(data) == "Dataset('data', train=7 sequences, validation=2 sequences, test=1 sequences)"


@pytest.mark.parametrize("size", [-0.1, -1, float("nan"), True])
def test_split_refuses_a_size_that_is_none(size):
    with pytest.raises(DataError, match="expected a fraction"):
        split(np.eye(4), validation=size)


def test_split_refuses_labels_of_another_number():
    with pytest.raises(DataError, match="3 labels came with 4 examples"):
        split(np.eye(4), np.arange(3))


def test_encode_and_decode():
    data = Dataset("letters", np.arange(3), np.arange(0), np.arange(0), vocabulary=("a", "b", "c"))
    assert data.encode("cab").tolist() == [2, 0, 1]
    assert data.decode(data.encode("abba")) == "abba"
    with pytest.raises(DataError, match=r"\['x'\] are not among the 3 symbols 'abc'"):
        data.encode("ax")
    with pytest.raises(DataError, match="has no vocabulary"):
        datasets.digits().decode([0])
