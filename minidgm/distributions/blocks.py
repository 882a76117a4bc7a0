"""Several independent blocks of columns side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minidgm.backend import get_xp


class Blocks:
    """Distributions of neighboring blocks of columns, independent of each other.

    Parameters
    ----------
    parts : sequence of distributions
        Each with ``mean``, ``variance``, ``sample`` and ``log_prob``.
    widths : sequence of int
        Columns of each.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm.distributions import Bernoulli, Gamma
    >>> two = Blocks([Bernoulli(np.zeros((1, 2))), Gamma(np.ones(1), np.ones((1, 1)))], [2, 1])
    >>> two.mean.tolist()
    [[0.5, 0.5, 1.0]]
    """

    def __init__(self, parts: Sequence[Any], widths: Sequence[int]):
        self.parts, self.widths = list(parts), list(widths)

    def __repr__(self) -> str:
        return " x ".join(map(repr, self.parts))

    def split(self, x: Any) -> list[Any]:
        """The columns of each block."""
        found, start = [], 0
        for width in self.widths:
            found.append(x[:, start : start + width])
            start += width
        return found

    @property
    def mean(self) -> Any:
        """Expectation of each column, [n, d]."""
        return _join([part.mean for part in self.parts])

    @property
    def variance(self) -> Any:
        """Variance of each column, [n, d]."""
        return _join([part.variance for part in self.parts])

    def mean_jvp(self, direction: Any) -> Any:
        """Covariance of the columns times ``direction`` [n, d], [n, d]."""
        pieces = self.split(direction)
        return _join([p.mean_jvp(x) for p, x in zip(self.parts, pieces, strict=True)])

    def sample(self, rng: Any, out: Any = None) -> Any:
        """Draw once from each block in turn, [n, d]."""
        draw = _join([part.sample(rng) for part in self.parts])
        if out is None:
            return draw
        out[...] = draw
        return out

    def log_prob(self, x: Any) -> Any:
        """Log-probability or density of ``x`` [n, d]: the sum over the blocks, [n], exact, nats."""
        total: Any = 0.0
        for part, piece in zip(self.parts, self.split(x), strict=True):
            total = total + part.log_prob(piece)
        return total

    def entropy(self) -> Any:
        """Entropy in nats, [n]."""
        total: Any = 0.0
        for part in self.parts:
            total = total + part.entropy()
        return total


def _join(columns: list[Any]) -> Any:
    return get_xp(*columns).concatenate(columns, axis=1)
