"""One-hot groups."""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp
from minidgm.distributions.groups import Groups
from minidgm.numerics import logsumexp


class Categorical(Groups):
    """One-hot groups of ``k`` neighbouring columns, each with softmax probabilities.

    Parameters
    ----------
    field : array [n, d]
        Logits; d is a multiple of k.
    k : int
        States a group.
    """

    groups_name = "one-hot groups"

    @property
    def log_mean(self) -> Any:
        """Log-probability of each state, [n, d]."""
        groups = self._groups(self.field)
        return get_xp(groups).reshape(groups - logsumexp(groups, axis=-1, keepdims=True), self.field.shape)

    @property
    def mode(self) -> Any:
        xp = get_xp(self.field)
        best = xp.argmax(self._groups(self.field), axis=-1)[..., None]
        return xp.reshape(xp.arange(self.k) == best, self.field.shape).astype(self.field.dtype)

    def cgf(self) -> Any:
        """Log-partition of each group, [n, d / k]."""
        return logsumexp(self._groups(self.field), axis=-1)

    def sample(self, rng: Any, out: Any = None) -> Any:
        xp = get_xp(self.field)
        draw = xp.reshape(rng.categorical(self._groups(self.field)), self.field.shape)
        if out is None:
            return draw
        out[...] = draw
        return out

    def log_prob(self, x: Any) -> Any:
        return get_xp(x, self.field).sum(x * self.log_mean, axis=-1)
