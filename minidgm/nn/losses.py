r"""Losses: negative log-likelihoods of rows, from what a net puts out, with their gradients.

| loss | net's output | -log p(x) a number, summed over a row | gradient in the output |
|---|---|---|---|
| Bernoulli | logits a | softplus(a) - x a | s(a) - x |
| Categorical | logits a, last axis the classes | logsumexp(a) - <x, a>, x one-hot | softmax(a) - x |
| Gaussian | mean m, log-variance l | (log 2 pi + l + (x - m)^2 / e^l) / 2 | see the class |
| DiscretizedLogistic | mean m, log-scale | mass of a bin, logistic density | see the class |

Each is a pair like a layer's: ``forward(output, x) -> (loss [n], cache)`` and ``backward(weights,
cache)``, the gradient of sum_i weights_i loss_i in the output; weights [n] of 1/n give the mean. Nats; a
density's loss can be negative.
"""

from __future__ import annotations

import math
from typing import Any

from minidgm.arguments import count
from minidgm.backend import get_xp
from minidgm.numerics import logsumexp, sigmoid, softplus

__all__ = ["Bernoulli", "Categorical", "DiscretizedLogistic", "Gaussian"]

_LOG_2PI = math.log(2.0 * math.pi)


class Bernoulli:
    """-log of prod_i s(a_i)^x_i (1 - s(a_i))^(1 - x_i), from logits; x may lie between 0 and 1.

    >>> import numpy as np
    >>> loss, cache = Bernoulli().forward(np.zeros((1, 3)), np.array([[1.0, 0.0, 1.0]]))
    >>> float(loss[0]).__round__(4)
    2.0794
    """

    def forward(self, output: Any, x: Any) -> tuple[Any, Any]:
        """Return (loss [n], cache) from logits and x, both [n, ...]."""
        return over_rows(softplus(output) - x * output), (output, x)

    def backward(self, weights: Any, cache: Any) -> Any:
        output, x = cache
        return per_row(weights, output) * (sigmoid(output) - x)


class Categorical:
    """-log softmax(a)_k of the class k that is on in x, one-hot along the last axis."""

    def forward(self, output: Any, x: Any) -> tuple[Any, Any]:
        """Return (loss [n], cache) from logits and one-hot x, both [n, ..., n_classes]."""
        xp = get_xp(output, x)
        log_p = output - logsumexp(output, axis=-1, keepdims=True)
        return over_rows(-xp.sum(x * log_p, axis=-1)), (log_p, x)

    def backward(self, weights: Any, cache: Any) -> Any:
        log_p, x = cache
        xp = get_xp(log_p, x)
        return per_row(weights, log_p) * (xp.exp(log_p) * xp.sum(x, axis=-1, keepdims=True) - x)


class Gaussian:
    r"""-log N(x; m, e^l), a density.

    With r = (x - m) e^(-l/2): d/dm = -r e^(-l/2) and d/dl = (1 - r^2) / 2. The output is [n, 2 d], means
    and then log-variances, or the means alone [n, d] with a fixed ``log_variance``.

    Parameters
    ----------
    log_variance : float, optional
        Of every number, where the net puts out means only.
    """

    def __init__(self, log_variance: float | None = None):
        self.log_variance = log_variance

    def forward(self, output: Any, x: Any) -> tuple[Any, Any]:
        """Return (loss [n], cache) from the output and x [n, d]."""
        xp = get_xp(output, x)
        if self.log_variance is not None:
            inverse = math.exp(-0.5 * self.log_variance)
            r = (x - output) * inverse
            return over_rows(0.5 * (_LOG_2PI + self.log_variance + r * r)), (r, inverse)
        d = x.shape[-1]
        mean, log_variance = output[..., :d], output[..., d:]
        inverse = xp.exp(-0.5 * log_variance)
        r = (x - mean) * inverse
        return over_rows(0.5 * (_LOG_2PI + log_variance + r * r)), (r, inverse)

    def backward(self, weights: Any, cache: Any) -> Any:
        r, inverse = cache
        in_mean = per_row(weights, r) * -(r * inverse)
        if self.log_variance is not None:
            return in_mean
        in_log_variance = per_row(weights, r) * (0.5 * (1.0 - r * r))
        return get_xp(r).concatenate([in_mean, in_log_variance], axis=-1)


class DiscretizedLogistic:
    r"""-log of the mass that a logistic density gives the bin of x, for levels 0 ... 1 in steps of
    1/(levels - 1).

    With t = e^(-s) and edges u = (x + half - m) t, w = (x - half - m) t, half a step apart from x, the
    mass is s(u) - s(w); the first bin reaches down to minus infinity and the last one up (Kingma et al. 2016,
    appendix B; Salimans et al. 2017). From s(u) - s(w) = s(u) s(-w) (1 - e^(w - u)), every factor of which
    is stable in logarithms,

        log mass = log s(u) + log s(-w) + log(1 - e^(w - u)),      w - u = -2 half t,

    without the first factor in the last bin, without the second in the first one, and without the third in
    both. The output is [n, 2 d], means m and then log-scales s. Then d log mass/dm = -t (s(-u) - s(w)), and
    through t' = -t in s, d log mass/ds = -(u s(-u) - w s(w)) - 2 half t / (e^(2 half t) - 1).

    Parameters
    ----------
    levels : int
        Values that x takes, at least 2.
    """

    def __init__(self, levels: int = 256):
        self.levels = count("levels", levels, 2)

    def forward(self, output: Any, x: Any) -> tuple[Any, Any]:
        """Return (loss [n], cache) from the output [n, 2 d] and x [n, d], numbers of the grid in [0, 1]."""
        xp = get_xp(output, x)
        d, half = x.shape[-1], 0.5 / (self.levels - 1)
        mean, t = output[..., :d], xp.exp(-output[..., d:])
        u, w = (x + half - mean) * t, (x - half - mean) * t
        below, above = (x > half).astype(x.dtype), (x < 1.0 - half).astype(x.dtype)  # has a lower, upper edge
        gap = 2.0 * half * t
        inside = xp.log(-xp.expm1(-gap))
        log_mass = -above * softplus(-u) - below * softplus(w) + above * below * inside
        return over_rows(-log_mass), (u, w, t, gap, above, below)

    def backward(self, weights: Any, cache: Any) -> Any:
        u, w, t, gap, above, below = cache
        xp = get_xp(u)
        upper, lower = above * sigmoid(-u), below * sigmoid(w)
        in_mean = t * (upper - lower)
        ratio = gap * xp.exp(-gap) / -xp.expm1(-gap)  # gap / (e^gap - 1), where e^gap may overflow
        in_log_scale = u * upper - w * lower + above * below * ratio
        row = per_row(weights, u)
        return xp.concatenate([row * in_mean, row * in_log_scale], axis=-1)


def over_rows(x: Any) -> Any:
    """Sum all axes but the first, [n]."""
    return get_xp(x).sum(x, axis=tuple(range(1, x.ndim)))


def per_row(weights: Any, like: Any) -> Any:
    """Weights [n] with as many axes as ``like``."""
    return weights.reshape((-1,) + (1,) * (like.ndim - 1))
