"""Groups of bits of which at most one is on."""

from __future__ import annotations

import math
from typing import Any

from minidgm.backend import get_xp
from minidgm.distributions.base import Distribution
from minidgm.numerics import logsumexp


class AtMostOne(Distribution):
    """Groups of ``k`` neighbouring columns with k + 1 states: one column on, or none.

    p(x_j = 1) = exp(a_j) / (1 + sum_l exp(a_l)) within a group: the softmax of its fields and of a zero for
    the idle state. With k = 1 these are bits.

    Parameters
    ----------
    field : array [n, d]
        d is a multiple of k.
    k : int
        Columns a group.

    Examples
    --------
    >>> import numpy as np
    >>> AtMostOne(np.zeros((1, 6)), 2).mean.round(4)
    array([[0.3333, 0.3333, 0.3333, 0.3333, 0.3333, 0.3333]])
    """

    def __init__(self, field: Any, k: int):
        super().__init__(field)
        if k < 1 or field.shape[-1] % k:
            raise ValueError(f"{field.shape[-1]} columns do not divide into groups of {k}")
        self.k = k

    def _groups(self, x: Any) -> Any:
        return get_xp(x).reshape(x, (*x.shape[:-1], x.shape[-1] // self.k, self.k))

    def cgf(self) -> Any:
        """log(1 + sum_j exp(a_j)) of each group, [n, d / k]."""
        xp = get_xp(self.field)
        groups = self._groups(self.field)
        return logsumexp(xp.concatenate([xp.zeros_like(groups[..., :1]), groups], axis=-1), axis=-1)

    @property
    def log_mean(self) -> Any:
        """Log-probability of each column, [n, d]."""
        xp = get_xp(self.field)
        return xp.reshape(self._groups(self.field) - self.cgf()[..., None], self.field.shape)

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
        groups = self._groups(self.field)
        best = xp.arange(self.k) == xp.argmax(groups, axis=-1)[..., None]
        return xp.reshape(best & (groups > 0.0), self.field.shape).astype(self.field.dtype)

    def sample(self, rng: Any, out: Any = None) -> Any:
        return rng.at_most_one_from_logits(self.field, self.k, out=out)

    def log_prob(self, x: Any) -> Any:
        """Log-probability of ``x`` [n, d], [n], exact, nats; -inf where a group has two ones."""
        xp = get_xp(x, self.field)
        log_p = xp.sum(x * self.field, axis=-1) - xp.sum(self.cgf(), axis=-1)
        crowded = xp.any(xp.sum(self._groups(x), axis=-1) > 1.5, axis=-1)
        return xp.where(crowded, -math.inf, log_p)

    def kl(self, other: Any) -> Any:
        """KL(self, other) in nats, [n]; both of groups of one size."""
        if getattr(other, "k", self.k) != self.k:
            raise TypeError(f"KL from groups of {self.k} to groups of {other.k}: both must be of one size")
        return super().kl(other)
