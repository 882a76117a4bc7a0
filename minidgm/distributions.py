"""Factorial distributions: what a conditional of a model returns.

The event is the last axis: ``log_prob`` and ``entropy`` sum over it, so that for parameters of shape
[n, d] they return [n]. Everything is in nats. Each family is an exponential family
``p(x) = exp(log_base(x) + x . field - cgf(field))`` (Wainwright and Jordan 2008, section 3), hence
``entropy = cgf - field . mean - E log_base`` and ``KL(p, q) = (field_p - field_q) . mean_p - cgf_p + cgf_q``.

| class | support | field | mean | variance |
|---|---|---|---|---|
| Bernoulli | {0, 1} | logit | sigmoid(x) | mean (1 - mean) |
| Spin | {-1, 1} | x | tanh(x) | 1 - mean^2 |
| Normal | reals | precision * mean | x / precision | 1 / precision |
| Categorical | one-hot groups of k | logits | softmax(x) | mean (1 - mean) |
| Rectified | [0, inf) | x | x + phi(x) / Phi(x) | see `rectified_moments` |
"""

from __future__ import annotations

import math
from typing import Any

from minidgm.backend import get_xp
from minidgm.numerics import log_ndtr, log_sigmoid, logsumexp, sigmoid, softplus

LOG_2PI = math.log(2.0 * math.pi)


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


class Normal(Distribution):
    """Independent normals in natural form: field = precision * mean.

    Parameters
    ----------
    field : array [n, d]
    log_precision : array [d] or [n, d]
        Logarithm of the inverse variance.
    """

    def __init__(self, field: Any, log_precision: Any):
        super().__init__(field)
        self.log_precision = log_precision

    @property
    def precision(self) -> Any:
        """Inverse variance."""
        return get_xp(self.log_precision).exp(self.log_precision)

    @property
    def mean(self) -> Any:
        return self.field / self.precision

    @property
    def variance(self) -> Any:
        return 0.0 * self.field + 1.0 / self.precision

    @property
    def mode(self) -> Any:
        return self.mean

    def cgf(self) -> Any:
        return 0.5 * self.field * self.field / self.precision + 0.5 * (LOG_2PI - self.log_precision)

    def sample(self, rng: Any, out: Any = None) -> Any:
        xp = get_xp(self.field)
        noise = rng.normal(self.field.shape, dtype=self.field.dtype)
        return xp.add(self.mean, noise * xp.exp(-0.5 * self.log_precision), out=out)

    def log_prob(self, x: Any) -> Any:
        xp = get_xp(x, self.field)
        residual = x - self.mean
        return -0.5 * xp.sum(self.precision * residual * residual + LOG_2PI - self.log_precision, axis=-1)

    def _mean_log_base(self) -> Any:
        mean = self.mean
        return -0.5 * get_xp(mean).sum(self.precision * mean * mean + 1.0, axis=-1)

    def kl(self, other: Any) -> Any:
        """KL(self, other) in nats, [n], for any two precisions."""
        if not isinstance(other, Normal):
            raise TypeError(f"KL from Normal to {type(other).__name__}: both must be of one family")
        xp = get_xp(self.field, other.field)
        ratio = self.log_precision - other.log_precision
        shift = self.mean - other.mean
        return 0.5 * xp.sum(xp.exp(-ratio) - 1.0 + ratio + other.precision * shift * shift, axis=-1)


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


FAR = -20.0


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


class Enumerated:
    """A joint distribution over all hidden states, for conditionals that do not factorise.

    Parameters
    ----------
    states : array [m, d]
        Every configuration, in the order of `minidgm.boltzmann.units.Bernoulli.states` (unit 0 fastest).
    log_weights : array [n, m]
        Unnormalised log-probability of each state for each row.
    """

    def __init__(self, states: Any, log_weights: Any):
        self.states = states
        self.log_probabilities = log_weights - logsumexp(log_weights, axis=1, keepdims=True)

    @property
    def probabilities(self) -> Any:
        """Probability of each state, [n, m]."""
        return get_xp(self.log_probabilities).exp(self.log_probabilities)

    @property
    def mean(self) -> Any:
        """Marginal mean of each unit, [n, d]."""
        return self.probabilities @ self.states

    @property
    def variance(self) -> Any:
        """Marginal variance of each unit, [n, d]."""
        return self.probabilities @ (self.states * self.states) - self.mean**2

    def sample(self, rng: Any, out: Any = None) -> Any:
        """Draw one state a row, [n, d]."""
        draw = rng.categorical(self.log_probabilities) @ self.states
        if out is None:
            return draw
        out[...] = draw
        return out

    def log_prob(self, x: Any) -> Any:
        """Log-probability of the bits ``x`` [n, d], [n], exact, nats."""
        xp = get_xp(x, self.log_probabilities)
        code = x @ (2.0 ** xp.arange(x.shape[-1])).astype(x.dtype)
        hit = code[:, None] == xp.arange(self.states.shape[0])[None, :]
        return xp.sum(xp.where(hit, self.log_probabilities, 0.0), axis=1)

    def entropy(self) -> Any:
        """Entropy in nats, [n]."""
        return -get_xp(self.log_probabilities).sum(self.probabilities * self.log_probabilities, axis=1)
