"""Groups of bits of which at most one is on."""

from __future__ import annotations

import math
from typing import Any

from minidgm.backend import get_xp
from minidgm.distributions.groups import Groups
from minidgm.numerics import logsumexp


class AtMostOne(Groups):
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
