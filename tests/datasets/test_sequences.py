"""Text and music; exact figures that are computed from the data."""

import numpy as np
import pytest

from minidgm import datasets
from minidgm.datasets.sequences import frames
from minidgm.errors import DataError
from tests.datasets.needs_data import needs_data


def test_frames_put_notes_in_columns():
    X = frames([[21], [108, 60], []])
    assert X.shape == (3, 88)
    assert X.dtype == np.float32
    assert np.argwhere(X).tolist() == [[0, 0], [1, 39], [1, 87]]


@pytest.mark.parametrize("note", [20, 109, 60.0, "60", None])
def test_frames_refuse_what_is_no_note(note):
    with pytest.raises(DataError, match="in frame 1; expected an integer from 21 to 108"):
        frames([[60], [note]])


@needs_data
def test_shakespeare_gives_the_known_bigram_perplexity():
    """Uniform log 65 = 4.1744 and add-one bigram 2.4819 nats a character, computed from the data."""
    data = datasets.shakespeare()
    assert (len(data.train), len(data.validation), len(data.test)) == (1_003_854, 111_540, 0)
    assert np.log(len(data.vocabulary)) == pytest.approx(4.1744, abs=5e-5)
    assert data.decode(data.train[:14]) == "First Citizen:"
    assert np.array_equal(data.encode("First Citizen:"), data.train[:14])
    counts = np.ones((65, 65))
    np.add.at(counts, (data.train[:-1], data.train[1:]), 1)
    p = counts / counts.sum(axis=1, keepdims=True)
    assert -np.log(p[data.validation[:-1], data.validation[1:]]).mean() == pytest.approx(2.4819, abs=1e-4)


@needs_data
def test_names_give_the_known_bigram_entropy():
    """2.4540 nats a character, computed from all the names."""
    data = datasets.names()
    words = [*data.train, *data.validation, *data.test]
    assert len(words) == 32_033
    assert all(word[0] == word[-1] == 0 and word[1:-1].min() > 0 for word in words)
    counts = np.zeros((27, 27))
    for word in words:
        np.add.at(counts, (word[:-1], word[1:]), 1)
    p = counts / counts.sum(axis=1, keepdims=True)
    seen = counts > 0
    assert -(counts[seen] * np.log(p[seen])).sum() / counts.sum() == pytest.approx(2.4540, abs=5e-5)
    assert ".emma." in {data.decode(word) for word in words}


@needs_data
def test_jsb_chorales_give_the_known_baseline():
    """Independent notes with add-half frequencies of the training frames: -11.060 nats a test frame."""
    data = datasets.jsb_chorales()
    assert [len(part) for part in (data.train, data.validation, data.test)] == [229, 76, 77]
    train, test = np.concatenate(data.train).astype(np.float64), np.concatenate(data.test)
    p = (train.sum(axis=0) + 0.5) / (len(train) + 1)
    log_likelihood = (test * np.log(p) + (1 - test) * np.log1p(-p)).sum(axis=1).mean()
    assert log_likelihood == pytest.approx(-11.060, abs=2e-3)
