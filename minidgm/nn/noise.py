r"""Dropout: features switched off at random in training (Srivastava et al. 2014; Deep Learning, 7.12).

    y = m x / (1 - rate),      m_i ~ Bernoulli(1 - rate) independently;      dx = m dy / (1 - rate).

E[y] = x, so that inference needs no change: y = x there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.arguments import real
from minidgm.backend import get_xp
from minidgm.nn.layer import Layer

__all__ = ["Dropout"]


class Dropout(Layer):
    """Switch features off with probability ``rate``, in training only.

    Raises
    ------
    ValueError
        In training without ``rng``.
    """

    def __init__(self, rate: float = 0.5):
        self.rate = real("rate", rate, below=1.0)

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        if not training or self.rate == 0.0:
            return x, None
        if rng is None:
            raise ValueError("dropout draws in training: pass rng=, a minidgm.Generator")
        keep = 1.0 - self.rate
        mask = rng.bernoulli(get_xp(x).zeros(x.shape, dtype=x.dtype) + keep) / keep
        return mask * x, mask

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        return dy if cache is None else cache * dy, {}

    def jvp(self, dx: Any, cache: Any) -> Any:
        return dx if cache is None else cache * dx
