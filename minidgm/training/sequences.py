"""Batches of sequences: windows of a few frames, or whole sequences padded to the longest of their batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minidgm.arguments import count
from minidgm.backend import Generator, prefetch, to_numpy
from minidgm.errors import IntractableError
from minidgm.training.callbacks import Callback
from minidgm.training.data import Source

POOL = 8  # batches whose sequences are sorted by length together
VALIDATION_FRAMES = 1000


class Windows:
    """Lazy matrix of all windows of ``length`` neighboring frames: row i is [v_{t-length+1} ... v_t].

    Parameters
    ----------
    sequences : list of arrays [T_i, n_visible]
        Kept once (joined, if they are several), whatever the length of a window.
    length : int
        Frames of a window; a sequence of T frames has T - length + 1 windows.

    Examples
    --------
    >>> windows = Windows([np.arange(4.0)[:, None], np.arange(10.0, 12.0)[:, None]], 2)
    >>> windows.shape, windows[np.array([0, 2, 3])].tolist()
    ((4, 2), [[0.0, 1.0], [2.0, 3.0], [10.0, 11.0]])
    """

    def __init__(self, sequences: Sequence[Any], length: int):
        hosts = [to_numpy(x) for x in sequences]
        self.frames = hosts[0] if len(hosts) == 1 else np.concatenate(hosts)
        lengths = np.array([len(x) for x in hosts])
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        self.length = length
        self.starts = np.concatenate(
            [np.arange(s, s + n - length + 1) for s, n in zip(starts, lengths, strict=True)]
        )
        self.shape = (len(self.starts), length * self.frames.shape[1])
        self.dtype = self.frames.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        starts = self.starts[rows]
        windows: np.ndarray = self.frames[starts[..., None] + np.arange(self.length)]
        return windows.reshape(*starts.shape, self.shape[1])


class PaddedSequences(Source):
    """Batches [n, T, n_visible + 1] of whole sequences; the last column is 1 for frames, 0 for padding.

    Parameters
    ----------
    sequences : list of arrays [T_i, n_visible]
    model : Model
    batch_size : int
        Sequences a batch. In every epoch they come in a new random order; within pools of eight batches they
        are sorted by length, so that little is padded, and batches are shuffled again.
    """

    def __init__(self, sequences: Sequence[Any], model: Any, batch_size: int):
        self.sequences, self.model = [to_numpy(x) for x in sequences], model
        self.n_rows = len(self.sequences)
        self.batch_size = count("batch_size", batch_size)
        if self.batch_size > self.n_rows:
            raise ValueError(
                f"batch_size={batch_size} is larger than the data of {self.n_rows} sequences; "
                f"pass a batch_size of at most {self.n_rows}"
            )
        self.n_steps = -(-self.n_rows // self.batch_size)

    def epoch(self, shuffle: Generator, start: int = 0) -> Iterator[Any]:
        assert self.n_rows is not None
        assert self.n_steps is not None
        assert self.batch_size is not None
        order, size = shuffle.permutation(self.n_rows), self.batch_size
        lengths = np.array([len(x) for x in self.sequences])
        batches: list[Any] = []
        for pool in range(0, self.n_rows, POOL * size):
            rows = order[pool : pool + POOL * size]
            rows = rows[np.argsort(lengths[rows], kind="stable")]
            batches += [rows[i : i + size] for i in range(0, len(rows), size)]
        turns = shuffle.permutation(self.n_steps)
        chosen = ([self.sequences[row] for row in batches[turn]] for turn in turns[start:])
        yield from prefetch(map(pad, chosen), self.model.backend, self.model.dtype)

    def describe(self) -> dict[str, Any]:
        return {"sequences": self.n_rows, "frames": sum(len(x) for x in self.sequences)}


def pad(sequences: Sequence[Any]) -> np.ndarray:
    """Lay sequences [T_i, d] side by side, [n, longest, d + 1]; the last column says which frames are real.

    >>> pad([np.ones((2, 1)), np.ones((1, 1))]).tolist()
    [[[1.0, 1.0], [1.0, 1.0]], [[1.0, 1.0], [0.0, 0.0]]]
    """
    width = sequences[0].shape[1]
    dtype = np.result_type(sequences[0].dtype, np.float32)
    batch = np.zeros((len(sequences), max(len(x) for x in sequences), width + 1), dtype)
    for i, x in enumerate(sequences):
        batch[i, : len(x), :width] = x
        batch[i, : len(x), width] = 1.0
    return batch


class SequenceValidation(Callback):
    """Records, of about a thousand validation frames, what needs no partition function.

    ``validation_pseudo_log_likelihood`` (nats a frame, exact; not for real-valued units) and
    ``validation_reconstruction_error`` (squared error a frame).
    """

    def __init__(self, X: Any, model: Any):
        X = model.check_sequences(X, "validation")
        total = sum(len(x) for x in X)
        self.sequences = X[:: max(1, total // VALIDATION_FRAMES)]
        self.measures = {"validation_reconstruction_error": "reconstruction_error_of"}
        try:
            model.visible.alternatives(model.check_frames(self.sequences[0][:1], "validation"), 0)
        except (TypeError, IntractableError):
            return
        self.measures["validation_pseudo_log_likelihood"] = "pseudo_log_likelihood_of"

    def on_epoch_end(self, training: Any) -> None:
        """Measure."""
        for name, method in self.measures.items():
            training.record[name] = getattr(training.model, method)(self.sequences)
