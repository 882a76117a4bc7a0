"""Units of the Boltzmann family: what one side of an energy contributes, given the field it stands in.

A layer ``x`` with field ``a`` (its biases plus what the other layer sends) has energy
``-x . a - sum log_base(x)``, so that, given the field, it is an exponential family:

    p(x | a) = exp(x . a + log_base(x) - cgf(a)),   cgf' = mean,   cgf'' = variance.

What a machine asks of a unit is in `minidgm.boltzmann.unit`; a type of unit adds its values and its
cumulant generating function (Welling, Rosen-Zvi and Hinton 2005: exponential family harmoniums).

| unit | values | log_base(x) | cgf(a) |
|---|---|---|---|
| Bernoulli | {0, 1} | 0 | softplus(a) |
| Spin | {-1, 1} | 0 | log(2 cosh a) |
| Gaussian | reals | -lambda x^2 / 2 | a^2 / (2 lambda) + log(2 pi / lambda) / 2 |
| Softmax(k) | one-hot groups of k | 0 | logsumexp over the group |
| Pooled(k) | groups of k bits, at most one on | 0 | logsumexp over the group and 0 |
| Rectified | [0, inf) | -x^2 / 2 | a^2 / 2 + log(2 pi) / 2 + log Phi(a) |

The Gaussian precision is ``lambda = exp(log_precision)``, one a unit, learned, positive by construction.
The rectified unit is the exact exponential family whose conditional is a truncated normal; the
``max(0, a + noise)`` of Nair and Hinton (2010) approximates the same unit and has no energy of its own.
"""

from __future__ import annotations

import math
import re
from typing import Any

from minidgm import distributions
from minidgm.backend import get_xp
from minidgm.boltzmann.unit import Unit, refuse, refuse_outside
from minidgm.errors import unknown
from minidgm.numerics import sigmoid_

__all__ = ["Bernoulli", "Gaussian", "Rectified", "Softmax", "Spin", "Unit", "from_name"]

UNITS = ("bernoulli", "spin", "gaussian", "softmax(k)", "rectified", "pooled(k)")


class _Binary(Unit):
    values: tuple[float, float]

    def n_states(self, n: int) -> float:
        return 2**n

    def states(
        self, n: int, start: int = 0, stop: int | None = None, xp: Any = None, dtype: Any = "float64"
    ) -> Any:
        xp = xp or get_xp()
        index = xp.arange(start, 2**n if stop is None else stop)[:, None]
        bits = (index >> xp.arange(n)[None, :]) & 1
        low, high = self.values
        return (low + (high - low) * bits).astype(dtype)

    def alternatives(self, x: Any, i: int) -> list[Any]:
        flipped = x.copy()
        flipped[:, i] = self.values[0] + self.values[1] - x[:, i]
        return [flipped]


class Bernoulli(_Binary):
    """Bits in {0, 1}. As visible data, numbers between stand for probabilities of a one."""

    name = "bernoulli"
    values = (0.0, 1.0)

    def distribution(self, a: Any, **own: Any) -> distributions.Bernoulli:
        return distributions.Bernoulli(a)

    def fill(
        self, x: Any, bias: Any, rng: Any = None, draw: Any = None, mean: Any = None, **own: Any
    ) -> None:
        if draw is not None:
            rng.bernoulli_from_logits(x, bias=bias, out=draw, mean=mean)
        else:
            sigmoid_(x, out=mean, bias=bias)

    def third(self, a: Any, **own: Any) -> Any:
        d = distributions.Bernoulli(a)
        return d.variance * (1.0 - 2.0 * d.mean)

    def check(self, x: Any, what: str) -> None:
        expected = "Bernoulli units take 0 or 1, or a probability between"
        expected += "; binarize or rescale, or use visible='gaussian'"
        refuse_outside(0.0, 1.0, x, what, expected)

    def logit(self, mean: Any, **own: Any) -> Any:
        xp = get_xp(mean)
        p = xp.clip(mean, 0.001, 0.999)
        return xp.log(p) - xp.log1p(-p)


class Spin(_Binary):
    """Spins in {-1, 1}."""

    name = "spin"
    values = (-1.0, 1.0)

    def distribution(self, a: Any, **own: Any) -> distributions.Spin:
        return distributions.Spin(a)

    def third(self, a: Any, **own: Any) -> Any:
        d = distributions.Spin(a)
        return -2.0 * d.mean * d.variance

    def check(self, x: Any, what: str) -> None:
        expected = (
            "spin units take -1 or 1, or a mean between; map bits by 2 x - 1, or use visible='bernoulli'"
        )
        refuse_outside(-1.0, 1.0, x, what, expected)

    def logit(self, mean: Any, **own: Any) -> Any:
        return 0.5 * Bernoulli().logit(0.5 * (1.0 + mean))


