"""What every factorial distribution shares: entropy and KL follow from the family."""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp


class Distribution:
    """A factorial distribution over the last axis, given by its natural parameter ``field`` [n, d]."""

    def __init__(self, field: Any):
        self.field = field

    def __repr__(self) -> str:
        return f"{type(self).__name__}{tuple(self.field.shape)}"

    @property
    def mean(self) -> Any:
        """Expectation of each unit, [n, d]."""
        raise NotImplementedError

    @property
    def variance(self) -> Any:
        """Variance of each unit, [n, d]."""
        raise NotImplementedError

    def mean_jvp(self, direction: Any) -> Any:
        """Covariance of the units times ``direction`` [n, d]: how the mean moves with the field, [n, d]."""
        return self.variance * direction

    @property
    def mode(self) -> Any:
        """A most probable value of each unit, [n, d]."""
        raise NotImplementedError

    def cgf(self) -> Any:
        """Log-partition of each unit, [n, d]."""
        raise NotImplementedError

    def sample(self, rng: Any, out: Any = None) -> Any:
        """Draw once from each unit, [n, d]."""
        raise NotImplementedError

    def log_prob(self, x: Any) -> Any:
        """Log-probability (or density) of ``x`` [n, d], summed over the last axis: [n], exact, nats."""
        raise NotImplementedError

    def _mean_log_base(self) -> Any:
        return 0.0

    def entropy(self) -> Any:
        """Entropy in nats, [n] (differential where the support is continuous)."""
        xp = get_xp(self.field)
        return xp.sum(self.cgf(), axis=-1) - xp.sum(self.field * self.mean, axis=-1) - self._mean_log_base()

    def kl(self, other: Any) -> Any:
        """KL(self, other) in nats, [n]; both of the same family (and precision)."""
        if type(other) is not type(self):
            raise TypeError(
                f"KL from {type(self).__name__} to {type(other).__name__}: both must be of one family"
            )
        xp = get_xp(self.field, other.field)
        cross = xp.sum((self.field - other.field) * self.mean, axis=-1)
        return cross - xp.sum(self.cgf(), axis=-1) + xp.sum(other.cgf(), axis=-1)
