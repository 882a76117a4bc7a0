r"""Windows of an image and their adjoint, the two linear maps under every convolution and pooling layer.

    windows(x)[n, c, i, j, p, q] = x[n, c, p s + i d, q s + j d]    each pixel in the windows that see it
    paint(u)[n, c, y, x]         = sum of the u[n, c, i, j, p, q] copied from (y, x)

with stride s and dilation d; <u, windows(x)> = <paint(u), x>. Padding with zeros and cropping are adjoint.

| symbol | shape | meaning |
|---|---|---|
| x | [n, channels, height, width] | images |
| u | [n, channels, rows, columns, P, Q] | windows of rows x columns pixels at P x Q places |
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minidgm.arguments import count
from minidgm.backend import get_xp

Pair = tuple[int, int]


class Grid(NamedTuple):
    """Where windows lie: size, stride, dilation, and zeros added ((top, bottom), (left, right))."""

    size: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))

    def places(self, image: Pair) -> Pair:
        """Number of windows down and across.

        Raises
        ------
        ValueError
            When a window is larger than the padded image.
        """
        found = []
        for extent, size, step, spread, (before, after) in zip(image, *self, strict=True):
            room = extent + before + after - spread * (size - 1) - 1
            if room < 0:
                raise ValueError(
                    f"a window of {spread * (size - 1) + 1} pixels does not fit in {extent} "
                    f"+ {before + after} of padding"
                )
            found.append(room // step + 1)
        return found[0], found[1]

    def image(self, places: Pair) -> Pair:
        """Smallest image, without its padding, that has this many windows."""
        found = [
            (n - 1) * step + spread * (size - 1) + 1 - before - after
            for n, size, step, spread, (before, after) in zip(places, *self, strict=True)
        ]
        return found[0], found[1]

    def windows(self, x: Any, fill: float = 0.0) -> Any:
        """Windows of x, [n, channels, rows, columns, P, Q]; on the host a view, read-only."""
        xp = get_xp(x)
        (down, across), (P, Q) = self.dilation, self.places(x.shape[2:])
        if any(map(any, self.padding)):
            x = xp.pad(x, ((0, 0), (0, 0), *self.padding), mode="constant", constant_values=fill)
        if xp is np:
            n, c, y, z = x.strides
            strides = (n, c, y * down, z * across, y * self.stride[0], z * self.stride[1])
            shape = (*x.shape[:2], *self.size, P, Q)
            return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)
        i = xp.arange(self.size[0])[:, None] * down + xp.arange(P) * self.stride[0]  # [rows, P]
        j = xp.arange(self.size[1])[:, None] * across + xp.arange(Q) * self.stride[1]  # [columns, Q]
        return x[:, :, i[:, None, :, None], j[None, :, None, :]]

    def paint(self, u: Any, image: Pair) -> Any:
        """Add windows up where they came from, [n, channels, height, width]: the adjoint of `windows`."""
        xp, (P, Q) = get_xp(u), u.shape[-2:]
        (top, bottom), (left, right) = self.padding
        height, width = image[0] + top + bottom, image[1] + left + right
        if xp.__name__ == "autograd.numpy":
            canvas = self._traced_paint(xp, u, (height, width))
            return canvas[:, :, top : top + image[0], left : left + image[1]]
        canvas = xp.zeros((*u.shape[:2], height, width), dtype=u.dtype)
        for i in range(self.size[0]):
            for j in range(self.size[1]):
                y, x = i * self.dilation[0], j * self.dilation[1]
                below, beyond = y + (P - 1) * self.stride[0] + 1, x + (Q - 1) * self.stride[1] + 1
                canvas[:, :, y : below : self.stride[0], x : beyond : self.stride[1]] += u[:, :, i, j]
        return canvas[:, :, top : top + image[0], left : left + image[1]]

    def _traced_paint(self, xp: Any, u: Any, canvas: Pair) -> Any:
        """`paint` as products with 0/1 matrices from places to pixels: no assignment to items."""
        P, Q = u.shape[-2:]
        total: Any = 0.0
        for i in range(self.size[0]):
            for j in range(self.size[1]):
                rows = _places(xp, P, canvas[0], i * self.dilation[0], self.stride[0])
                columns = _places(xp, Q, canvas[1], j * self.dilation[1], self.stride[1])
                total = total + xp.matmul(xp.matmul(xp.transpose(rows), u[:, :, i, j]), columns)
        return total


def _places(xp: Any, n: int, extent: int, first: int, step: int) -> Any:
    """[n, extent]: place k is pixel first + k step."""
    return 1.0 * (xp.arange(extent)[None, :] == first + step * xp.arange(n)[:, None])


def pair(name: str, value: Any, low: int = 1) -> Pair:
    """Return (down, across) from one number or two.

    >>> pair("stride", 2), pair("padding", (0, 1), 0)
    ((2, 2), (0, 1))
    """
    both = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(both) != 2:
        raise ValueError(f"{name}={value!r}; expected one number, or two (down, across)")
    return count(name, both[0], low), count(name, both[1], low)
