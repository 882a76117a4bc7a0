"""Gamma variables whose draws move with shape and rate, by implicit differentiation."""

from __future__ import annotations

import math
from typing import Any

from minidgm.arguments import real
from minidgm.backend import get_xp, special
from minidgm.distributions.gamma_path import shape_derivative
from minidgm.distributions.pathwise import PathDistribution, joined, uniform_inside

__all__ = ["PathGamma"]


class PathGamma(PathDistribution):
    """Independent gamma variables of shape a and rate b, y = [log a, log b]; prior Gamma(a_0, 1).

    Parameters
    ----------
    y : array [n, 2 d]
    prior_shape : float
        a_0; below 1 its draws are mostly near 0.

    Notes
    -----
    d/dz log q = (a - 1)/z - b; d/d log a = a (log b - psi(a) + log z), d/d log b = a - b z. And
    KL = (a - a_0) psi(a) - log Gamma(a) + log Gamma(a_0) + a_0 log b + a (1 - b)/b, so that
    d/d log a = a [(a - a_0) psi'(a) + (1 - b)/b], d/d log b = a_0 - a/b.
    """

    positive = True

    def __init__(self, y: Any, prior_shape: float = 1.0):
        super().__init__(y)
        self.prior_shape = real("prior_shape", prior_shape, positive=True)
        xp, d = get_xp(y), self.d
        self._log_rate = y[:, d:]
        self.shape, self.rate = xp.exp(y[:, :d]), xp.exp(y[:, d:])
        self._tiny = 1e-37 if str(y.dtype) == "float32" else 1e-300

    def _like(self, y: Any) -> Any:
        return type(self)(y, self.prior_shape)

    @property
    def mean(self) -> Any:
        return self.shape / self.rate

    @property
    def variance(self) -> Any:
        return self.shape / (self.rate * self.rate)

    def noise(self, k: int, rng: Any) -> Any:
        """Uniform numbers: the probabilities below the draws."""
        return uniform_inside(rng, (k, *self.shape.shape), self.y.dtype)

    def at(self, noise: Any) -> Any:
        xp = get_xp(noise)
        found = special(xp).gammaincinv(self.shape, noise).astype(self.y.dtype)
        return xp.maximum(found, self._tiny) / self.rate

    def path_backward(self, z: Any, g: Any) -> Any:
        moved = shape_derivative(self.shape, z * self.rate) * self.shape / self.rate
        return joined((g * moved).sum(axis=0), -(g * z).sum(axis=0))

    def _log(self, z: Any) -> Any:
        xp = get_xp(z, self.y)
        return xp.log(xp.maximum(z, self._tiny))

    def log_terms(self, z: Any) -> Any:
        xp = get_xp(z, self.y)
        normalizer = special(xp).gammaln(self.shape) - self.shape * self._log_rate
        return (self.shape - 1.0) * self._log(z) - self.rate * z - normalizer

    def log_backward(self, z: Any, c: Any) -> tuple[Any, Any]:
        xp = get_xp(z)
        in_a = c * self.shape * (self._log_rate - special(xp).digamma(self.shape) + self._log(z))
        in_b = c * (self.shape - self.rate * z)
        in_z = c * ((self.shape - 1.0) / xp.maximum(z, self._tiny) - self.rate)
        return in_z, joined(in_a.sum(axis=0), in_b.sum(axis=0))

    def prior(self, n: int, d: int) -> Any:
        xp = get_xp(self.y)
        rate = xp.zeros((n, d), dtype=self.y.dtype)
        return self._like(joined(rate + math.log(self.prior_shape), rate))

    def log_prior_terms(self, z: Any) -> Any:
        return (self.prior_shape - 1.0) * self._log(z) - z - math.lgamma(self.prior_shape)

    def prior_slope(self, z: Any) -> Any:
        return (self.prior_shape - 1.0) / get_xp(z).maximum(z, self._tiny) - 1.0

    def kl_terms(self) -> Any:
        xp, a, a0 = get_xp(self.y), self.shape, self.prior_shape
        apart = (a - a0) * special(xp).digamma(a) - special(xp).gammaln(a) + math.lgamma(a0)
        return apart + a0 * self._log_rate + a / self.rate - a

    def kl_backward(self, c: Any) -> Any:
        xp, a, a0 = get_xp(self.y), self.shape, self.prior_shape
        in_a = a * ((a - a0) * special(xp).polygamma(1, a).astype(a.dtype) + 1.0 / self.rate - 1.0)
        return joined(c * in_a, c * (a0 - a / self.rate))
