"""Bits and spins."""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp
from minidgm.distributions.base import Distribution
from minidgm.numerics import log_sigmoid, sigmoid, softplus


class Bernoulli(Distribution):
    """Independent bits in {0, 1} with logits ``field``.

    >>> import numpy as np
    >>> Bernoulli(np.zeros((1, 3))).entropy() / np.log(2)
    array([3.])
    """

    @property
    def logits(self) -> Any:
        """The natural parameter, log p(1) - log p(0)."""
        return self.field

    @property
    def mean(self) -> Any:
        return sigmoid(self.field)

    @property
    def variance(self) -> Any:
        return sigmoid(self.field) * sigmoid(-self.field)

    @property
    def mode(self) -> Any:
        xp = get_xp(self.field)
        return xp.where(self.field > 0, 1.0, 0.0).astype(self.field.dtype)

    def cgf(self) -> Any:
        return softplus(self.field)

    def sample(self, rng: Any, out: Any = None) -> Any:
        return rng.bernoulli_from_logits(self.field, out=out)

    def log_prob(self, x: Any) -> Any:
        xp = get_xp(x, self.field)
        return xp.sum(x * log_sigmoid(self.field) + (1.0 - x) * log_sigmoid(-self.field), axis=-1)


class Spin(Distribution):
    """Independent spins in {-1, 1} in the field x: p(s) = exp(s x) / (2 cosh x)."""

    @property
    def mean(self) -> Any:
        return get_xp(self.field).tanh(self.field)

    @property
    def variance(self) -> Any:
        return 4.0 * sigmoid(2.0 * self.field) * sigmoid(-2.0 * self.field)

    @property
    def mode(self) -> Any:
        xp = get_xp(self.field)
        return xp.where(self.field > 0, 1.0, -1.0).astype(self.field.dtype)

    def cgf(self) -> Any:
        xp = get_xp(self.field)
        return xp.abs(self.field) + xp.log1p(xp.exp(-2.0 * xp.abs(self.field)))

    def sample(self, rng: Any, out: Any = None) -> Any:
        xp = get_xp(self.field)
        bits = rng.bernoulli_from_logits(2.0 * self.field)
        return xp.subtract(2.0 * bits, 1.0, out=out)

    def log_prob(self, x: Any) -> Any:
        xp = get_xp(x, self.field)
        return xp.sum(log_sigmoid(2.0 * x * self.field), axis=-1)
