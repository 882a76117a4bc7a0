"""Stable elementary functions, traceable by autograd (first cut)."""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)) by the tanh form: no overflow, one transcendental."""
    xp = get_xp(x)
    return 0.5 * (1.0 + xp.tanh(0.5 * x))


def softplus(x: Any) -> Any:
    """log(1 + exp(x)), stable."""
    xp = get_xp(x)
    return xp.maximum(x, 0.0) + xp.log1p(xp.exp(-xp.abs(x)))


def log_sigmoid(x: Any) -> Any:
    """log sigmoid(x) = -softplus(-x)."""
    return -softplus(-x)


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """log of the sum of exp, shifted by the maximum."""
    xp = get_xp(x)
    m = xp.max(x, axis=axis, keepdims=True)
    m = xp.where(xp.isfinite(m), m, 0.0)
    s = m + xp.log(xp.sum(xp.exp(x - m), axis=axis, keepdims=True))
    return s if keepdims else xp.squeeze(s, axis=axis) if axis is not None else xp.reshape(s, ())
