"""Independent normals."""

from __future__ import annotations

import math
from typing import Any

from minidgm.backend import get_xp
from minidgm.distributions.base import Distribution

LOG_2PI = math.log(2.0 * math.pi)


class Normal(Distribution):
    """Independent normals in natural form: field = precision * mean.

    Parameters
    ----------
    field : array [n, d]
    log_precision : array [d] or [n, d]
        Logarithm of the inverse variance.
    """

    def __init__(self, field: Any, log_precision: Any):
        super().__init__(field)
        self.log_precision = log_precision

    @property
    def precision(self) -> Any:
        """Inverse variance."""
        return get_xp(self.log_precision).exp(self.log_precision)

    @property
    def mean(self) -> Any:
        return self.field / self.precision

    @property
    def variance(self) -> Any:
        return 0.0 * self.field + 1.0 / self.precision

    @property
    def mode(self) -> Any:
        return self.mean

    def cgf(self) -> Any:
        return 0.5 * self.field * self.field / self.precision + 0.5 * (LOG_2PI - self.log_precision)

    def sample(self, rng: Any, out: Any = None) -> Any:
        xp = get_xp(self.field)
        noise = rng.normal(self.field.shape, dtype=self.field.dtype)
        return xp.add(self.mean, noise * xp.exp(-0.5 * self.log_precision), out=out)

    def log_prob(self, x: Any) -> Any:
        xp = get_xp(x, self.field)
        residual = x - self.mean
        return -0.5 * xp.sum(self.precision * residual * residual + LOG_2PI - self.log_precision, axis=-1)

    def _mean_log_base(self) -> Any:
        mean = self.mean
        return -0.5 * get_xp(mean).sum(self.precision * mean * mean + 1.0, axis=-1)

    def kl(self, other: Any) -> Any:
        """KL(self, other) in nats, [n], for any two precisions."""
        if not isinstance(other, Normal):
            raise TypeError(f"KL from Normal to {type(other).__name__}: both must be of one family")
        xp = get_xp(self.field, other.field)
        ratio = self.log_precision - other.log_precision
        shift = self.mean - other.mean
        return 0.5 * xp.sum(xp.exp(-ratio) - 1.0 + ratio + other.precision * shift * shift, axis=-1)
