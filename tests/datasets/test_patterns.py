"""Pattern sets: numbers of patterns and best log-likelihoods, known exactly."""

import math
from itertools import product

import numpy as np
import pytest

from minidgm.datasets import bars_and_stripes, shifter


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_bars_and_stripes_are_all_images_of_equal_rows_or_equal_columns(n):
    images = {
        bits
        for bits in product([0.0, 1.0], repeat=n * n)
        if all(len(set(bits[i * n : (i + 1) * n])) == 1 for i in range(n))
        or all(len(set(bits[j::n])) == 1 for j in range(n))
    }
    data = bars_and_stripes(n)
    assert data.train.dtype == np.float32
    assert len(data.train) == len(images) == 2 ** (n + 1) - 2
    assert {tuple(row) for row in data.train.tolist()} == images


@pytest.mark.parametrize(
    ("n", "best", "twice"), [(2, -1.7918, -1.7329), (3, -2.6391, -2.5993), (4, -3.4012, -3.3791)]
)
def test_best_log_likelihood_of_bars_and_stripes(n, best, twice):
    """-log of the number of patterns; with two of them twice, m = 2^(n+1): -log m + (4/m) log 2."""
    m = 2 ** (n + 1)
    assert bars_and_stripes(n).best_log_likelihood == pytest.approx(-math.log(m - 2), abs=1e-12)
    assert bars_and_stripes(n).best_log_likelihood == pytest.approx(best, abs=5e-5)
    doubled = bars_and_stripes(n, twice=True)
    assert len(doubled.train) == m
    assert doubled.best_log_likelihood == pytest.approx(-math.log(m) + 4 / m * math.log(2), abs=1e-12)
    assert doubled.best_log_likelihood == pytest.approx(twice, abs=5e-5)


def test_bars_are_rows_and_come_first():
    first = bars_and_stripes(3).train[1].reshape(3, 3)
    assert first.tolist() == [[0, 0, 0], [0, 0, 0], [1, 1, 1]]


@pytest.mark.parametrize("n_bits", [2, 3, 8])
def test_shifter_rotates_and_labels(n_bits):
    data = shifter(n_bits)
    assert data.train.shape == (3 * 2**n_bits, 2 * n_bits + 3)
    for row, label in zip(data.train, data.train_labels, strict=True):
        word, shifted, units = row[:n_bits], row[n_bits : 2 * n_bits], row[2 * n_bits :]
        assert shifted.tolist() == np.roll(word, label - 1).tolist()
        assert units.tolist() == np.eye(3)[label].tolist()


def test_labelled_shifter_has_768_patterns():
    data = shifter()
    assert len(np.unique(data.train, axis=0)) == 768
    assert data.best_log_likelihood == pytest.approx(-math.log(768), abs=1e-12)
    assert data.best_log_likelihood == pytest.approx(-6.6438, abs=5e-5)


def test_unlabelled_shifter_repeats_what_looks_the_same_under_two_shifts():
    data = shifter(8, labelled=False)
    assert data.train.shape == (768, 16)
    assert data.best_log_likelihood > -math.log(768)


@pytest.mark.parametrize("value", [0, -1, 13, 2.0, True, "3"])
def test_sizes_out_of_range_are_refused(value):
    with pytest.raises(ValueError, match="expected an integer from 1 to 12"):
        bars_and_stripes(value)
