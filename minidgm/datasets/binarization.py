"""Three ways from grey levels to bits, which are three different data sets.

fixed       each pixel is drawn once, on with probability = grey level; everyone sees the same bits
dynamic     each pixel is drawn anew whenever a row is presented
threshold   a pixel is on where its grey level is at least 0.5

Log-likelihoods of fixed and dynamic differ by about 2 nats on MNIST; those of threshold by dozens.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidgm.errors import DataError, unknown

WAYS = ("fixed", "dynamic", "threshold")
_BLOCK = 1 << 20


class Resampled:
    """Grey levels that turn into fresh bits at every presentation (dynamic binarization).

    Taking rows, ``X[index]`` with any NumPy index on the first axis, returns a new Bernoulli draw of them.
    The draw depends on the seed and on how many times rows were taken before, nothing else, so
    that two integers restore it exactly: a checkpoint keeps :meth:`state`.

    Parameters
    ----------
    probabilities : ndarray [n, ...]
        Grey levels in [0, 1].
    seed : int

    Examples
    --------
    >>> X = Resampled(np.full((2, 4), 0.5, dtype="float32"), seed=0)
    >>> X.shape, len(X), X[[0, 1]].dtype
    ((2, 4), 2, dtype('float32'))
    >>> state = X.state()
    >>> first = X[:]
    >>> X.set_state(state)
    >>> bool((X[:] == first).all())
    True
    """

    def __init__(self, probabilities: np.ndarray, seed: int = 0):
        check_grey_levels(probabilities, "probabilities")
        self.probabilities = probabilities
        self.seed = int(seed)
        self.presentations = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the grey levels."""
        return self.probabilities.shape

    @property
    def dtype(self) -> np.dtype:
        """Type of the draws."""
        return self.probabilities.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.probabilities.ndim

    def __len__(self) -> int:
        return len(self.probabilities)

    def __getitem__(self, index: Any) -> np.ndarray:
        p = self.probabilities[index]
        words = _stream(self.seed, 1 + self.presentations)
        self.presentations += 1
        return _draw(np.asarray(p), words)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise TypeError(
            "rows that are resampled at every presentation are not one array: "
            "X[:] is one draw of all of them, X.probabilities the grey levels"
        )

    def __repr__(self) -> str:
        drawn = f"seed={self.seed}, presentations={self.presentations}"
        return f"Resampled({list(self.shape)} {self.dtype}, {drawn})"

    def state(self) -> dict[str, int]:
        """What a checkpoint must keep; a dict of plain integers."""
        return {"seed": self.seed, "presentations": self.presentations}

    def set_state(self, state: dict[str, int]) -> None:
        """Go back to a state; the draws that followed it follow again."""
        self.seed, self.presentations = int(state["seed"]), int(state["presentations"])


def binarized(X: np.ndarray, how: str | None, seed: int = 0, out: np.ndarray | None = None) -> Any:
    """Turn grey levels into bits in one of the three ways.

    Parameters
    ----------
    X : ndarray [n, ...]
        Grey levels in [0, 1].
    how : {"fixed", "dynamic", "threshold", None}
        None returns the grey levels as they are.
    seed : int
        Seed of the draw. The same X and seed give the same "fixed" bits on every machine.
    out : ndarray, optional
        Where "fixed" and "threshold" write; may be X itself.

    Returns
    -------
    ndarray of 0. and 1. with the shape and dtype of X, or a :class:`Resampled` for "dynamic".

    Raises
    ------
    DataError
        If a value is not a grey level. ValueError for an unknown way.

    Examples
    --------
    >>> binarized(np.array([[0.2, 0.5, 1.0]]), "threshold")
    array([[0., 1., 1.]])
    """
    if how is None:
        return X
    if how not in WAYS:
        raise unknown("binarization", how, WAYS)
    check_grey_levels(X, "the data to binarize")
    if how == "dynamic":
        return Resampled(X, seed)
    if how == "threshold":
        return np.greater_equal(X, 0.5, out=np.empty_like(X) if out is None else out, casting="unsafe")
    return _draw(X, _stream(seed, 0), out)


def check_grey_levels(X: np.ndarray, what: str) -> None:
    """Refuse what is not an array of numbers in [0, 1]."""
    if X.dtype.kind != "f":
        raise DataError(f"{what} came as {X.dtype}; expected floats in [0, 1]: divide by the top level")
    if X.size:
        low, high = float(X.min()), float(X.max())
        if not (low >= 0 and high <= 1):
            raise DataError(f"{what} span [{low:g}, {high:g}]; expected grey levels in [0, 1]")


def _stream(seed: int, number: int) -> np.random.PCG64:
    return np.random.PCG64(np.random.SeedSequence([seed, number]))


def _draw(p: np.ndarray, words: np.random.PCG64, out: np.ndarray | None = None) -> np.ndarray:
    """Bernoulli draws with probabilities p, from raw words (whose sequence no NumPy release changes).

    Half a 64-bit word gives 24 bits of a uniform u in [0, 1); the draw is u < p, so that
    p = 0 and p = 1 are certain.
    """
    out = np.empty(p.shape, p.dtype) if out is None else out
    levels, draws = np.ascontiguousarray(p).reshape(-1), out.reshape(-1)
    for start in range(0, levels.size, _BLOCK):
        block = levels[start : start + _BLOCK]
        raw = np.atleast_1d(words.random_raw((block.size + 1) // 2)).astype("<u8", copy=False)
        u = (raw.view("<u4")[: block.size] >> 8).astype(np.float32)
        u *= 2.0**-24
        draws[start : start + _BLOCK] = u < block
    return out
