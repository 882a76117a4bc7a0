"""Normals of full covariance by a triangular factor, whose draws move with it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidgm.backend import get_xp
from minidgm.distributions.pathwise import LOG_2PI, PathDistribution, joined

__all__ = ["PathFullNormal"]


class PathFullNormal(PathDistribution):
    """Normals N(mu, L L^T), y = [mu, l, r]: L has e^l on its diagonal and r below, row by row.

    Notes
    -----
    With u = L^-T (c eps), eps = L^-1 (z - mu): d/dz sum c log_terms = -u, d/dmu = u, d/dL = u eps^T below the
    diagonal and u_j eps_j L_jj - c_j for l_j. Column j of log q is -eps_j^2/2 - l_j - log(2 pi)/2, and of KL
    row j of (mu mu^T + L L^T - 1)/2, less l_j. Solving costs d^3/3 a row and draw of densities.

    Examples
    --------
    >>> import numpy as np
    >>> q = PathFullNormal(np.array([[1.0, 0.0, 0.0, 0.0, 2.0]]))
    >>> q.at(np.ones((1, 1, 2))).tolist(), q.variance.tolist()
    ([[[2.0, 3.0]]], [[1.0, 5.0]])
    """

    def __init__(self, y: Any):
        super().__init__(y)
        xp, d = get_xp(y), self.d
        rows, columns = np.tril_indices(d, -1)
        place = np.full((d, d), 2 * d + len(rows))  # a column of zeros, appended
        place[rows, columns] = 2 * d + np.arange(len(rows))
        self._rows, self._columns = (xp.asarray(i) for i in (rows, columns))
        padded = xp.concatenate([y, xp.zeros((y.shape[0], 1), dtype=y.dtype)], axis=1)
        below = padded[:, xp.asarray(place.reshape(-1))].reshape((y.shape[0], d, d))
        self._mean, self._log_scale = y[:, :d], y[:, d : 2 * d]
        self.factor = below + xp.exp(self._log_scale)[:, :, None] * xp.eye(d, dtype=y.dtype)

    @staticmethod
    def outputs(d: int) -> int:
        """d (d + 3)/2."""
        return d * (d + 3) // 2

    @staticmethod
    def columns(size: int) -> int:
        return (math.isqrt(9 + 8 * size) - 3) // 2

    @property
    def mean(self) -> Any:
        return self._mean

    @property
    def covariance(self) -> Any:
        """L L^T, [n, d, d]."""
        return self.factor @ self.factor.swapaxes(1, 2)

    @property
    def variance(self) -> Any:
        return get_xp(self.y).sum(self.factor * self.factor, axis=2)

    def noise(self, k: int, rng: Any) -> Any:
        return rng.normal((k, *self._mean.shape), dtype=str(self.y.dtype))

    def at(self, noise: Any) -> Any:
        return self._mean + (self.factor @ noise[..., None])[..., 0]

    def _standard(self, z: Any) -> Any:
        """eps = L^-1 (z - mu), [..., n, d]."""
        xp = get_xp(z, self.y)
        centered = z - self._mean
        if z.ndim == 2:
            return xp.linalg.solve(self.factor, centered[:, :, None])[:, :, 0]
        turned = xp.linalg.solve(self.factor, xp.moveaxis(centered, 0, 2))  # [n, d, k]
        return xp.moveaxis(turned, 2, 0)

    def _packed(self, in_mean: Any, in_factor: Any, less: Any = 0.0) -> Any:
        """Derivatives in mu and L as those in y."""
        xp = get_xp(self.y)
        diagonal = xp.sum(in_factor * self.factor * xp.eye(self.d, dtype=self.y.dtype), axis=2) - less
        return joined(in_mean, diagonal, in_factor[:, self._rows, self._columns])

    def path_backward(self, z: Any, g: Any) -> Any:
        outer = get_xp(g).einsum("kni,knj->nij", g, self._standard(z))
        return self._packed(g.sum(axis=0), outer)

    def log_terms(self, z: Any) -> Any:
        eps = self._standard(z)
        return -0.5 * (eps * eps + LOG_2PI) - self._log_scale

    def log_backward(self, z: Any, c: Any) -> tuple[Any, Any]:
        xp, eps = get_xp(z), self._standard(z)
        u = xp.linalg.solve(self.factor.swapaxes(1, 2), xp.moveaxis(c * eps, 0, 2))
        u = xp.moveaxis(u, 2, 0)
        return -u, self._packed(u.sum(axis=0), xp.einsum("kni,knj->nij", u, eps), c.sum(axis=0))

    def kl_terms(self) -> Any:
        return 0.5 * (self._mean * self._mean + self.variance - 1.0) - self._log_scale

    def kl_backward(self, c: Any) -> Any:
        return self._packed(c * self._mean, c[:, :, None] * self.factor, c)
