r"""Elementwise nonlinearities, y_i = f(x_i), with diagonal Jacobians: dx = f'(x) dy, and the jvp is the same.

| layer | f(x) | f'(x) |
|---|---|---|
| Relu | max(x, 0) | 1[x > 0] |
| LeakyRelu(slope) | x if x > 0 else slope x | 1 or slope |
| Tanh | tanh x | 1 - y^2 |
| Sigmoid | s(x) = 1 / (1 + e^-x) | y (1 - y) |
| Softplus | log(1 + e^x) | s(x) |
| Elu(alpha) | x if x > 0 else alpha (e^x - 1) | 1 or y + alpha |
| Gelu | x Phi(x), Phi the normal distribution function | Phi(x) + x phi(x) |
| Silu | x s(x) | s(x) (1 + x (1 - s(x))) |

Where f' can be had from y, the cache is y: one array instead of two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from minidgm.arguments import real
from minidgm.backend import get_backend, get_xp, special
from minidgm.nn.layer import Layer
from minidgm.numerics import sigmoid, softplus

__all__ = ["Elu", "Gelu", "LeakyRelu", "Relu", "Sigmoid", "Silu", "Softplus", "Tanh"]

BLOCK = 65536  # values of a block of a long array on a host


class Elementwise(Layer):
    """y = f(x): a subclass writes `apply`, which returns (y, cache), and the `slope` f' from the cache."""

    def apply(self, x: Any) -> tuple[Any, Any]:
        """Return y, and what `slope` needs."""
        raise NotImplementedError

    def slope(self, cache: Any) -> Any:
        """Return f'(x)."""
        raise NotImplementedError

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        return self.apply(x)

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        if get_backend(dy) != "numpy" or not _lies_flat(dy, cache):
            return dy * self.slope(cache), {}
        dx = get_xp(dy).empty_like(dy)  # block by block, so that the slopes stay in cache
        flat_dy, flat, flat_dx = dy.reshape(-1), cache.reshape(-1), dx.reshape(-1)
        for start in range(0, dy.size, BLOCK):
            block = slice(start, start + BLOCK)
            get_xp(dy).multiply(flat_dy[block], self.slope(flat[block]), out=flat_dx[block])
        return dx, {}

    def jvp(self, dx: Any, cache: Any) -> Any:
        return dx * self.slope(cache)


class Relu(Elementwise):
    """max(x, 0); slope 0 at 0."""

    def apply(self, x: Any) -> tuple[Any, Any]:
        y = get_xp(x).maximum(x, 0.0)
        return y, y

    def slope(self, cache: Any) -> Any:
        return (cache > 0.0).astype(cache.dtype)


class LeakyRelu(Elementwise):
    """x where x > 0, else negative_slope x."""

    def __init__(self, negative_slope: float = 0.01):
        self.negative_slope = real("negative_slope", negative_slope)

    def apply(self, x: Any) -> tuple[Any, Any]:
        return get_xp(x).where(x > 0.0, x, self.negative_slope * x), x

    def slope(self, cache: Any) -> Any:
        xp = get_xp(cache)
        one = xp.ones_like(cache)
        return xp.where(cache > 0.0, one, self.negative_slope * one)


class Tanh(Elementwise):
    """Hyperbolic tangent."""

    def apply(self, x: Any) -> tuple[Any, Any]:
        y = get_xp(x).tanh(x)
        return y, y

    def slope(self, cache: Any) -> Any:
        return 1.0 - cache * cache


class Sigmoid(Elementwise):
    """1 / (1 + exp(-x))."""

    def apply(self, x: Any) -> tuple[Any, Any]:
        y = sigmoid(x)
        return y, y

    def slope(self, cache: Any) -> Any:
        return cache * (1.0 - cache)


class Softplus(Elementwise):
    """log(1 + exp(x)), without overflow."""

    def apply(self, x: Any) -> tuple[Any, Any]:
        return softplus(x), x

    def slope(self, cache: Any) -> Any:
        return sigmoid(cache)


class Elu(Elementwise):
    """x where x > 0, else alpha (exp(x) - 1) (Clevert, Unterthiner & Hochreiter 2016)."""

    def __init__(self, alpha: float = 1.0):
        self.alpha = real("alpha", alpha, positive=True)

    def apply(self, x: Any) -> tuple[Any, Any]:
        xp = get_xp(x)
        y = xp.where(x > 0.0, x, self.alpha * xp.expm1(xp.minimum(x, 0.0)))
        return y, (x, y)

    def slope(self, cache: Any) -> Any:
        x, y = cache
        xp = get_xp(x)
        return xp.where(x > 0.0, xp.ones_like(x), y + self.alpha)


class Gelu(Elementwise):
    """x Phi(x), exact, by the error function (Hendrycks & Gimpel 2016)."""

    def apply(self, x: Any) -> tuple[Any, Any]:
        xp = get_xp(x)
        below = 0.5 * (1.0 + special(xp).erf(x * math.sqrt(0.5)))
        return x * below, (x, below)

    def slope(self, cache: Any) -> Any:
        x, below = cache
        return below + x * get_xp(x).exp(-0.5 * x * x) * (1.0 / math.sqrt(2.0 * math.pi))


class Silu(Elementwise):
    """x sigmoid(x) (Elfwing, Uchibe & Doya 2018)."""

    def apply(self, x: Any) -> tuple[Any, Any]:
        s = sigmoid(x)
        return x * s, (x, s)

    def slope(self, cache: Any) -> Any:
        x, s = cache
        return s * (1.0 + x * (1.0 - s))


def _lies_flat(dy: Any, cache: Any) -> bool:
    """Whether gradient and cache are two long arrays in one order."""
    return (
        get_backend(cache) == "numpy"
        and dy.size > BLOCK
        and cache.shape == dy.shape
        and cache.dtype == dy.dtype
        and dy.flags.c_contiguous
        and cache.flags.c_contiguous
    )
