r"""The three sums of a convolution, to read; autograd traces them, and `fast_correlation` must equal them.

With the windows u [n, c i j, p q] of an image and the filters W [o, c i j] (of each group),

    correlate         y = W u                [n, o, P, Q]
    paint_filters     x = paint(W^T y)       [n, c, height, width]: its adjoint in x
    filter_gradient   dW = sum_n dy u^T      [o, c / G, rows, columns]: its adjoint in W

They copy every window of a batch at once.
"""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp
from minidgm.nn.layer import Shape
from minidgm.nn.windows import Grid, Pair


def correlate(x: Any, W: Any, grid: Grid, groups: int = 1) -> Any:
    """Return W u."""
    xp, (P, Q) = get_xp(x, W), grid.places(x.shape[2:])
    weights = W.reshape((groups, W.shape[0] // groups, -1))
    u = grid.windows(x).reshape((x.shape[0], groups, weights.shape[2], P * Q))
    return xp.matmul(weights, u).reshape((x.shape[0], W.shape[0], P, Q))


def paint_filters(y: Any, W: Any, image: Pair, grid: Grid, groups: int = 1) -> Any:
    """Return paint(W^T y) as images of these sizes."""
    xp, (n, _, P, Q) = get_xp(y, W), y.shape
    weights = W.reshape((groups, W.shape[0] // groups, -1))
    y = y.reshape((n, groups, weights.shape[1], P * Q))
    u = xp.matmul(xp.transpose(weights, (0, 2, 1)), y)
    return grid.paint(u.reshape((n, groups * W.shape[1], *grid.size, P, Q)), image)


def filter_gradient(x: Any, dy: Any, shape: Shape, grid: Grid, groups: int = 1) -> Any:
    """Return sum_n dy u^T, of the shape of W."""
    xp, (n, _, P, Q) = get_xp(x, dy), dy.shape
    u = grid.windows(x).reshape((n, groups, shape[1] * shape[2] * shape[3], P * Q))
    dy = dy.reshape((n, groups, shape[0] // groups, P * Q))
    return xp.sum(xp.matmul(dy, xp.transpose(u, (0, 1, 3, 2))), axis=0).reshape(shape)
