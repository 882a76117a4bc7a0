r"""The three sums of a convolution at the speed of their products: the hot twins of `correlation`.

Inside, channels lie side by side. A window is then a few long runs of memory, rows of columns x c numbers,
and copies at memory speed; windows become the rows of one matrix, filters the rows of another:

    u [n p q, i j c],   M [o, i j c]:       y = u M^T,      u = y M,      dM = y^T u.

Windows are made for a few images at a time, ``VALUES`` numbers of them, which stay in the cache until they
are multiplied; no array of batch x places x filter area exists. `paint_filters` adds u up where it came
from, for every place of a window at once; where the stride divides the size, the pixels of a stride are one
run, and the sums are over size / stride runs instead of size pixels.

Images go in and out as [n, channels, height, width] whatever their memory. What comes out has its channels
side by side, so that the next layer reads it without a transposition.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minidgm.backend import get_xp
from minidgm.nn import correlation
from minidgm.nn.layer import Shape
from minidgm.nn.windows import Grid, Pair

VALUES = 2**20  # numbers in the windows of one chunk: 4 MB in float32


def correlate(x: Any, W: Any, grid: Grid, groups: int = 1, bias: Any = None) -> Any:
    """W u of the windows u of x, and a bias: [n, o, P, Q]."""
    xp = get_xp(x, W, bias)
    if _traced(xp):
        y = correlation.correlate(x, W, grid, groups)
        return y if bias is None else y + bias[:, None, None]
    M, (P, Q) = _rows_of(W, groups), grid.places(x.shape[2:])
    y = xp.empty((x.shape[0], P, Q, W.shape[0]), dtype=xp.result_type(x.dtype, W.dtype))
    for rows, u in _windows(x, grid, groups, y.dtype):
        part = y[rows].reshape((-1, groups, M.shape[1]))
        if groups == 1:
            xp.matmul(u[0], M[0].T, out=part[:, 0])
        else:
            part[...] = xp.matmul(u, M.transpose(0, 2, 1)).transpose(1, 0, 2)
    if bias is not None:
        y += bias
    return y.transpose(0, 3, 1, 2)


def paint_filters(y: Any, W: Any, image: Pair, grid: Grid, groups: int = 1, bias: Any = None) -> Any:
    """paint(W^T y) and a bias, as images [n, c, height, width] of these sizes: the adjoint of `correlate`."""
    xp = get_xp(y, W, bias)
    if _traced(xp):
        x = correlation.paint_filters(y, W, image, grid, groups)
        return x if bias is None else x + bias[:, None, None]
    M, (n, _, P, Q), channels = _rows_of(W, groups), y.shape, groups * W.shape[1]
    dtype = xp.result_type(y.dtype, W.dtype)
    # Pixels of a stride as one run where windows are made of such runs; otherwise runs of one pixel.
    run = grid.stride[1] if grid.dilation[1] == 1 and grid.size[1] % grid.stride[1] == 0 else 1
    step, spread, runs = grid.stride[1] // run, grid.dilation[1], grid.size[1] // run
    (top, bottom), (left, right) = grid.padding
    height, width = image[0] + top + bottom, -(-(image[1] + left + right) // run)
    x, chunk = xp.empty((n, *image, channels), dtype=dtype), _chunk(grid, channels, P * Q)
    canvas = xp.empty((min(chunk, n), height, width * run, groups, channels // groups), dtype=dtype)
    for start in range(0, n, chunk):
        rows = slice(start, start + chunk)
        u = xp.matmul(_places(y[rows], groups), M)  # [G, m P Q, i j c]
        u = u.reshape((groups, -1, P, Q, grid.size[0], runs, run, channels // groups))
        part = canvas[: u.shape[1]]
        part[...] = 0.0
        folded = part.reshape((-1, height, width, run, groups, channels // groups))
        for i in range(grid.size[0]):
            down = _steps(i * grid.dilation[0], P, grid.stride[0])
            for j in range(runs):
                across = _steps(j * spread, Q, step)
                folded[:, down, across] += u[:, :, :, :, i, j].transpose(1, 2, 3, 4, 0, 5)
        part = part[:, top : top + image[0], left : left + image[1]].reshape((-1, *image, channels))
        if bias is None:
            x[rows] = part
        else:
            xp.add(part, bias, out=x[rows])
    return x.transpose(0, 3, 1, 2)


def filter_gradient(x: Any, dy: Any, shape: Shape, grid: Grid, groups: int, out: Any = None) -> Any:
    """sum_n dy u^T for the windows u of x, of the shape of W."""
    xp = get_xp(x, dy)
    dtype = xp.result_type(x.dtype, dy.dtype)
    total = xp.zeros((groups, shape[0] // groups, grid.size[0] * grid.size[1] * shape[1]), dtype=dtype)
    for rows, u in _windows(x, grid, groups, dtype):
        total += xp.matmul(_places(dy[rows], groups).transpose(0, 2, 1), u)
    dW = total.reshape((shape[0], *grid.size, shape[1])).transpose(0, 3, 1, 2)
    if out is None:
        return dW
    out[...] = dW
    return out


def side_by_side(x: Any) -> Any:
    """Return images [n, c, height, width] whose channels lie side by side in memory, copied if they do not.

    >>> side_by_side(np.zeros((1, 3, 2, 2))).strides
    (96, 8, 48, 24)
    """
    return get_xp(x).ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def _traced(xp: Any) -> bool:
    return bool(xp.__name__ == "autograd.numpy")


def _rows_of(W: Any, groups: int) -> Any:
    """Filters [o, c, i, j] as M [G, o / G, i j c]."""
    flat = W.reshape((W.shape[0], W.shape[1], -1)).transpose(0, 2, 1)
    return get_xp(W).ascontiguousarray(flat).reshape((groups, W.shape[0] // groups, -1))


def _places(y: Any, groups: int) -> Any:
    """Channels at every place, [G, n P Q, o / G], from y [n, o, P, Q]."""
    last = y.transpose(0, 2, 3, 1).reshape((-1, groups, y.shape[1] // groups))
    return last.transpose(1, 0, 2)


def _chunk(grid: Grid, channels: int, places: int) -> int:
    """Images whose windows are ``VALUES`` numbers."""
    return max(1, VALUES // max(1, channels * grid.size[0] * grid.size[1] * places))


def _windows(x: Any, grid: Grid, groups: int, dtype: Any) -> Iterator[tuple[slice, Any]]:
    """Windows [G, m P Q, i j c] of a few images after the other, in the same memory, and which images."""
    xp, (n, channels, height, width), (P, Q) = get_xp(x), x.shape, grid.places(x.shape[2:])
    (top, bottom), (left, right) = grid.padding
    chunk = min(_chunk(grid, channels, P * Q), max(n, 1))
    canvas = xp.zeros((chunk, height + top + bottom, width + left + right, channels), dtype=dtype)
    u = xp.empty((chunk, groups, P, Q, *grid.size, channels // groups), dtype=dtype)
    for start in range(0, n, chunk):
        rows = slice(start, start + chunk)
        images = x[rows].transpose(0, 2, 3, 1)
        m = images.shape[0]
        canvas[:m, top : top + height, left : left + width] = images
        part = u.reshape(-1)[: m * (u.size // chunk)].reshape((groups, m, *u.shape[2:]))
        _copy_windows(xp, canvas[:m].reshape((*canvas[:m].shape[:3], groups, -1)), grid, part)
        yield rows, part.reshape((groups, m * P * Q, -1))


def _copy_windows(xp: Any, canvas: Any, grid: Grid, u: Any) -> None:
    """Fill u [G, n, P, Q, i, j, c] from images [n, height, width, G, c] with their padding."""
    (P, Q), (s, t), (d, e) = u.shape[2:4], grid.stride, grid.dilation
    if xp is np:
        n, y, x, g, c = canvas.strides
        strides = (g, n, y * s, x * t, y * d, x * e, c)
        u[...] = np.lib.stride_tricks.as_strided(canvas, u.shape, strides, writeable=False)
        return
    for i in range(grid.size[0]):
        for j in range(grid.size[1]):
            places = canvas[:, _steps(i * d, P, s), _steps(j * e, Q, t)]
            u[:, :, :, :, i, j] = places.transpose(3, 0, 1, 2, 4)


def _steps(first: int, n: int, step: int) -> slice:
    """n indices from the first one on."""
    return slice(first, first + (n - 1) * step + 1, step)
