"""Images of handwritten digits: 8 x 8 ones shipped with the package, and MNIST."""

from __future__ import annotations

import io
from importlib import resources
from typing import Any

import numpy as np

from minidgm.datasets.binarization import WAYS, binarized
from minidgm.datasets.dataset import PARTS, Dataset, stable_permutation
from minidgm.datasets.fetch import contents
from minidgm.datasets.files import parse_idx
from minidgm.errors import DataError, unknown


def digits(*, binarize: str | None = None, seed: int = 0) -> Dataset:
    """1,797 handwritten digits of 8 x 8 pixels, shipped inside the package.

    Grey levels are sixteenths: each pixel counts the ink in a 4 x 4 block of a 32 x 32 bitmap.
    The split never changes: a fixed permutation, then 1,297 rows for training, 250 for validation,
    250 for test.

    Parameters
    ----------
    binarize : {None, "fixed", "dynamic", "threshold"}
        None keeps the grey levels in [0, 1]. "dynamic" makes ``train`` a :class:`Resampled`, which draws
        new bits at every presentation, and draws validation and test once, so that two evaluations agree.
    seed : int
        Seed of the bits ("fixed", "dynamic"); the split does not depend on it.

    Returns
    -------
    Dataset
        ``train`` [1297, 64], ``validation`` [250, 64], ``test`` [250, 64], float32; labels 0 to 9.

    Notes
    -----
    The test set of "Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak (1998), UCI Machine
    Learning Repository, https://doi.org/10.24432/C50P49, CC BY 4.0.

    Examples
    --------
    >>> digits()
    Dataset('digits', train=[1297, 64] float32, validation=[250, 64], test=[250, 64], labels)
    """
    packed = resources.files("minidgm.datasets").joinpath("digits.npz").read_bytes()
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        levels, labels = arrays["images"], arrays["labels"].astype(np.int64)
    order = stable_permutation(len(levels), seed=0)
    X, labels = levels[order].astype(np.float32) / 16, labels[order]
    return _image_dataset(
        "digits",
        X,
        labels,
        sizes=(1297, 250, 250),
        shape=(8, 8),
        binarize=binarize,
        seed=seed,
        description="handwritten digits, 8 x 8 pixels",
        source="UCI Optical Recognition of Handwritten Digits, https://doi.org/10.24432/C50P49",
        license="CC BY 4.0",
    )


def mnist(*, binarize: str | None = None, validation: int = 10_000, seed: int = 0) -> Dataset:
    """70,000 handwritten digits of 28 x 28 pixels.

    Parameters
    ----------
    binarize : {None, "fixed", "dynamic", "threshold"}
        As in :func:`digits`. The bits of "fixed" do not depend on the size of the validation part; they are a
        draw of minidgm's own (seed 0 unless told otherwise), not the file of bits that some papers share.
    validation : int
        How many of the 60,000 training images, the last ones, are for validation.
    seed : int
        Seed of the bits.

    Returns
    -------
    Dataset
        ``train`` [50000, 784], ``validation`` [10000, 784], ``test`` [10000, 784], float32 in [0, 1]
        (0.22 GB in all); labels 0 to 9.

    Raises
    ------
    DataError
        If the files are neither in MINIDGM_DATA/mnist nor to be downloaded, or are damaged.

    Notes
    -----
    Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits", CC BY-SA 3.0.
    """
    _check_way(binarize)
    if isinstance(validation, bool) or not isinstance(validation, int) or not 0 <= validation < 60_000:
        raise DataError(f"mnist: validation={validation!r}; expected a number of images from 0 to 59,999")
    X = np.empty((70_000, 784), np.float32)
    labels = np.empty(70_000, np.int64)
    for part, rows in (("train", slice(0, 60_000)), ("t10k", slice(60_000, 70_000))):
        n = rows.stop - rows.start
        images = _idx(f"mnist/{part}-images-idx3-ubyte.gz", (n, 28, 28))
        np.divide(images.reshape(n, 784), np.float32(255), out=X[rows])
        labels[rows] = _idx(f"mnist/{part}-labels-idx1-ubyte.gz", (n,))
    return _image_dataset(
        "mnist",
        X,
        labels,
        sizes=(60_000 - validation, validation, 10_000),
        shape=(28, 28),
        binarize=binarize,
        seed=seed,
        description="handwritten digits, 28 x 28 pixels",
        source="LeCun, Cortes and Burges, the MNIST database",
        license="CC BY-SA 3.0",
    )


def _idx(name: str, shape: tuple[int, ...]) -> np.ndarray:
    array = parse_idx(contents(name), name)
    if array.shape != shape:
        raise DataError(f"{name} holds {array.shape}; expected {shape}")
    return array


def _check_way(binarize: str | None) -> None:
    if binarize is not None and binarize not in WAYS:
        raise unknown("binarization", binarize, WAYS)


def _image_dataset(
    name: str,
    X: np.ndarray,
    labels: np.ndarray,
    *,
    sizes: tuple[int, int, int],
    shape: tuple[int, int],
    binarize: str | None,
    seed: int,
    description: str,
    source: str,
    license: str,
) -> Dataset:
    """Cut rows [n, d] (overwritten) into parts, after "fixed" or "threshold" made bits of all of them."""
    _check_way(binarize)
    fields: dict[str, Any] = {}
    stop = 0
    for part, size in zip(PARTS, sizes, strict=True):
        start, stop = stop, stop + size
        fields[part], fields[f"{part}_labels"] = X[start:stop], labels[start:stop]
    if binarize == "dynamic":
        held_out = X[sizes[0] :]
        binarized(held_out, "fixed", seed, out=held_out)
        fields["train"] = binarized(fields["train"], "dynamic", seed)
    else:
        binarized(X, binarize, seed, out=X)
    return Dataset(
        name,
        **fields,
        binarize=binarize,
        shape=shape,
        description=description
        + (f", {binarize} bits of seed {seed}" if binarize in ("fixed", "dynamic") else ""),
        source=source,
        license=license,
    )
