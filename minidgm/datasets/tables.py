"""Tables of features: DNA from the UCI repository, and a user's own files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from minidgm.datasets.binarization import WAYS, binarized
from minidgm.datasets.dataset import PARTS, Dataset, split
from minidgm.datasets.fetch import contents
from minidgm.datasets.files import parse_npz, read
from minidgm.errors import DataError, nearest, unknown

#: names under which files keep the parts of a data set, in lower case
_PART_NAMES = {
    "train": ("train", "train_data", "x_train"),
    "validation": ("validation", "valid", "val", "valid_data", "x_validation", "x_valid", "x_val"),
    "test": ("test", "test_data", "x_test"),
    "train_labels": ("train_labels", "y_train"),
    "validation_labels": ("validation_labels", "valid_labels", "y_validation", "y_valid", "y_val"),
    "test_labels": ("test_labels", "y_test"),
}
_LABEL_NAMES = ("labels", "label", "y", "target", "targets", "class")


def uci_dna() -> Dataset:
    """3,186 windows of 60 DNA bases around possible splice junctions, as 180 binary features.

    Returns
    -------
    Dataset
        ``train`` [1400, 180], ``validation`` [600, 180], ``test`` [1186, 180] float32 of 0. and 1.

    Raises
    ------
    DataError
        If the file is neither in MINIDGM_DATA/uci nor to be downloaded, or is damaged.

    Notes
    -----
    StatLog "DNA" (primate splice-junction gene sequences, UCI Machine Learning Repository, CC BY 4.0), in the
    split of H. Larochelle and I. Murray, "The neural autoregressive distribution estimator", AISTATS 2011.
    """
    arrays = parse_npz(contents("uci/dna.npz"), "uci/dna.npz")
    return Dataset(
        "uci_dna",
        train=arrays["train_data"],
        validation=arrays["valid_data"],
        test=arrays["test_data"],
        description="windows of 60 DNA bases, 3 bits a base",
        source="StatLog DNA; the split of Larochelle and Murray (2011), from mgermain/MADE",
        license="CC BY 4.0",
    )


def load(
    path: str | Path,
    *,
    data: str | None = None,
    labels: str | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int | None = 0,
    binarize: str | None = None,
    dtype: str | None = "float32",
    mmap: bool = False,
) -> Dataset:
    """Make a data set of a user's own file: .npy, .npz, .csv, .mat or idx.

    Parameters
    ----------
    path : path
        See :func:`minidgm.datasets.files.read` for the formats. A file that holds arrays named ``train``,
        ``validation`` and ``test`` (or ``x_train``, ``valid`` ...) keeps its own parts.
    data : str, optional
        Which array of an .npz or .mat file holds the examples; not needed if there is one. In a table with a
        line of column names the examples are all columns but the labels.
    labels : str, optional
        Which array or column, or which other file, holds the labels: integers, or text (numbered in sorted
        order). Without it, one called ``labels``, ``y``, ``target`` or ``class`` is taken.
    validation, test : float or int
        Fraction or number of rows, where the file has no parts of its own.
    seed : int or None
        Seed of the permutation before the cut, and of the bits; None keeps the order.
    binarize : {None, "fixed", "dynamic", "threshold"}
        As in :func:`minidgm.datasets.digits`; needs values in [0, 1]; integers above 1 are divided by 255.
    dtype : str or None
        Type of the examples; None keeps that of the file.
    mmap : bool
        Leave the examples of an .npy file on disk; then give ``seed=None, dtype=None``.

    Raises
    ------
    DataError
        If the file is missing or damaged, does not hold numbers, or holds NaN or infinity.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mine.npy"
    ...     np.save(path, np.eye(20))
    ...     load(path, test=0)
    Dataset('mine', train=[18, 20] float32, validation=[2, 20], test=[0, 20])
    """
    if binarize is not None and binarize not in WAYS:
        raise unknown("binarization", binarize, WAYS)
    if mmap and (seed is not None or dtype is not None or binarize is not None):
        raise DataError(
            "mmap=True leaves the rows on disk as they are; give seed=None, dtype=None, binarize=None too"
        )
    path = Path(path)
    arrays = read(path, mmap=mmap)
    dataset = _own_parts(arrays, path) if data is None else None
    if dataset is None:
        y = _labels(arrays, labels, path)
        X = _examples(arrays, data, path)
        _check_rows(X, str(path))
        dataset = split(X, y, validation=validation, test=test, seed=seed, name=path.stem)
    elif labels is not None:
        raise DataError(f"{path} has parts of its own: its labels are train_labels, not labels={labels!r}")
    dataset.shape = dataset.train.shape[1:] if dataset.train.ndim > 2 else None
    for i, part in enumerate(PARTS):
        X = getattr(dataset, part)
        _check_rows(X, f"{path} ({part})")
        if not mmap:
            X = _rows(X, f"{path} ({part})", dtype, binarize is not None)
            way = "fixed" if binarize == "dynamic" and part != "train" else binarize
            X = binarized(X, way, (seed or 0) + i)
        setattr(dataset, part, X)
    widths = {part: getattr(dataset, part).shape[1:] for part in PARTS}
    if len(set(widths.values())) > 1:
        raise DataError(f"{path}: the parts differ in width: {widths}")
    dataset.binarize = binarize
    dataset.source = path.name
    return dataset


def _own_parts(arrays: dict[str, np.ndarray], path: Path) -> Dataset | None:
    """The parts that the file itself names, or None if it names none."""
    found: dict[str, Any] = {
        part: next((array for key, array in arrays.items() if key.lower() in aliases), None)
        for part, aliases in _PART_NAMES.items()
    }
    if found["train"] is None:
        return None
    for part in PARTS:
        if found[part] is None:
            found[part] = found["train"][:0]
        y = found[f"{part}_labels"]
        if y is not None:
            found[f"{part}_labels"] = _integers(y, f"{path}: {part}_labels")
            if len(y) != len(found[part]):
                raise DataError(f"{path}: {len(y)} labels for {len(found[part])} examples in {part}")
    return Dataset(path.stem, **found)


def _labels(arrays: dict[str, np.ndarray], name: str | None, path: Path) -> np.ndarray | None:
    """Take the labels out of the arrays of a file, or out of another file; integers [n], or None."""
    if name is None:
        name = next((known for known in _LABEL_NAMES if known in arrays and len(arrays) > 1), None)
        return None if name is None else _integers(arrays.pop(name), f"{path}: {name!r}")
    if name in arrays:
        return _integers(arrays.pop(name), f"{path}: {name!r}")
    if Path(name).is_file():
        return _integers(_examples(read(name), None, Path(name)), name)
    raise DataError(f"{path}: no labels {name!r}{nearest(name, arrays)}; it holds {', '.join(arrays)}")


def _integers(y: np.ndarray, what: str) -> np.ndarray:
    y = y.reshape(-1) if y.ndim == 2 and 1 in y.shape else y
    if y.ndim != 1:
        raise DataError(f"{what} came as {y.shape}; expected one label an example")
    if y.dtype.kind in "US":
        return np.unique(y, return_inverse=True)[1].astype(np.int64)
    if y.dtype.kind not in "biuf" or np.any(y != np.rint(y)):
        raise DataError(f"{what} of type {y.dtype} does not hold labels: expected integers or text")
    return y.astype(np.int64)


def _examples(arrays: dict[str, np.ndarray], name: str | None, path: Path) -> np.ndarray:
    if name is not None:
        if name not in arrays:
            raise DataError(f"{path}: no array {name!r}{nearest(name, arrays)}; it holds {', '.join(arrays)}")
        return arrays[name]
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    if len(arrays) > 1 and path.suffix.lower() in (".csv", ".tsv", ".txt"):
        text = [key for key, column in arrays.items() if column.dtype.kind == "U"]
        if text:
            raise DataError(
                f"{path}: column {text[0]!r} holds text; expected numbers (labels='{text[0]}' if labels)"
            )
        return np.stack(list(arrays.values()), axis=1)
    known = next((key for key in ("data", "X", "x", "images") if key in arrays), None)
    if known is None:
        raise DataError(
            f"{path} holds {', '.join(arrays) or 'nothing'}; say which are the examples: data='...'"
        )
    return arrays[known]


def _check_rows(X: np.ndarray, what: str) -> None:
    if X.dtype.kind not in "biuf":
        raise DataError(f"{what} is of type {X.dtype}; expected real numbers")
    if X.ndim == 0 or 0 in X.shape[1:]:
        raise DataError(f"{what} came as {X.shape}; expected rows of examples, [n, d]")


def _rows(X: np.ndarray, what: str, dtype: str | None, grey: bool) -> np.ndarray:
    """Rows [n, d] of finite numbers; grey levels as floats."""
    if grey and X.dtype.kind in "iu" and X.size and X.max() > 1:
        X = np.divide(X, 255, dtype=np.float32)
    if dtype is not None:
        X = X.astype(dtype, copy=False)
    elif grey and X.dtype.kind != "f":
        X = X.astype(np.float32)
    if X.dtype.kind == "f" and not np.all(np.isfinite(X)):
        row = int(np.argwhere(~np.isfinite(X))[0, 0])
        raise DataError(f"{what}: row {row + 1} holds NaN or infinity; remove or fill such rows first")
    return X.reshape(len(X), int(np.prod(X.shape[1:])))
