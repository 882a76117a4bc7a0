"""Sources of batches: arrays (in memory, on a device, on disk, or drawn anew) and streams.

A source holds no copy of the data: it draws an order of the rows for every epoch, takes the rows of a batch,
and moves them to the model's device. The last batch of an epoch has the rows that are left; an objective's
weights are 1/n of the batch it gets, and metrics are averaged over rows.
"""

from __future__ import annotations

import copy
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from minidgm.arguments import count
from minidgm.backend import Generator, asarray, get_backend, get_xp, namespace, prefetch
from minidgm.errors import DataError

SCAN = 2**22  # values checked at a time
BATCH = 100  # rows a step where none are asked for


class Source:
    """Batches of one training set.

    Attributes
    ----------
    n_rows, n_steps, batch_size : int or None
        Rows and batches of an epoch and rows of a batch, where they are known beforehand.
    """

    n_rows: int | None = None
    n_steps: int | None = None
    batch_size: int | None = None

    def epoch(self, shuffle: Generator, start: int = 0) -> Iterator[Any]:
        """Yield the batches of one epoch from the ``start``-th on, on the model's device."""
        raise NotImplementedError

    def blocks(self) -> Iterator[tuple[Any, str]]:
        """Yield all rows, a block at a time, and the name of each: none where they are not at hand."""
        return iter(())

    def describe(self) -> dict[str, Any]:
        """Return what a resumed run must share, as JSON."""
        raise NotImplementedError

    def state(self) -> Any:
        """Return the state after the batch that was handed out last."""
        return None

    def set_state(self, state: Any) -> None:
        """Put back what :meth:`state` returned."""


