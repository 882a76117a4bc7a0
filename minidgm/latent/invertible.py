r"""Nets run backwards: z = g^-1(x) and the log of the Jacobian's determinant, layer by layer from the last.

| layer | inverse | log of the absolute determinant |
|---|---|---|
| Dense, square | (y - b) W^-1 | log abs det W |
| Triangular | L^-1 (y - b) | sum of the log-diagonal |
| Tanh | artanh y | sum log(1 - y) + log(1 + y) |
| Sigmoid | log y - log(1 - y) | sum log y + log(1 - y) |
| LeakyRelu | y, or y / slope where negative | (number of negative y) log slope |

Determinants of a composition multiply, so that their logarithms add up (Deep Learning, eq. 3.47).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from minidgm import nn
from minidgm.backend import get_xp
from minidgm.nn.network import Scope

__all__ = ["inverse", "obstacle"]


def obstacle(net: nn.Network) -> str:
    """Say why a net cannot be run backwards, or ``""``."""
    shapes = net.input_shapes(net.input_shape)
    if math.prod(shapes[0]) != math.prod(shapes[-1]):
        return f"g maps {math.prod(shapes[0])} numbers to {math.prod(shapes[-1])}"
    for i, layer in enumerate(net.layers):
        if type(layer) not in INVERSES:
            return f"layer {i}, {layer!r}, has no inverse that is known"
        if getattr(layer, "negative_slope", 1.0) == 0.0:
            return f"layer {i}, {layer!r}, maps all negative numbers to 0"
        if shapes[i] != shapes[i + 1]:
            return f"layer {i}, {layer!r}, maps {list(shapes[i])} to {list(shapes[i + 1])}"
    return ""


def inverse(net: nn.Network, params: Mapping[str, Any], x: Any) -> tuple[Any, Any]:
    """Return (z [n, d], log |det dg/dz| at z [n]) for x = g(z) [n, d]; traceable.

    >>> import numpy as np
    >>> net = nn.Network(["sigmoid"], (1,))
    >>> z, log_det = inverse(net, {}, np.array([[0.5]]))
    >>> z.tolist(), np.exp(log_det).tolist()
    ([[0.0]], [0.25])
    """
    xp = get_xp(x, *params.values())
    total = 0.0 * xp.sum(x, axis=1)
    for i in reversed(range(len(net.layers))):
        layer = net.layers[i]
        x, log_det = INVERSES[type(layer)](layer, Scope(params, f"{i}/"), x)
        total = total + log_det
    return x, total


def _dense(layer: Any, params: Mapping[str, Any], y: Any) -> tuple[Any, Any]:
    W = params["W"]
    xp = get_xp(y, W)
    y = y - params["b"] if layer.bias else y
    return xp.linalg.solve(W.T, y.T).T, xp.linalg.slogdet(W)[1]


def _triangular(layer: Any, params: Mapping[str, Any], y: Any) -> tuple[Any, Any]:
    L, b = layer.matrix(params), params["b"]
    xp = get_xp(y, L, b)
    return xp.linalg.solve(L, (y - b).T).T, xp.sum(params["log_diagonal"])


def _tanh(layer: Any, params: Mapping[str, Any], y: Any) -> tuple[Any, Any]:
    z, log_det = _sigmoid(layer, params, 0.5 + 0.5 * y)  # tanh x = 2 s(2x) - 1
    return 0.5 * z, log_det + y.shape[1] * math.log(4.0)


def _sigmoid(layer: Any, params: Mapping[str, Any], y: Any) -> tuple[Any, Any]:
    xp = get_xp(y)
    inside = (y > 0.0) & (y < 1.0)
    y = xp.where(inside, y, 0.5)
    up, down = xp.log(y), xp.log1p(-y)
    log_det = xp.sum(up + down, axis=1)
    return up - down, xp.where(xp.all(inside, axis=1), log_det, math.inf)  # what g never gives has density 0


def _leaky(layer: Any, params: Mapping[str, Any], y: Any) -> tuple[Any, Any]:
    xp, slope = get_xp(y), layer.negative_slope
    negative = xp.sum(xp.where(y < 0.0, 1.0, 0.0).astype(y.dtype), axis=1)
    return xp.where(y < 0.0, y / slope, y), negative * math.log(slope)


INVERSES: dict[type, Callable[..., tuple[Any, Any]]] = {
    nn.Dense: _dense,
    nn.Triangular: _triangular,
    nn.Tanh: _tanh,
    nn.Sigmoid: _sigmoid,
    nn.LeakyRelu: _leaky,
}
