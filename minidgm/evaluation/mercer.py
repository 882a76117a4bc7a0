r"""Positive definite kernels k(x, y) = f(s) of the squared distance of two points, or of their product.

| kernel | of | f(s) | f'(s) |
|---|---|---|---|
| Gaussian, bandwidths b | distance | mean_b exp(-s / 2b^2) | mean_b -exp(-s / 2b^2) / 2b^2 |
| rational quadratic, shapes a | distance | mean_a (1 + s / 2a)^-a | mean_a -(1 + s / 2a)^(-a-1) / 2 |
| polynomial | product | (scale s + offset)^degree | scale degree (scale s + offset)^(degree-1) |
| moments | product | s + s^2 + ... + s^order | 1 + 2 s + ... + order s^(order-1) |

The first two are characteristic: MMD is zero for equal distributions only. A mixture of widths spares the
choice of one (Li, Swersky & Zemel 2015). The polynomial kernel compares moments up to its degree, all
products of coordinates among them; the last does so without weights.

``value`` is traceable; ``both`` gives f and f' of a block in few passes.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from typing import Any

from minidgm.arguments import count, real
from minidgm.backend import get_xp
from minidgm.errors import unknown

__all__ = [
    "GaussianKernel",
    "Kernel",
    "MomentKernel",
    "PolynomialKernel",
    "RationalQuadraticKernel",
    "as_kernel",
]


class Kernel:
    """Base of the kernels; ``of`` says what s is, "distance" (squared) or "product"."""

    of = "distance"

    def value(self, s: Any) -> Any:
        """f(s), of the shape of s; traceable."""
        raise NotImplementedError

    def slope(self, s: Any) -> Any:
        """f'(s)."""
        return self.both(s)[1]

    def both(self, s: Any) -> tuple[Any, Any]:
        """f(s) and f'(s)."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, JSON-able."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def describe(self) -> list[Any]:
        """What `as_kernel` makes this kernel from, JSON-able."""
        name = next(name for name, cls in KERNELS.items() if cls is type(self))
        return [name, self.config()]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.config().items())})"


class GaussianKernel(Kernel):
    """Mean of Gaussians.

    Parameters
    ----------
    bandwidths : float or sequence of float
        Standard deviations b, in units of x.

    Examples
    --------
    >>> import numpy as np
    >>> GaussianKernel(1.0).value(np.array([0.0, 2.0])).round(4).tolist()
    [1.0, 0.3679]
    """

    def __init__(self, bandwidths: float | Sequence[float] = (0.125, 0.25, 0.5, 1.0)):
        self.bandwidths = positive("bandwidth", bandwidths)

    @classmethod
    def around(cls, x: Any, factors: Sequence[float] = (0.125, 0.25, 0.5, 1.0)) -> GaussianKernel:
        """Bandwidths that are ``factors`` times the root mean square distance of the rows of ``x`` [n, d]."""
        distance = math.sqrt(2.0 * float(get_xp(x).sum(x.var(axis=0))))
        return cls([f * real("distance of the rows", distance, positive=True) for f in factors])

    def value(self, s: Any) -> Any:
        parts = [e for e, _ in self._parts(s)]
        return sum(parts[1:], start=parts[0]) * (1.0 / len(parts))

    def both(self, s: Any) -> tuple[Any, Any]:
        value, slope, share = 0.0, 0.0, 1.0 / len(self.bandwidths)
        for e, rate in self._parts(s):
            value = value + e
            slope = slope + (share * rate) * e
        return value * share, slope

    def _parts(self, s: Any) -> Iterator[tuple[Any, float]]:
        """exp(rate s) for each bandwidth, the widest first, and rate = -1 / 2b^2.

        A rate that is 2^k times the one before takes k multiplications in place of an exponential.
        """
        e: Any = None
        before = 1.0
        for b in sorted(self.bandwidths, reverse=True):
            rate = -0.5 / b**2
            doublings = math.log2(rate / before) if e is not None else -1.0
            if doublings in (0.0, 1.0, 2.0):
                for _ in range(int(doublings)):
                    e = e * e
            else:
                e = get_xp(s).exp(rate * s)
            before = rate
            yield e, rate


class RationalQuadraticKernel(Kernel):
    """Mean of rational quadratics: Gaussians averaged over gamma-distributed precisions, heavy tails.

    Parameters
    ----------
    shapes : float or sequence of float
        a; towards infinity the Gaussian.
    length : float
        Unit of distance: s is divided by its square.
    """

    def __init__(self, shapes: float | Sequence[float] = (0.2, 0.5, 1.0, 2.0, 5.0), length: float = 1.0):
        self.shapes = positive("shape", shapes)
        self.length = real("length", length, positive=True)

    def value(self, s: Any) -> Any:
        return self._parts(s)[0]

    def both(self, s: Any) -> tuple[Any, Any]:
        return self._parts(s)

    def _parts(self, s: Any) -> tuple[Any, Any]:
        xp, share = get_xp(s), 1.0 / len(self.shapes)
        value, slope = 0.0, 0.0
        for a in self.shapes:
            u = (0.5 / (a * self.length**2)) * s
            part = share * xp.exp(-a * xp.log1p(u))
            value = value + part
            slope = slope - part / (1.0 + u)
        return value, (0.5 / self.length**2) * slope


class PolynomialKernel(Kernel):
    """Power of an affine function of the inner product.

    Parameters
    ----------
    degree : int
    offset, scale : float
        ``offset`` at least 0, ``scale`` above.
    """

    of = "product"

    def __init__(self, degree: int = 3, offset: float = 1.0, scale: float = 1.0):
        self.degree = count("degree", degree)
        self.offset, self.scale = real("offset", offset), real("scale", scale, positive=True)

    def value(self, s: Any) -> Any:
        return power(self.scale * s + self.offset, self.degree)

    def both(self, s: Any) -> tuple[Any, Any]:
        base = self.scale * s + self.offset
        below = power(base, self.degree - 1)
        return below * base, (self.scale * self.degree) * below


class MomentKernel(Kernel):
    """Sum of powers of the inner product: |difference of all raw moments of order p|^2, summed over p.

    Parameters
    ----------
    order : int
        Highest order.
    """

    of = "product"

    def __init__(self, order: int = 2):
        self.order = count("order", order)

    def value(self, s: Any) -> Any:
        return self.both(s)[0]

    def both(self, s: Any) -> tuple[Any, Any]:
        value, slope, term = 0.0 * s, 0.0 * s, 0.0 * s + 1.0
        for p in range(1, self.order + 1):
            slope = slope + p * term
            term = term * s
            value = value + term
        return value, slope


KERNELS: dict[str, type[Kernel]] = {
    "gaussian": GaussianKernel,
    "rational_quadratic": RationalQuadraticKernel,
    "polynomial": PolynomialKernel,
    "moments": MomentKernel,
}


def as_kernel(kernel: Any) -> Kernel:
    """Return a kernel for a kernel, a name, or a pair of a name and options.

    Raises
    ------
    ValueError
        For an unknown name, with the nearest.
    TypeError
        For anything else, and for options that the kernel does not take.

    Examples
    --------
    >>> as_kernel("polynomial"), as_kernel(("gaussian", {"bandwidths": 2.0}))
    (PolynomialKernel(degree=3, offset=1.0, scale=1.0), GaussianKernel(bandwidths=[2.0]))
    """
    if isinstance(kernel, Kernel):
        return kernel
    name, options = (kernel, {}) if isinstance(kernel, str) else _pair(kernel)
    key = name.lower().replace("-", "_")
    if key not in KERNELS:
        raise unknown("kernel", name, KERNELS)
    try:
        return KERNELS[key](**options)
    except TypeError as error:
        raise TypeError(f"kernel {name!r}: {error}; {key}{inspect.signature(KERNELS[key])}") from None


def _pair(kernel: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(kernel, Sequence) and len(kernel) == 2:
        name, options = kernel
        if isinstance(name, str) and isinstance(options, dict):
            return name, options
    raise TypeError(
        f"kernel={kernel!r}; expected a kernel of minidgm.evaluation.mercer, one of {', '.join(KERNELS)}, or "
        "a pair such as ('gaussian', {'bandwidths': [0.5, 1.0]})"
    )


def positive(name: str, values: float | Sequence[float]) -> list[float]:
    """Return a non-empty list of positive numbers."""
    listed = list(values) if isinstance(values, Sequence) else [values]
    if not listed:
        raise ValueError(f"a kernel needs at least one {name}, got none")
    return [real(name, value, positive=True) for value in listed]


def power(base: Any, exponent: int) -> Any:
    """base^exponent by multiplication, which is much faster than a real power."""
    found = base if exponent else 0.0 * base + 1.0
    for _ in range(exponent - 1):
        found = found * base
    return found
