r"""Discrete draws as thresholds of noise, and their smooth twins: bits, and one-hot groups.

| | bits | one-hot groups of k |
|---|---|---|
| noise | g = log u - log(1 - u), logistic | g_j = -log(-log u_j), Gumbel |
| hard | z = 1[a + g > 0] | z = one-hot(argmax_j (a_j + g_j)) |
| relaxed | y = sigmoid((a + g)/tau) | y = softmax((a + g)/tau) |
| slope dy/da | y (1 - y)/tau | (diag y - y y^T)/tau |

Then P(z = 1) = sigmoid(a), or softmax(a) (Gumbel 1954; the Gumbel-max trick): a difference of two Gumbel
numbers is logistic, so that a bit is a group of two whose other field is 0.

The noise drawn anew *given* z, for control variates, with fresh v ~ U(0, 1):

* a bit: u is uniform on its side of 1 - s, s = sigmoid(a), so that u~ = 1 - s (1 - v) if z = 1, v (1 - s) if
  z = 0; d(a + g~)/da = 1 - (1 - s)/u~ if z = 1, 1 - s/(1 - u~) if z = 0 (Tucker et al. 2017);
* a group: the largest of a + g is G = logsumexp(a) + Gumbel, whichever j it is; the others are Gumbels about
  a_j cut off at G: G_j = -log(e^-G + e^-(a_j + g_j)). With r_j = e^-(a_j + g_j) / (e^-G + e^-(a_j + g_j)) for
  the others, 0 for the largest, dG_j = r_j da_j + (1 - r_j) dG and dG = p . da, p = softmax(a).
"""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp
from minidgm.boltzmann.units import Bernoulli, Softmax
from minidgm.numerics import logsumexp, sigmoid, softplus

__all__ = ["BitNoise", "GroupNoise", "noise_for"]

SMALLEST = 2.0**-24


def inside(rng: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Uniform numbers inside (0, 1): both ends are cut off."""
    return rng.uniform(shape, dtype) * (1.0 - 2.0 * SMALLEST) + SMALLEST


class BitNoise:
    """Logistic noise; all arrays [m, d]."""

    def noisy(self, a: Any, rng: Any) -> Any:
        """a + g."""
        u = inside(rng, a.shape, a.dtype)
        xp = get_xp(u)
        return a + xp.log(u) - xp.log1p(-u)

    def hard(self, noisy: Any) -> Any:
        """Bits of a + g."""
        return get_xp(noisy).where(noisy > 0.0, 1.0, 0.0).astype(noisy.dtype)

    def relaxed(self, noisy: Any, tau: float) -> Any:
        """sigmoid((a + g)/tau)."""
        return sigmoid(noisy * (1.0 / tau))

    def backward(self, d: Any, y: Any, tau: float) -> Any:
        """Derivative in a + g of what has the derivative ``d`` in y."""
        return d * y * (1.0 - y) * (1.0 / tau)

    def again(self, a: Any, z: Any, rng: Any) -> tuple[Any, Any]:
        """a + g~ with the noise drawn given z, and what `again_backward` needs."""
        v = inside(rng, a.shape, a.dtype)
        xp, s, off, on = get_xp(v), sigmoid(a), sigmoid(-a), z > 0.5
        u = xp.maximum(xp.where(on, 1.0 - s * (1.0 - v), v * off), SMALLEST)
        rest = xp.maximum(xp.where(on, s * (1.0 - v), 1.0 - v * off), SMALLEST)
        return a + xp.log(u) - xp.log(rest), 1.0 - xp.where(on, off / u, s / rest)

    def again_backward(self, d: Any, cache: Any) -> Any:
        """Derivative in a of what has the derivative ``d`` in a + g~."""
        return d * cache


class GroupNoise:
    """Gumbel noise on one-hot groups of k neighboring columns; all arrays [m, d], d a multiple of k."""

    def __init__(self, k: int):
        self.k = k

    def _groups(self, x: Any) -> Any:
        return x.reshape((x.shape[0], x.shape[1] // self.k, self.k))

    def noisy(self, a: Any, rng: Any) -> Any:
        """a + g."""
        return a + _gumbel(rng, a.shape, a.dtype)

    def hard(self, noisy: Any) -> Any:
        """The largest of each group of a + g, one-hot."""
        xp, groups = get_xp(noisy), self._groups(noisy)
        first = xp.argmax(groups, axis=-1)[..., None]
        return (xp.arange(self.k) == first).reshape(noisy.shape).astype(noisy.dtype)

    def relaxed(self, noisy: Any, tau: float) -> Any:
        """softmax((a + g)/tau) of each group."""
        scaled = self._groups(noisy * (1.0 / tau))
        found = get_xp(scaled).exp(scaled - logsumexp(scaled, axis=-1, keepdims=True))
        return found.reshape(noisy.shape)

    def backward(self, d: Any, y: Any, tau: float) -> Any:
        """Derivative in a + g of what has the derivative ``d`` in y."""
        groups, pull = self._groups(y), self._groups(d)
        mean = (groups * pull).sum(axis=-1, keepdims=True)
        return (groups * (pull - mean) * (1.0 / tau)).reshape(d.shape)

    def again(self, a: Any, z: Any, rng: Any) -> tuple[Any, Any]:
        """a + g~ with the noise drawn given z, and what `again_backward` needs."""
        xp, chosen = get_xp(a), self._groups(z) > 0.5
        fresh, fields = self._groups(_gumbel(rng, a.shape, a.dtype)), self._groups(a)
        total = logsumexp(fields, axis=-1, keepdims=True)
        # The fresh noise of the chosen column is that of the maximum.
        largest = total + xp.where(chosen, fresh, 0.0).sum(axis=-1, keepdims=True)
        ahead = largest - (fields + fresh)
        found = xp.where(chosen, largest, largest - softplus(ahead))
        kept = xp.where(chosen, 0.0, sigmoid(ahead))  # r
        return found.reshape(a.shape), (kept, xp.exp(fields - total))

    def again_backward(self, d: Any, cache: Any) -> Any:
        """Derivative in a of what has the derivative ``d`` in a + g~: r d + p sum_j (1 - r_j) d_j."""
        (kept, p), pull = cache, self._groups(d)
        found = kept * pull + p * ((1.0 - kept) * pull).sum(axis=-1, keepdims=True)
        return found.reshape(d.shape)


def _gumbel(rng: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    u = inside(rng, shape, dtype)
    xp = get_xp(u)
    return -xp.log(-xp.log(u))


def noise_for(unit: Any) -> Any:
    """The noise of a unit of `minidgm.boltzmann.units`; None where there is none.

    >>> type(noise_for(Bernoulli())).__name__, noise_for(Softmax(3)).k
    ('BitNoise', 3)
    """
    if isinstance(unit, Bernoulli):
        return BitNoise()
    return GroupNoise(unit.k) if isinstance(unit, Softmax) else None