class Gaussian(Unit):
    """Real values with energy lambda x^2 / 2 - a x: p(x | a) is normal, mean a / lambda, variance 1 / lambda.

    d(lambda x^2 / 2) / d log lambda = lambda x^2 / 2, whose expectation is lambda (mean^2 + 1 / lambda) / 2.
    """

    name = "gaussian"
    bounded = False

    def parameter_shapes(self, n: int) -> dict[str, tuple[int, ...]]:
        return {"log_precision": (n,)}

    def distribution(self, a: Any, **own: Any) -> distributions.Normal:
        return distributions.Normal(a, own["log_precision"])

    def log_base(self, x: Any, **own: Any) -> Any:
        return -0.5 * get_xp(own["log_precision"]).exp(own["log_precision"]) * x * x

    def base_gradient(self, x: Any, weights: Any, **own: Any) -> dict[str, Any]:
        xp = get_xp(x, weights)
        return {"log_precision": 0.5 * xp.exp(own["log_precision"]) * (weights @ (x * x))}

    def mean_base_gradient(self, a: Any, weights: Any, **own: Any) -> dict[str, Any]:
        at_mean = self.base_gradient(self.mean(a, **own), weights, **own)["log_precision"]
        return {"log_precision": at_mean + 0.5 * weights.sum()}

    def third(self, a: Any, **own: Any) -> Any:
        return get_xp(a).zeros_like(a)

    def check(self, x: Any, what: str) -> None:
        """Every finite number is allowed."""

    def logit(self, mean: Any, **own: Any) -> Any:
        return mean * get_xp(mean).exp(own["log_precision"])


class Softmax(Unit):
    """One-hot groups of ``k`` neighbouring columns; ``n_visible`` or ``n_hidden`` counts columns."""

    def __init__(self, k: int):
        if not isinstance(k, int) or k < 2:
            raise ValueError(f"a softmax unit needs an integer k >= 2 of states, got {k!r}")
        self.k = k
        self.name = f"softmax({k})"

    def distribution(self, a: Any, **own: Any) -> distributions.Categorical:
        return distributions.Categorical(a, self.k)

    def n_states(self, n: int) -> float:
        return self.k ** (n // self.k)

    def states(
        self, n: int, start: int = 0, stop: int | None = None, xp: Any = None, dtype: Any = "float64"
    ) -> Any:
        xp = xp or get_xp()
        groups = n // self.k
        index = xp.arange(start, self.k**groups if stop is None else stop)[:, None]
        digits = (index // self.k ** xp.arange(groups)[None, :]) % self.k
        return (digits[:, :, None] == xp.arange(self.k)).reshape(-1, n).astype(dtype)

    def alternatives(self, x: Any, i: int) -> list[Any]:
        xp = get_xp(x)
        group = slice(i * self.k, (i + 1) * self.k)
        others = []
        for shift in range(1, self.k):
            other = x.copy()
            other[:, group] = xp.roll(x[:, group], shift, axis=1)
            others.append(other)
        return others

    def check(self, x: Any, what: str) -> None:
        xp = get_xp(x)
        totals = x.reshape(x.shape[0], x.shape[1] // self.k, self.k).sum(axis=-1)
        expected = (
            f"softmax({self.k}) units take one-hot groups of {self.k} columns, or probabilities that sum to 1"
        )
        refuse((x < 0) | (x > 1), x, what, expected)
        refuse(xp.abs(totals - 1.0) > 1e-4, totals, f"the group sums of {what}", expected)

    def logit(self, mean: Any, **own: Any) -> Any:
        xp = get_xp(mean)
        return xp.log(xp.clip(mean, 0.001, 0.999))


class Rectified(Unit):
    """Values in [0, inf) with energy x^2 / 2 - a x: a normal of mean a and variance 1, truncated at 0."""

    name = "rectified"
    bounded = False

    def distribution(self, a: Any, **own: Any) -> distributions.Rectified:
        return distributions.Rectified(a)

    def log_base(self, x: Any, **own: Any) -> Any:
        return get_xp(x).where(x >= 0.0, -0.5 * x * x, -math.inf)

    def third(self, a: Any, **own: Any) -> Any:
        return distributions.rectified_moments(a)[2]

    def check(self, x: Any, what: str) -> None:
        refuse(
            x < 0, x, what, "rectified units take numbers >= 0; shift the data, or use visible='gaussian'"
        )

    def logit(self, mean: Any, **own: Any) -> Any:
        """Newton's method; the mean is convex in the field, so that from a field above it only descends."""
        target = get_xp(mean).maximum(mean, 0.05)
        a = target
        for _ in range(12):
            m, variance, _ = distributions.rectified_moments(a)
            a = a - (m - target) / variance
        return a


def from_name(unit: str | Unit) -> Unit:
    """Return the unit of a name, or the unit itself.

    >>> from_name("softmax(3)").k
    3
    """
    if isinstance(unit, Unit):
        return unit
    if isinstance(unit, type) and issubclass(unit, Unit):
        return unit()
    name = str(unit).strip().lower()
    simple = {u.name: u for u in (Bernoulli, Spin, Gaussian, Rectified)}
    if name in simple:
        return simple[name]()
    group = re.fullmatch(r"(softmax|pooled)\((\d+)\)", name)
    if group and group[1] == "softmax":
        return Softmax(int(group[2]))
    if group:
        from minidgm.boltzmann.pooled import Pooled

        return Pooled(int(group[2]))
    raise unknown("unit", unit, UNITS)