class Rows(Source):
    """Batches of the rows of something with ``shape``, ``dtype`` and indexing by an array of rows.

    Parameters
    ----------
    X : array-like [n, d]
        NumPy array or memory map, array on the model's device, or a lazy array (``h5py`` data set,
        :class:`minidgm.datasets.Resampled`). Rows are asked for in increasing order unless X is in memory.
    model : Model
    batch_size : int
        At most n.
    """

    def __init__(self, X: Any, model: Any, batch_size: int):
        if len(X.shape) != 2:
            hint = "; for one example use X[None, :]" if len(X.shape) == 1 else ""
            raise DataError(f"X has shape {tuple(X.shape)}, expected [n, d] with examples in rows{hint}")
        self.n_rows = int(X.shape[0])
        if self.n_rows == 0:
            raise DataError(f"X has no rows: its shape is {tuple(X.shape)}")
        self.batch_size = count("batch_size", batch_size)
        if self.batch_size > self.n_rows:
            raise ValueError(
                f"batch_size={batch_size} is larger than the data of {self.n_rows} rows; "
                f"pass a batch_size of at most {self.n_rows}"
            )
        self.n_steps = -(-self.n_rows // self.batch_size)
        self.X = X
        self.model = model
        self._home = get_backend(X)
        if self._home not in (None, "numpy", model.backend):
            raise TypeError(
                f"X is a {self._home} array, the model lives on {model.backend}; move one of them"
            )
        self._in_memory = self._home is not None and not isinstance(X, np.memmap)
        self._checked = checker(model, "numpy" if self._home is None else self._home)
        self._after: Any = None
        for rows, what in self.blocks():
            self._checked(rows, what)

    def blocks(self) -> Iterator[tuple[Any, str]]:
        assert self.n_rows is not None
        block = max(1, SCAN // max(1, self.X.shape[1]))
        for start in range(0, self.n_rows if self._home is not None else 0, block):
            stop = min(start + block, self.n_rows)
            what = "X" if stop - start == self.n_rows else f"X[{start}:{stop}]"
            yield self.X[start:stop], what

    def epoch(self, shuffle: Generator, start: int = 0) -> Iterator[Any]:
        assert self.n_rows is not None
        if self.n_steps == 1 and self._home == self.model.backend:
            if start == 0:
                yield asarray(self.X, self.model.backend, self.model.dtype)
            return
        order = shuffle.permutation(self.n_rows)
        states: deque[Any] = deque()
        taken = self._take(order, start, states)
        for batch in prefetch(taken, self.model.backend, self.model.dtype):
            self._after = states.popleft()
            yield batch

    def _take(self, order: Any, start: int, states: deque[Any]) -> Iterator[Any]:
        assert self.n_steps is not None
        assert self.batch_size is not None
        stateful = hasattr(self.X, "state")
        if self._home not in (None, "numpy"):
            order = asarray(order, self._home)
        for step in range(start, self.n_steps):
            rows = order[step * self.batch_size : (step + 1) * self.batch_size]
            if self._in_memory:
                batch = self.X.take(rows, axis=0)
            else:
                batch = self.X[np.sort(rows)]
                if self._home is None:
                    batch = self._checked(batch, "a batch of X")
            states.append(self.X.state() if stateful else None)
            yield batch

    def describe(self) -> dict[str, Any]:
        return {"shape": [int(size) for size in self.X.shape]}

    def state(self) -> Any:
        return self._after

    def set_state(self, state: Any) -> None:
        if state is not None:
            self.X.set_state(state)
            self._after = state


class Stream(Source):
    """Batches as they come from an iterable, or from a callable that starts a fresh one every epoch.

    Every batch is checked before it is used. An iterator that can be walked once gives one epoch.
    """

    def __init__(self, batches: Iterable[Any] | Callable[[], Iterable[Any]], model: Any):
        self.batches = batches
        self.model = model
        self._started = False

    @property
    def exhausted(self) -> bool:
        """Whether the batches cannot be walked again."""
        return self._started and isinstance(self.batches, Iterator)

    def epoch(self, shuffle: Generator, start: int = 0) -> Iterator[Any]:
        self._started = True
        batches = iter(self.batches() if callable(self.batches) else self.batches)
        for skipped in range(start):
            if next(batches, None) is None:
                raise DataError(f"the stream ended after {skipped} batches; the checkpoint is {start} in")
        yield from prefetch(self._check(batches, start), self.model.backend, self.model.dtype)

    def _check(self, batches: Iterator[Any], start: int) -> Iterator[Any]:
        checks: dict[str, Callable[[Any, str], Any]] = {}
        number = start
        for batch in batches:
            home = get_backend(batch) or "numpy"
            if home not in checks:
                checks[home] = checker(self.model, home)
            what = f"batch {number}"
            batch = checks[home](batch, what)
            if not batch.shape[0]:
                raise DataError(f"{what} has no rows: its shape is {tuple(batch.shape)}")
            number += 1
            yield batch
        if number == 0:
            raise DataError("the stream of batches is empty")

    def describe(self) -> dict[str, Any]:
        return {"stream": True}


def source(X: Any, model: Any, batch_size: int | None = None) -> Source:
    """Turn what a user calls data into batches for a model.

    Parameters
    ----------
    X : array [n, d], memory map, lazy array, path of a ``.npy`` file, iterable of batches, or callable
        A callable takes no argument and returns a fresh iterable of batches for every epoch.
    model : Model
    batch_size : int, optional
        By default 100, or all rows where there are fewer. Not used for batches that come ready.

    Raises
    ------
    DataError
        For what is no matrix of real, finite numbers that the model can mean.
    ValueError
        For a batch size below 1 or above the number of rows.
    """
    if batch_size is not None:
        count("batch_size", batch_size)
    X = as_rows(X)
    if hasattr(X, "shape"):
        return Rows(X, model, min(BATCH, max(1, len(X))) if batch_size is None else batch_size)
    if callable(X) or isinstance(X, Iterable):
        return Stream(X, model)
    raise TypeError(
        f"X is a {type(X).__name__}, expected an array [n, d], the path of a .npy file, or batches "
        "(an iterable, or a callable that returns one)"
    )


def as_rows(X: Any) -> Any:
    """Return something with ``shape`` and indexing for what holds rows, and anything else as it is."""
    if isinstance(X, (str, os.PathLike)):
        return open_npy(X)
    if hasattr(X, "train") and hasattr(X, "validation"):
        raise TypeError(
            "got a data set with splits: pass its rows, fit(model, data.train, validation=data.validation)"
        )
    if isinstance(X, (list, tuple)) and not (X and getattr(X[0], "ndim", 1) == 2):
        try:
            return np.asarray(X)
        except ValueError as error:
            raise DataError(f"X does not form a matrix ({error}); expected rows of equal length") from None
    if get_backend(X) is not None or all(hasattr(X, name) for name in ("shape", "dtype", "__getitem__")):
        return X
    return np.asarray(X) if hasattr(X, "__array__") else X


def open_npy(path: Any) -> np.ndarray:
    """Map the array of a ``.npy`` file into memory, without reading it."""
    if not os.fspath(path).endswith(".npy"):
        raise DataError(
            f"{os.fspath(path)!r} is not a .npy file, the only kind that is read in place; "
            "minidgm.datasets loads .npz, .csv, .mat and idx files"
        )
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{os.fspath(path)!r} cannot be read as an array of numbers: {error}") from error


def spread(X: Any, n: int) -> Any:
    """Return at most ``n`` rows, evenly spread over X: the fixed subsample of a metric.

    >>> spread(np.arange(10)[:, None], 3).ravel().tolist()
    [0, 4, 8]
    """
    step = -(-int(X.shape[0]) // n)
    return X[::step] if get_backend(X) else X[np.arange(0, int(X.shape[0]), step)]


def checker(model: Any, home: str) -> Callable[[Any, str], Any]:
    """Return the model's check of rows that live on ``home``, made there.

    For host rows of a device model that is the check of a host copy of the model's structure: nothing is
    moved, or read back, for the sake of a check.
    """
    if not hasattr(model, "check_data"):
        return _check_matrix
    if home != model.backend:
        model = copy.copy(model)
        model.backend, model.xp = home, namespace(home)
    return lambda rows, what: model.check_data(rows, what)


def _check_matrix(rows: Any, what: str) -> Any:
    """Check rows for a model that has no check of its own."""
    rows = rows if get_backend(rows) else np.asarray(rows)
    if rows.dtype.kind not in "buif":
        raise DataError(f"{what} has dtype {rows.dtype}, expected real numbers")
    if rows.ndim != 2:
        raise DataError(f"{what} has shape {tuple(rows.shape)}, expected [n, d] with examples in rows")
    if not bool(get_xp(rows).isfinite(rows).all()):
        raise DataError(f"{what} holds NaN or infinity")
    return rows
