"""Normals truncated at zero: the exact rectified unit."""

from __future__ import annotations

import math
from typing import Any

from minidgm.backend import get_xp
from minidgm.distributions.base import Distribution
from minidgm.distributions.normal import LOG_2PI
from minidgm.numerics import log_ndtr

FAR = -20.0


class Rectified(Distribution):
    """Normals of mean x and variance 1 kept to [0, inf): p(h) proportional to exp(-h^2/2 + x h), h >= 0."""

    @property
    def mean(self) -> Any:
        return rectified_moments(self.field)[0]

    @property
    def variance(self) -> Any:
        return rectified_moments(self.field)[1]

    @property
    def mode(self) -> Any:
        return get_xp(self.field).maximum(self.field, 0.0)

    def cgf(self) -> Any:
        """Log of the integral of exp(-h^2/2 + x h) over h >= 0: x^2/2 + log(2 pi)/2 + log Phi(x)."""
        xp = get_xp(self.field)
        x = self.field.astype("float64")
        far = x < FAR
        near = xp.where(far, 0.0, x)
        tail = xp.where(far, x, FAR)
        t = 1.0 / (tail * tail)
        series = 1.0 - t * (1.0 - t * (3.0 - t * (15.0 - t * (105.0 - 945.0 * t))))
        value = xp.where(
            far, xp.log(series) - xp.log(-tail), 0.5 * near * near + 0.5 * LOG_2PI + log_ndtr(near)
        )
        return value.astype(self.field.dtype)

    def sample(self, rng: Any, out: Any = None) -> Any:
        """Solve Phi(x - h) = u Phi(x) for a uniform u.

        log Phi is concave, so Newton's method descends to the root from any point on its right; both
        -log(u) / r(x), with r = phi / Phi, and max(x, 0) + sqrt(-2 log u) are such points.
        """
        xp = get_xp(self.field)
        x = self.field.astype("float64")
        log_u = xp.log1p(-rng.uniform(self.field.shape, dtype="float64"))
        target = log_u + log_ndtr(x)

        def slope(y: Any) -> Any:
            return xp.maximum(rectified_moments(y)[0] - y, 1e-300)

        h = xp.minimum(-log_u / slope(x), xp.maximum(x, 0.0) + xp.sqrt(-2.0 * log_u))
        for _ in range(10):
            y = x - h
            h = xp.maximum(h + (log_ndtr(y) - target) / slope(y), 0.0)
        draw = h.astype(self.field.dtype)
        if out is None:
            return draw
        out[...] = draw
        return out

    def log_prob(self, x: Any) -> Any:
        xp = get_xp(x, self.field)
        inside = xp.where(x >= 0.0, x * self.field - 0.5 * x * x, -math.inf)
        return xp.sum(inside - self.cgf(), axis=-1)

    def _mean_log_base(self) -> Any:
        mean, variance, _ = rectified_moments(self.field)
        return -0.5 * get_xp(mean).sum(mean * mean + variance, axis=-1)


def rectified_moments(x: Any) -> tuple[Any, Any, Any]:
    """First three cumulants of the rectified unit in the field ``x`` (any shape, each of that shape).

    With r = phi(x) / Phi(x): mean m = x + r, variance 1 - r m, third r (m^2 - variance). Each is a
    difference of nearly equal numbers far below zero, where the asymptotic series of Mills' ratio
    (Abramowitz and Stegun 26.2.12) takes over; computed in float64.
    """
    xp = get_xp(x)
    dtype, x = x.dtype, x.astype("float64")
    far = x < FAR
    near = xp.where(far, 0.0, x)
    r = xp.exp(-0.5 * near * near - 0.5 * LOG_2PI - log_ndtr(near))
    m = near + r
    variance = 1.0 - r * m
    third = r * (m * m - variance)
    tail = xp.where(far, x, FAR)
    t = 1.0 / (tail * tail)
    m_far = -(1.0 - t * (2.0 - t * (10.0 - t * (74.0 - t * (706.0 - 8162.0 * t))))) / tail
    v_far = t * (1.0 - t * (6.0 - t * (50.0 - t * (518.0 - t * (6354.0 - 89782.0 * t)))))
    k_far = -2.0 * t / tail * (1.0 - t * (12.0 - t * (150.0 - t * (2072.0 - t * (31770.0 - 538692.0 * t)))))
    moments = ((m_far, m), (v_far, variance), (k_far, third))
    mean, var, cumulant = (xp.where(far, a, b).astype(dtype) for a, b in moments)
    return mean, var, cumulant
