"""Independent normals as nets put them out: by mean and log-variance, without a precision to overflow."""

from __future__ import annotations

import math
from typing import Any

from minidgm.backend import get_xp

LOG_2PI = math.log(2.0 * math.pi)


class DiagonalNormal:
    """Normals N(mean, exp(log_variance)), independent over the last axis.

    Parameters
    ----------
    mean, log_variance : array [..., d]

    Examples
    --------
    >>> import numpy as np
    >>> q = DiagonalNormal(np.ones((1, 2)), np.zeros((1, 2)))
    >>> q.kl().tolist()
    [1.0]
    """

    def __init__(self, mean: Any, log_variance: Any):
        self.mean, self.log_variance = mean, log_variance

    def __repr__(self) -> str:
        return f"DiagonalNormal{tuple(self.mean.shape)}"

    @property
    def mode(self) -> Any:
        """The mean."""
        return self.mean

    @property
    def variance(self) -> Any:
        """Variances, [..., d]."""
        return get_xp(self.log_variance).exp(self.log_variance)

    @property
    def deviation(self) -> Any:
        """Standard deviations, [..., d]."""
        return get_xp(self.log_variance).exp(0.5 * self.log_variance)

    def at(self, noise: Any) -> Any:
        """What normal noise [..., d] makes: mean + deviation times noise; traceable."""
        return self.mean + self.deviation * noise

    def sample(self, rng: Any) -> Any:
        """Draw once from each."""
        return self.at(rng.normal(self.mean.shape, dtype=str(self.mean.dtype)))

    def log_prob(self, x: Any) -> Any:
        """Log-density of ``x``, summed over the last axis, nats."""
        xp = get_xp(x, self.mean)
        r = (x - self.mean) * xp.exp(-0.5 * self.log_variance)
        return -0.5 * xp.sum(r * r + self.log_variance + LOG_2PI, axis=-1)

    def entropy(self) -> Any:
        """Differential entropy, nats."""
        return 0.5 * get_xp(self.mean).sum(self.log_variance + (1.0 + LOG_2PI), axis=-1)

    def kl_terms(self) -> Any:
        """KL to N(0, 1) of each, [..., d], nats: (mean^2 + variance - 1 - log variance) / 2."""
        return 0.5 * (self.mean * self.mean + self.variance - 1.0 - self.log_variance)

    def kl(self, other: DiagonalNormal | None = None) -> Any:
        """KL to another one, or to N(0, I), nats."""
        xp = get_xp(self.mean)
        if other is None:
            return xp.sum(self.kl_terms(), axis=-1)
        gap, ratio = self.mean - other.mean, self.log_variance - other.log_variance
        shift = gap * gap * xp.exp(-other.log_variance)
        return 0.5 * xp.sum(xp.exp(ratio) - 1.0 - ratio + shift, axis=-1)


def log_standard_normal(z: Any) -> Any:
    """Log-density of N(0, I) at ``z``, summed over the last axis, nats."""
    return -0.5 * get_xp(z).sum(z * z + LOG_2PI, axis=-1)
