"""Windows and padded batches: every frame once an epoch, nothing copied more than once."""

import numpy as np
import pytest

from minidgm import RNNRBM, Generator
from minidgm.training.sequences import PaddedSequences, Windows, pad


def pieces(lengths, width=2):
    starts = np.cumsum([0, *lengths])
    return [
        np.arange(s * width, (s + n) * width, dtype=float).reshape(n, width)
        for s, n in zip(starts, lengths, strict=False)
    ]


def test_windows():
    X = pieces([4, 2, 3])
    windows = Windows(X, 2)
    assert windows.shape == (6, 4)
    expected = [np.concatenate([x[t], x[t + 1]]) for x in X for t in range(len(x) - 1)]
    np.testing.assert_array_equal(windows[np.arange(6)], expected)
    np.testing.assert_array_equal(windows[slice(2, 4)], expected[2:4])
    one = np.zeros((1000, 3), dtype="float32")
    assert Windows([one], 5).frames is one
    assert Windows([one], 5).dtype == "float32"


@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_every_frame_once_an_epoch(batch_size):
    X = pieces([5, 1, 3, 2, 8, 4, 4])
    source = PaddedSequences(X, RNNRBM(2, 2, 2, dtype="float64"), batch_size)
    shuffle = Generator(0)
    first, second = (list(source.epoch(shuffle)) for _ in range(2))
    assert len(first) == source.n_steps
    for batches in (first, second):
        frames = np.concatenate([b[b[..., -1] == 1.0][:, :-1] for b in batches])
        np.testing.assert_array_equal(np.sort(frames, axis=0), np.concatenate(X))
        assert all((b[b[..., -1] == 0.0] == 0.0).all() for b in batches)
    if batch_size < 7:
        assert any(a.shape != b.shape or (a != b).any() for a, b in zip(first, second, strict=True))


def test_an_epoch_can_start_later():
    source = PaddedSequences(pieces([5, 1, 3, 2]), RNNRBM(2, 2, 2), 1)
    whole, rest = list(source.epoch(Generator(4))), list(source.epoch(Generator(4), 2))
    for a, b in zip(whole[2:], rest, strict=True):
        np.testing.assert_array_equal(a, b)


def test_lengths_of_a_batch_are_alike():
    lengths = [1, 50] * 16
    source = PaddedSequences(pieces(lengths), RNNRBM(2, 2, 2), 4)
    padded = sum(b[..., -1].size - b[..., -1].sum() for b in source.epoch(Generator(0)))
    assert padded == 0


def test_pad_keeps_precision():
    assert pad([np.ones((2, 1), "float32"), np.ones((1, 1), "float32")]).dtype == "float32"
    assert pad([np.ones((2, 1), bool)]).dtype == "float32"
    assert pad([np.ones((2, 1))]).dtype == "float64"
