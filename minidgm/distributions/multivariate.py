"""Multivariate normals, a covariance a row."""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp
from minidgm.distributions.normal import LOG_2PI


class MultivariateNormal:
    """Normals in natural form: density proportional to exp(-x^T Lambda x / 2 + field . x).

    Parameters
    ----------
    field : array [n, d]
        Precision times mean.
    precision : array [n, d, d]
        Lambda, positive definite. Sampling costs d^3/3 a row, once for its Cholesky factor.

    Examples
    --------
    >>> import numpy as np
    >>> d = MultivariateNormal(np.array([[2.0, 0.0]]), np.array([[[2.0, 0.0], [0.0, 4.0]]]))
    >>> d.mean.tolist(), d.variance.tolist()
    ([[1.0, 0.0]], [[0.5, 0.25]])
    """

    def __init__(self, field: Any, precision: Any):
        self.field, self.precision = field, precision

    def __repr__(self) -> str:
        return f"MultivariateNormal{tuple(self.field.shape)}"

    @property
    def mean(self) -> Any:
        """Lambda^-1 field, [n, d]."""
        return get_xp(self.field).linalg.solve(self.precision, self.field[:, :, None])[:, :, 0]

    @property
    def covariance(self) -> Any:
        """Lambda^-1, [n, d, d]."""
        return get_xp(self.precision).linalg.inv(self.precision)

    @property
    def variance(self) -> Any:
        """Diagonal of the covariance, [n, d]."""
        xp = get_xp(self.precision)
        return xp.sum(self.covariance * xp.eye(self.field.shape[1], dtype=self.field.dtype), axis=-1)

    def sample(self, rng: Any, out: Any = None) -> Any:
        """Mean plus L^-T times standard normals, Lambda = L L^T: of covariance Lambda^-1, [n, d]."""
        xp = get_xp(self.field)
        noise = rng.normal(self.field.shape, dtype=self.field.dtype)
        if not noise.shape[0]:
            return noise
        upper = xp.linalg.cholesky(self.precision).swapaxes(1, 2)
        return xp.add(self.mean, xp.linalg.solve(upper, noise[:, :, None])[:, :, 0], out=out)

    def log_prob(self, x: Any) -> Any:
        """Log-density of ``x`` [n, d], [n], exact, nats."""
        xp = get_xp(x, self.field)
        residual = x - self.mean
        square = xp.sum(residual * (self.precision @ residual[:, :, None])[:, :, 0], axis=-1)
        return 0.5 * (xp.linalg.slogdet(self.precision)[1] - square - x.shape[1] * LOG_2PI)

    def log_normalizer(self) -> Any:
        """log of the integral of exp(field . x - x^T Lambda x / 2), [n], exact, nats; d^3 / 3 a row.

        = (d log 2 pi - log det Lambda + field^T Lambda^-1 field) / 2.
        """
        xp = get_xp(self.field, self.precision)
        square, log_det = xp.sum(self.field * self.mean, axis=-1), xp.linalg.slogdet(self.precision)[1]
        return 0.5 * (self.field.shape[1] * LOG_2PI - log_det + square)
