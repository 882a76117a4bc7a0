"""One-hot groups."""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp
from minidgm.distributions.base import Distribution
from minidgm.numerics import logsumexp


class Categorical(Distribution):
    """One-hot groups of ``k`` neighbouring columns, each with softmax probabilities.

    Parameters
    ----------
    field : array [n, d]
        Logits; d is a multiple of k.
    k : int
        States a group.
    """

    def __init__(self, field: Any, k: int):
        super().__init__(field)
        if k < 1 or field.shape[-1] % k:
            raise ValueError(f"{field.shape[-1]} columns do not divide into one-hot groups of {k}")
        self.k = k

    def _groups(self, x: Any) -> Any:
        return get_xp(x).reshape(x, (*x.shape[:-1], x.shape[-1] // self.k, self.k))

    @property
    def log_mean(self) -> Any:
        """Log-probability of each state, [n, d]."""
        groups = self._groups(self.field)
        return get_xp(groups).reshape(groups - logsumexp(groups, axis=-1, keepdims=True), self.field.shape)

    @property
    def mean(self) -> Any:
        return get_xp(self.field).exp(self.log_mean)

    @property
    def variance(self) -> Any:
        mean = self.mean
        return mean * (1.0 - mean)

    def mean_jvp(self, direction: Any) -> Any:
        """The covariance of a group is diag(p) - p p^T."""
        xp = get_xp(self.field, direction)
        p, u = self._groups(self.mean), self._groups(direction)
        return xp.reshape(p * (u - (p * u).sum(axis=-1, keepdims=True)), self.field.shape)

    @property
    def mode(self) -> Any:
        xp = get_xp(self.field)
        best = xp.argmax(self._groups(self.field), axis=-1)[..., None]
        return xp.reshape(xp.arange(self.k) == best, self.field.shape).astype(self.field.dtype)

    def cgf(self) -> Any:
        """Log-partition of each group, [n, d / k]."""
        return logsumexp(self._groups(self.field), axis=-1)

    def kl(self, other: Any) -> Any:
        """KL(self, other) in nats, [n]; both of groups of one size."""
        if getattr(other, "k", self.k) != self.k:
            raise TypeError(f"KL from groups of {self.k} to groups of {other.k}: both must be of one size")
        return super().kl(other)

    def sample(self, rng: Any, out: Any = None) -> Any:
        xp = get_xp(self.field)
        draw = xp.reshape(rng.categorical(self._groups(self.field)), self.field.shape)
        if out is None:
            return draw
        out[...] = draw
        return out

    def log_prob(self, x: Any) -> Any:
        return get_xp(x, self.field).sum(x * self.log_mean, axis=-1)
