"""Patches of images, whitened: real-valued rows of full rank for models with Gaussian visibles.

How rows are whitened: `minidgm.datasets.whitening`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidgm.arguments import count
from minidgm.datasets.dataset import PARTS, Dataset, stable_permutation
from minidgm.datasets.whitening import WHITENINGS, Whitening
from minidgm.errors import DataError, unknown

_CELLS = 50  # pieces that the images are cut into at least, so that the parts of the data share no pixel


@dataclass(repr=False)
class Patches(Dataset):
    """A :class:`Dataset` of patches that remembers how it was whitened.

    Attributes
    ----------
    whitening : Whitening
        ``data.whitening.inverse(rows)`` gives pixels; ``data.whitening(pixels)`` whitens others alike.
    patch_shape : tuple of int
        (size, size) or (size, size, c), the shape of a patch in pixels; ``shape`` is None where rows are
        coefficients of "pca".
    """

    whitening: Whitening | None = None
    patch_shape: tuple[int, ...] = ()


def patches(
    images: Any = "photographs",
    size: int = 8,
    n: int = 20_000,
    whiten: str | None = "zca",
    seed: int = 0,
    *,
    center: str = "pixel",
    epsilon: float = 1e-4,
    validation: float = 0.1,
    test: float = 0.1,
) -> Patches:
    """Square patches of images at random places, centered and whitened.

    The images are cut into cells, each cell belongs to one part, and no patch reaches across cells: training,
    validation and test share no pixel. Mean and covariance are those of the training part.

    Parameters
    ----------
    images : array [m, H, W] or [m, H, W, c], or {"photographs", "digits", "mnist"}
        "photographs" are the gray levels of :func:`photographs`.
    size : int
        Side of a patch.
    n : int
        How many patches in all, no two at the same place.
    whiten : {"zca", "pca", None}
        See `minidgm.datasets.whitening`; None centers only.
    seed : int
        Seed of the cells and places.
    center : {"pixel", "patch"}
        "pixel" removes the mean of each pixel over the training rows. "patch" first removes each patch's own
        mean brightness, which the inverse cannot bring back: one direction loses its variance, "pca" leaves
        it out, and rows of "zca" lie in a hyperplane, where no density in all pixels exists.
    epsilon : float
        Added to each variance before whitening, in units of the mean variance of a pixel.
    validation, test : float
        Fractions of ``n``.

    Returns
    -------
    Patches
        float32 rows [n_part, k]; ``k = size * size * c`` unless "pca" left directions out.

    Raises
    ------
    DataError
        If images are not a stack, hold NaN, are smaller than a patch, or have too few places.

    Examples
    --------
    >>> images = np.random.default_rng(0).normal(size=(3, 40, 30)).cumsum(axis=2)
    >>> data = patches(images, size=4, n=1000)
    >>> data
    Dataset('patches', train=[800, 16] float32, validation=[100, 16], test=[100, 16])
    >>> data.whitening.inverse(data.test).shape, data.patch_shape
    ((100, 16), (4, 4))
    """
    name = f"{images}_patches" if isinstance(images, str) else "patches"
    stack, source, licence = _stack(images)
    count("size", size), count("n", n), count("seed", seed, low=0)
    if center not in ("pixel", "patch"):
        raise unknown("center", center, ("pixel", "patch"))
    if whiten not in WHITENINGS:
        raise unknown("whitening", whiten, map(str, WHITENINGS))
    if max(validation, test) >= 1 or min(validation, test) < 0 or validation + test >= 1:
        raise DataError(
            f"validation={validation!r}, test={test!r}; expected fractions that leave some to train on"
        )
    if size > min(stack.shape[1:3]):
        raise DataError(f"patches of {size} x {size} pixels do not fit into images of {stack.shape[1:3]}")
    sizes = [n - round(validation * n) - round(test * n), round(validation * n), round(test * n)]
    rows = _draw(stack, size, sizes, seed)
    if center == "patch":
        rows = [X - X.mean(axis=1, keepdims=True) for X in rows]
    whitening = Whitening.of(rows[0], whiten, epsilon)
    fields: dict[str, Any] = {
        part: whitening(X).astype(np.float32) for part, X in zip(PARTS, rows, strict=True)
    }
    patch_shape = (size, size, *stack.shape[3:])
    return Patches(
        name,
        **fields,
        shape=None if whiten == "pca" else patch_shape,
        description=f"image patches, {size} x {size} pixels, {whiten or 'not'} whitened",
        source=source,
        license=licence,
        whitening=whitening,
        patch_shape=patch_shape,
    )


def photographs(color: bool = False) -> np.ndarray:
    """The two sample photographs that scikit-learn ships (a temple, a flower), in [0, 1].

    Parameters
    ----------
    color : bool
        Three channels instead of gray levels (luma, ITU-R BT.601).

    Returns
    -------
    ndarray float64 [2, 427, 640] or [2, 427, 640, 3]

    Raises
    ------
    DataError
        If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_sample_images

        images = np.stack(load_sample_images().images) / 255
    except ImportError as error:
        raise DataError(
            f"the sample photographs come with scikit-learn, and {error}; run "
            "`pip install scikit-learn pillow`, or give patches() images of your own, an array [m, H, W]"
        ) from None
    return images if color else images @ np.array([0.299, 0.587, 0.114])


