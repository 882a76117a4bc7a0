"""A data set: three parts, their labels, and what is known exactly about where they come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidgm.errors import DataError

PARTS = ("train", "validation", "test")


@dataclass(repr=False)
class Dataset:
    """Training, validation and test examples; rows are examples.

    Attributes
    ----------
    name : str
    train, validation, test : ndarray [n, d], or a list of [T, d] sequences, or :class:`Resampled`
        A part that the data set does not have is empty (``len(part) == 0``), never missing.
    train_labels, validation_labels, test_labels : int64 ndarray [n], or None where there are no labels
    binarize : {None, "fixed", "dynamic", "threshold"}
        How grey levels became bits. Three different data sets: a result says which one it is about.
    shape : tuple of int, or None
        Shape of one example where it is more than a row, such as (28, 28).
    vocabulary : tuple of str, or None
        What token ``i`` stands for, where the examples are tokens.
    log_density : callable, or None
        ``log_density(x) -> [n]``: log-density in nats at ``x`` [n, 2] of the distribution that the
        examples were drawn from, where it is known.
    description, source, license : str

    Examples
    --------
    >>> from minidgm import datasets
    >>> datasets.bars_and_stripes(3)
    Dataset('bars_and_stripes', train=[14, 9] float32, validation=[0, 9], test=[0, 9])
    """

    name: str
    train: Any
    validation: Any
    test: Any
    train_labels: np.ndarray | None = None
    validation_labels: np.ndarray | None = None
    test_labels: np.ndarray | None = None
    binarize: str | None = None
    shape: tuple[int, ...] | None = None
    vocabulary: tuple[str, ...] | None = None
    log_density: Callable[[Any], np.ndarray] | None = None
    description: str = ""
    source: str = ""
    license: str = ""

    @property
    def best_log_likelihood(self) -> float | None:
        """The highest mean log-likelihood, in nats, that any model can give the training rows.

        For discrete rows it is minus the entropy of their empirical distribution (exact; a model that
        reports more has a bug). None for rows that are not discrete: a density has no maximum there.

        >>> from minidgm import datasets
        >>> round(datasets.bars_and_stripes(3).best_log_likelihood, 4)
        -2.6391
        """
        X = self.train
        if not isinstance(X, np.ndarray) or X.ndim != 2 or not len(X) or np.any(X != np.rint(X)):
            return None
        counts = np.unique(X, axis=0, return_counts=True)[1]
        return float(np.sum(counts * np.log(counts / len(X))) / len(X))

    def encode(self, text: str) -> np.ndarray:
        """Turn text into tokens [n] of the vocabulary."""
        code = {symbol: i for i, symbol in enumerate(self._symbols())}
        strange = sorted(set(text) - set(code))
        if strange:
            raise DataError(f"{self.name}: {strange} are not among the {len(code)} symbols {''.join(code)!r}")
        return np.array([code[symbol] for symbol in text], dtype=np.int64)

    def decode(self, tokens: Any) -> str:
        """Turn tokens [n] back into text."""
        symbols = self._symbols()
        return "".join(symbols[int(i)] for i in np.asarray(tokens))

    def _symbols(self) -> tuple[str, ...]:
        if self.vocabulary is None:
            raise DataError(f"{self.name} has no vocabulary: its examples are not tokens")
        return self.vocabulary

    def __repr__(self) -> str:
        parts = []
        for i, part in enumerate(PARTS):
            X = getattr(self, part)
            if isinstance(X, list):
                shown = f"{len(X)} sequences"
            else:
                shown = f"[{', '.join(map(str, X.shape))}]" + (f" {X.dtype}" if i == 0 else "")
            parts.append(f"{part}={shown}")
        if self.train_labels is not None:
            parts.append("labels")
        if self.binarize is not None:
            parts.append(f"binarize={self.binarize!r}")
        return f"Dataset({self.name!r}, {', '.join(parts)})"


def stable_permutation(n: int, seed: int) -> np.ndarray:
    """A permutation [n] that is the same for a seed everywhere: NumPy never changes the words of PCG64."""
    return np.argsort(np.random.PCG64(np.random.SeedSequence(seed)).random_raw(n), kind="stable")


def split(
    X: Any,
    labels: Any = None,
    *,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int | None = 0,
    name: str = "data",
) -> Dataset:
    """Cut rows into training, validation and test.

    Parameters
    ----------
    X : ndarray [n, ...] or list of n sequences
    labels : ndarray [n], optional
    validation, test : float or int
        A fraction of the rows below 1, or a number of rows.
    seed : int or None
        Seed of the permutation; None keeps the order (training first, test last) and returns views.
    name : str

    Raises
    ------
    DataError
        If nothing would be left to train on, or the labels are not one a row.

    Examples
    --------
    >>> split(np.eye(10), validation=2, test=0.1, seed=None)
    Dataset('data', train=[7, 10] float64, validation=[2, 10], test=[1, 10])
    """
    n = len(X)
    if labels is not None and len(labels) != n:
        raise DataError(f"{name}: {len(labels)} labels came with {n} examples; expected one label an example")
    sizes = {}
    for part, size in (("validation", validation), ("test", test)):
        if isinstance(size, bool) or not size >= 0:
            raise DataError(f"{name}: {part}={size!r}; expected a fraction in [0, 1) or a number of rows")
        sizes[part] = round(size * n) if size < 1 else int(size)
    n_train = n - sizes["validation"] - sizes["test"]
    if n_train < 1:
        raise DataError(
            f"{name}: {n} examples less {sizes['validation']} for validation and {sizes['test']} for test "
            "leave none to train on; ask for smaller parts"
        )
    cuts = (0, n_train, n_train + sizes["validation"], n)
    order = None if seed is None else stable_permutation(n, seed)

    def take(rows: Any, start: int, stop: int) -> Any:
        if order is None:
            return rows[start:stop]
        chosen = order[start:stop]
        return [rows[i] for i in chosen] if isinstance(rows, list) else rows[chosen]

    fields: dict[str, Any] = {}
    for part, start, stop in zip(PARTS, cuts, cuts[1:], strict=False):
        fields[part] = take(X, start, stop)
        if labels is not None:
            fields[f"{part}_labels"] = take(labels, start, stop)
    return Dataset(name, **fields)
