r"""How a gamma draw moves with its shape, by implicit differentiation (Figurnov, Mohamed & Mnih 2018).

Let F(z; a) be the distribution function of a gamma variable of shape a and rate 1, p its density. A draw that
keeps its probability, F(z; a) = u, moves by

    dz/da = -(dF/da) / p(z),          dF/da = int_0^z p(t) (log t - psi(a)) dt = -int_z^inf the same.

Neither F nor p is needed on its own: with p(t)/p(z) under the integral and t = z e^-y, or t = z e^y,

    dz/da = -z int_0^inf exp(-a y + z (1 - e^-y)) (log z - psi(a) - y) dy
          =  z int_0^inf exp( a y - z (e^y - 1)) (log z - psi(a) + y) dy.

The exponents are concave and start at 0: the first falls where z <= a, the second where z > a. Each is cut
where it reaches -36 and integrated by a Gauss-Legendre rule. For z <= 1, where a may be small and the first
falls over many scales, it is integrated term by term, s = e^-y:

    dz/da = -z e^z sum_n (-z)^n/n! [(log z - psi(a))/(a + n) - 1/(a + n)^2].

Relative error below 1e-10 for shapes from 0.01 to 10^4, measured against differences of the quantiles and of
the incomplete gamma function.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidgm.backend import get_xp, special

__all__ = ["shape_derivative"]

CUT, NODES, TERMS = 36.0, 48, 24
RULE = [
    (0.5 * (1.0 + float(t)), 0.5 * float(w))
    for t, w in zip(*np.polynomial.legendre.leggauss(NODES), strict=True)
]


def shape_derivative(a: Any, z: Any) -> Any:
    """dz/da of gamma draws of rate 1 at a fixed probability.

    Parameters
    ----------
    a : array
        Shapes, positive.
    z : array
        Draws, positive; broadcast against ``a``.

    Returns
    -------
    array
        Of the dtype of ``z``; computed in float64.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.special import gammaincinv
    >>> u, a, h = 0.3, np.array([2.0]), 1e-4
    >>> slope = (gammaincinv(a + h, u) - gammaincinv(a - h, u)) / (2 * h)
    >>> np.allclose(shape_derivative(a, gammaincinv(a, u)), slope, rtol=1e-7)
    True
    """
    xp, dtype = get_xp(a, z), z.dtype
    a, z = a.astype("float64") + 0.0 * z, z.astype("float64") + 0.0 * a
    above = xp.log(z) - special(xp).digamma(a)
    small = z <= 1.0
    found = xp.where(small, _series(a, xp.minimum(z, 1.0), above), _integral(a, xp.maximum(z, 1.0), above))
    return found.astype(dtype)


def _series(a: Any, z: Any, above: Any) -> Any:
    xp = get_xp(z)
    total, power = xp.zeros_like(z), xp.ones_like(z)
    for n in range(TERMS):
        over = 1.0 / (a + n)
        total = total + power * over * (above - over)
        power = power * (-z / (n + 1.0))
    return -z * xp.exp(z) * total


def _integral(a: Any, z: Any, above: Any) -> Any:
    """Both integrals as one: with e = -1 below a and 1 above, exponent e a y - z (e^(e y) - 1)."""
    xp = get_xp(z)
    e = xp.where(z > a, 1.0, -1.0)
    gap = xp.abs(z - a)
    # Where gap y + z y^2/2 = CUT: beyond the end for e = 1, short of it for e = -1, which Newton puts right.
    end = 2.0 * CUT / (gap + xp.sqrt(gap * gap + 2.0 * CUT * z))
    for _ in range(4):
        tail = z * xp.expm1(e * end)
        end = end + (CUT + e * a * end - tail) / (e * tail + gap)
    total = xp.zeros_like(z)
    for node, weight in RULE:
        y = node * end
        total = total + weight * xp.exp(e * a * y - z * xp.expm1(e * y)) * (above + e * y)
    return e * z * end * total
