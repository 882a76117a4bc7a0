"""Whitening: an affine map after which the directions of the data vary alike.

For centered rows X [n, d] with covariance C = U diag(e) U^T, and e0 = epsilon * trace(C) / d:

    "pca"    Z = X U diag(e + e0)^(-1/2)          the directions of C, the largest variance first
    "zca"    Z = X U diag(e + e0)^(-1/2) U^T      the whitening that changes the pixels least
    undone   X = Z diag(e + e0)^(1/2) U^T         and X = Z U diag(e + e0)^(1/2) U^T

Direction k of the training rows then has variance e_k / (e_k + e0): one where e_k is far above e0. With
``epsilon=0`` their covariance is the identity.

Source: A. J. Bell and T. J. Sejnowski (1997), "The 'independent components' of natural scenes are edge
filters", Vision Research 37, which names zero-phase (ZCA) whitening.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minidgm.arguments import real
from minidgm.errors import DataError, unknown

WHITENINGS = ("zca", "pca", None)


@dataclass(frozen=True)
class Whitening:
    """An affine map of rows and its inverse: ``z = (x - mean) forward``, ``x = z backward + mean``.

    Attributes
    ----------
    mean : float64 ndarray [d]
    forward : float64 ndarray [d, k]
        ``k = d``, or the number of directions of nonzero variance for "pca".
    backward : float64 ndarray [k, d]
    way : {"zca", "pca", None}
    log_det : float
        ``log |det forward|`` in nats where ``k = d``: ``log p(x) = log p(z) + log_det``. NaN if ``k < d``.

    Examples
    --------
    >>> X = np.array([[0.0, 0.0], [2.0, 2.0], [0.0, 2.0], [2.0, 4.0]])
    >>> whitening = Whitening.of(X, "zca", epsilon=0.0)
    >>> Z = whitening(X)
    >>> bool(np.allclose(Z.T @ Z / 4, np.eye(2))), bool(np.allclose(whitening.inverse(Z), X))
    (True, True)
    """

    mean: np.ndarray
    forward: np.ndarray
    backward: np.ndarray
    way: str | None
    log_det: float

    @classmethod
    def of(cls, X: np.ndarray, way: str | None, epsilon: float = 1e-4) -> Whitening:
        """Make the whitening of rows X [n, d]; ``way=None`` removes the mean alone.

        Raises
        ------
        DataError
            If "zca" with ``epsilon=0`` meets a direction without variance.
        """
        if way not in WHITENINGS:
            raise unknown("whitening", way, map(str, WHITENINGS))
        real("epsilon", epsilon)
        X = np.asarray(X, np.float64)
        d = X.shape[1]
        mean = X.mean(axis=0)
        if way is None:
            return cls(mean, np.eye(d), np.eye(d), way, 0.0)
        centered = X - mean
        e, U = np.linalg.eigh(centered.T @ centered / len(X))
        e, U = e[::-1], U[:, ::-1] * np.sign(U[np.abs(U).argmax(axis=0), np.arange(d)])[::-1]
        alive = e > 1e-10 * max(e[0], 1e-300)
        if way == "pca":
            e, U = e[alive], U[:, alive]
        elif epsilon == 0 and not alive.all():
            raise DataError(
                f"{d - alive.sum()} of {d} directions of the patches have no variance, which zca with "
                "epsilon=0 cannot whiten; pass whiten='pca', which leaves them out, or epsilon > 0"
            )
        if not alive.any():
            raise DataError("the patches are all the same: there is nothing to whiten")
        scale = np.sqrt(e + epsilon * e.sum() / d)
        rotation = U.T if way == "zca" else np.eye(len(e))
        log_det = -float(np.log(scale).sum()) if len(e) == d else float("nan")
        return cls(mean, U / scale @ rotation, rotation.T * scale @ U.T, way, log_det)

    def __call__(self, X: Any) -> np.ndarray:
        """Whiten rows [n, d] -> [n, k], in their own precision."""
        X = np.asarray(X)
        return ((X - self.mean) @ self.forward).astype(_precision(X), copy=False)

    def inverse(self, Z: Any) -> np.ndarray:
        """Undo it: [n, k] -> [n, d]."""
        Z = np.asarray(Z)
        return (Z @ self.backward + self.mean).astype(_precision(Z), copy=False)


def _precision(X: np.ndarray) -> type:
    return np.float32 if X.dtype == np.float32 else np.float64