def _digit_images(name: str) -> np.ndarray:
    from minidgm import datasets

    data = getattr(datasets, name)()
    return data.train.reshape(-1, *data.shape)


_NAMED: dict[str, tuple[Callable[[], np.ndarray], str, str]] = {
    "photographs": (photographs, "scikit-learn's sample images, by Z. Wong and V. Vidic", "CC BY"),
    "digits": (lambda: _digit_images("digits"), "training images of digits()", "CC BY 4.0"),
    "mnist": (lambda: _digit_images("mnist"), "training images of mnist()", "CC BY-SA 3.0"),
}


def _stack(images: Any) -> tuple[np.ndarray, str, str]:
    """Images [m, H, W] or [m, H, W, c] with their source and license."""
    if isinstance(images, str):
        if images not in _NAMED:
            raise unknown("images", images, _NAMED)
        make, source, licence = _NAMED[images]
        return make(), source, licence
    images = np.asarray(images)
    if images.ndim not in (3, 4) or images.dtype.kind not in "biuf" or not images.size:
        raise DataError(
            f"images came as {images.dtype} {images.shape}; expected numbers [m, H, W] or [m, H, W, c]"
        )
    if not np.all(np.isfinite(images)):
        raise DataError("the images hold NaN or infinity; remove such images first")
    return images, "", ""


def _draw(stack: np.ndarray, size: int, sizes: list[int], seed: int) -> list[np.ndarray]:
    """Patches [n_part, d] of each part, from the cells of its own."""
    words = np.random.PCG64(np.random.SeedSequence(seed))  # the stream of words that NumPy never changes
    m, height, width = stack.shape[:3]
    side = max(2 * size, min(4 * size, int(np.sqrt(m * height * width / _CELLS))))
    cells = np.array(
        [
            (i, top, left, min(top + side, height), min(left + side, width))
            for i in range(m)
            for top in _starts(height, side, size)
            for left in _starts(width, side, size)
        ]
    )
    cells[:, 3][cells[:, 3] > height - size] = height  # the last cell of a line takes what is left over
    cells[:, 4][cells[:, 4] > width - size] = width
    cells = cells[stable_permutation(len(cells), seed)]
    cuts = np.rint(np.cumsum([0, *sizes]) / sum(sizes) * len(cells)).astype(int)
    rows = []
    for part, want, start, stop in zip(PARTS, sizes, cuts, cuts[1:], strict=False):
        if want and start == stop:
            raise DataError(
                f"{part}: {len(cells)} cells of {side} pixels are too few for it; give more or larger images"
            )
        image, row, column = _places(cells[start:stop], size, want, words, part)
        window = np.lib.stride_tricks.sliding_window_view(stack, (size, size), axis=(1, 2))  # [.., (c,) s, s]
        found = window[image, row, column]
        found = found if stack.ndim == 3 else found.transpose(0, 2, 3, 1)
        rows.append(found.reshape(want, -1).astype(np.float64))
    return rows


def _starts(length: int, side: int, size: int) -> range:
    """First pixels of the cells of a line; what remains at its end is a cell if a patch fits into it."""
    return range(0, length - size + 1, side)


def _places(
    cells: np.ndarray, size: int, n: int, words: np.random.PCG64, part: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw n of the places where a patch lies within a cell: image, row and column of its corner."""
    if not n:
        return (np.zeros(0, int),) * 3
    across = cells[:, 4] - cells[:, 2] - size + 1
    ends = np.cumsum((cells[:, 3] - cells[:, 1] - size + 1) * across)
    total = int(ends[-1])
    if n > total:
        raise DataError(f"{part}: {n} patches asked for, and its images have {total} places; ask for fewer")
    if total <= 4 * n + 1000:
        chosen = np.argsort(words.random_raw(total), kind="stable")[:n]
    else:  # more than n of 2 n + 100 words differ but for a chance of less than 1e-30
        drawn = (words.random_raw(2 * n + 100) % np.uint64(total)).astype(np.int64)
        chosen = drawn[np.sort(np.unique(drawn, return_index=True)[1])[:n]]
    cell = np.searchsorted(ends, chosen, side="right")
    within = chosen - np.concatenate([[0], ends])[cell]
    return cells[cell, 0], cells[cell, 1] + within // across[cell], cells[cell, 2] + within % across[cell]
