"""Integrals over one or two real variables: exact normalizers of tiny models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minidgm.backend import get_xp
from minidgm.numerics import logsumexp

MAX_NODES = 2**22


def log_integral(log_density: Callable[[Any], Any], low: Any, high: Any, accuracy: float = 1e-12) -> Any:
    """Logarithm of the integral of exp(log_density) over a box, a 0-d array, float64.

    The trapezoid rule on a grid that is refined until two levels agree to ``accuracy``: it converges
    geometrically for smooth densities that vanish at the edges.

    Parameters
    ----------
    log_density : callable
        From nodes [m, d] to [m].
    low, high : array [d]
        Corners of the box, d in {1, 2}.

    Raises
    ------
    ValueError
        For another number of dimensions.

    Examples
    --------
    >>> import numpy as np
    >>> value = log_integral(lambda x: -0.5 * (x * x).sum(axis=1), np.full(2, -9.0), np.full(2, 9.0))
    >>> round(float(value), 10) == round(float(np.log(2 * np.pi)), 10)
    True
    """
    xp, d = get_xp(low, high), low.shape[0]
    if d not in (1, 2):
        raise ValueError(f"quadrature is for one or two dimensions, not {d}")
    n, value = 64, None
    while True:
        t = (xp.arange(n, dtype="float64") + 0.5) / n
        lines = [low[i] + (high[i] - low[i]) * t for i in range(d)]
        grid = xp.stack([axis.reshape(-1) for axis in xp.meshgrid(*lines, indexing="ij")], axis=1)
        previous, value = value, logsumexp(log_density(grid)) + xp.sum(xp.log((high - low) / n))
        settled = previous is not None and float(xp.abs(value - previous)) <= accuracy
        if settled or (2 * n) ** d > MAX_NODES:
            return value
        n *= 2
