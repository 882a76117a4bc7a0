"""Labels for training: integers checked, one-hot rows made a batch at a time.

A model with label units is trained on rows [v | y], y one-hot, or all zeros where the label is not known.
Joining them beforehand would copy the data; `LabelledRows` joins the rows that a batch asks for.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from minidgm.backend import asarray, get_backend, get_xp, to_numpy
from minidgm.errors import DataError

__all__ = ["MISSING", "LabelledRows", "label_beside", "one_hot", "read_labels"]

MISSING = -1


def read_labels(y: Any, n: int, n_classes: int, missing: bool = False, what: str = "y") -> np.ndarray:
    """Return labels as int64 [n] on the host, `MISSING` (-1) where there is none.

    Parameters
    ----------
    y : array-like [n]
        Whole numbers from 0 to ``n_classes - 1``; -1 or NaN for a row without label.
    n : int
        Rows that the labels belong to.
    n_classes : int
    missing : bool
        Whether rows without label are allowed.

    Raises
    ------
    DataError
        Another number of labels, a label out of range or not whole, or one missing where all are needed.

    Examples
    --------
    >>> read_labels([1, float("nan"), 0], 3, 2, missing=True).tolist()
    [1, -1, 0]
    >>> read_labels([0, 3], 2, 3)
    Traceback (most recent call last):
    ...
    minidgm.errors.DataError: y[1] is 3; expected whole numbers from 0 to 2
    """
    found = np.asarray(to_numpy(y) if get_backend(y) else y)
    if found.ndim != 1 or len(found) != n:
        raise DataError(f"{what} has shape {found.shape}; expected one label for each of {n} rows, ({n},)")
    if found.dtype.kind not in "buif":
        raise DataError(f"{what} has dtype {found.dtype}; expected whole numbers from 0 to {n_classes - 1}")
    unknown = (found == MISSING) | ~np.isfinite(found)
    labels = np.where(unknown, MISSING, found)
    wrong = ~unknown & ((labels < 0) | (labels >= n_classes) | (labels != np.rint(labels)))
    unless = ", or -1 or NaN for a row without label" if missing else ""
    if wrong.any() or np.isinf(found.astype(np.float64)).any():
        row = int(np.argmax(wrong | np.isinf(found.astype(np.float64))))
        raise DataError(
            f"{what}[{row}] is {found[row]:g}; expected whole numbers from 0 to {n_classes - 1}{unless}"
        )
    if unknown.any() and not missing:
        raise DataError(
            f"{what}[{int(np.argmax(unknown))}] is missing ({int(unknown.sum())} of {n} are); every row "
            "needs a label here: drop those, or train with HybridLikelihood, which takes rows without label"
        )
    return labels.astype(np.int64)


def one_hot(labels: Any, n_classes: int, dtype: Any = "float32") -> Any:
    """Labels [n] as one-hot rows [n, n_classes]; a missing label (-1) gives zeros."""
    xp = get_xp(labels)
    return (labels[:, None] == xp.arange(n_classes)[None, :]).astype(dtype)


def label_beside(data: Any, n_classes: int, model: str) -> Any:
    """A `Dataset` whose rows have their labels beside them, [v | one-hot y], for a model of that name.

    Raises
    ------
    DataError
        For a part without labels, or with labels out of range.
    """
    parts = {}
    for part in ("train", "validation", "test"):
        rows, labels = getattr(data, part), getattr(data, f"{part}_labels")
        if labels is None:
            raise DataError(f"{data.name}.{part} has no labels; {model} needs them")
        known = read_labels(labels, len(rows), n_classes, what=f"{data.name}.{part}_labels")
        parts[part] = LabelledRows(rows, known, n_classes)
    return dataclasses.replace(data, **parts)


class LabelledRows:
    """Rows [v | y] of examples and their labels, joined when they are asked for.

    Parameters
    ----------
    X : array-like [n, d]
        Anything that training takes with ``shape``, ``dtype`` and indexing by rows.
    labels : int array [n]
        From `read_labels`.
    n_classes : int

    Examples
    --------
    >>> rows = LabelledRows(np.zeros((3, 2), "float32"), np.array([1, -1, 0]), 2)
    >>> rows.shape, rows[[0, 1]].tolist()
    ((3, 4), [[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    """

    def __init__(self, X: Any, labels: Any, n_classes: int):
        self.X, self.labels, self.n_classes = X, labels, n_classes
        if hasattr(X, "state"):
            self.state, self.set_state = X.state, X.set_state

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, and columns of v and y together."""
        return int(self.X.shape[0]), int(self.X.shape[1]) + self.n_classes

    @property
    def dtype(self) -> Any:
        """Type of the rows."""
        return self.X.dtype if self.X.dtype.kind == "f" else np.dtype("float32")

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return 2

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        rows = self.X[index]
        labels = asarray(self.labels[index], get_backend(rows) or "numpy")
        xp = get_xp(rows)
        return xp.concatenate([rows.astype(self.dtype), one_hot(labels, self.n_classes, self.dtype)], axis=1)
