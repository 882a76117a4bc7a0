"""Independent gamma variables."""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp, special


class Gamma:
    """Independent positive numbers with density rate^shape x^(shape - 1) exp(-rate x) / Gamma(shape).

    Parameters
    ----------
    shape : array [d] or [n, d]
        Positive.
    rate : array [n, d]
        Positive; the inverse of the scale.

    Examples
    --------
    >>> import numpy as np
    >>> d = Gamma(np.array([2.0]), np.array([[4.0]]))
    >>> d.mean.tolist(), d.variance.tolist()
    ([[0.5]], [[0.125]])
    """

    def __init__(self, shape: Any, rate: Any):
        self.shape, self.rate = shape, rate

    def __repr__(self) -> str:
        return f"Gamma{tuple(self.rate.shape)}"

    @property
    def mean(self) -> Any:
        """shape / rate, [n, d]."""
        return self.shape / self.rate

    @property
    def variance(self) -> Any:
        """shape / rate^2, [n, d]."""
        return self.shape / (self.rate * self.rate)

    def sample(self, rng: Any, out: Any = None) -> Any:
        """Draw once from each, [n, d]; never 0, which float32 could round to."""
        xp = get_xp(self.rate)
        tiny = 1e-37 if str(self.rate.dtype) == "float32" else 1e-300
        unit = rng.gamma(self.shape, self.rate.shape, dtype=str(self.rate.dtype))
        return xp.maximum(unit / self.rate, tiny, out=out)

    def log_prob(self, x: Any) -> Any:
        """Log-density of ``x`` [n, d] > 0, summed over the last axis: [n], exact, nats."""
        xp = get_xp(x, self.rate)
        normalizer = special(xp).gammaln(self.shape) - self.shape * xp.log(self.rate)
        return xp.sum((self.shape - 1.0) * xp.log(x) - self.rate * x - normalizer, axis=-1)

    def entropy(self) -> Any:
        """Differential entropy in nats, [n]."""
        xp = get_xp(self.rate)
        s = self.shape
        unit = s + special(xp).gammaln(s) + (1.0 - s) * special(xp).digamma(s)
        return xp.sum(unit - xp.log(self.rate), axis=-1)
