"""What distributions over groups of neighboring columns share: one state a group, each column a state."""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp
from minidgm.distributions.base import Distribution


class Groups(Distribution):
    """Base of `Categorical` and `AtMostOne`: a column is the indicator of one of its group's states.

    Parameters
    ----------
    field : array [n, d]
        d is a multiple of k.
    k : int
        Columns a group.
    """

    groups_name = "groups"
    log_mean: Any

    def __init__(self, field: Any, k: int):
        super().__init__(field)
        if k < 1 or field.shape[-1] % k:
            raise ValueError(f"{field.shape[-1]} columns do not divide into {self.groups_name} of {k}")
        self.k = k

    def _groups(self, x: Any) -> Any:
        return get_xp(x).reshape(x, (*x.shape[:-1], x.shape[-1] // self.k, self.k))

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

    def kl(self, other: Any) -> Any:
        """KL(self, other) in nats, [n]; both of groups of one size."""
        if getattr(other, "k", self.k) != self.k:
            raise TypeError(f"KL from groups of {self.k} to groups of {other.k}: both must be of one size")
        return super().kl(other)
