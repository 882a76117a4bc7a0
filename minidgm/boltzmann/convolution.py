"""The couplings of a convolutional RBM: one bank of filters, everywhere in the image.

A detector of filter k at place y sees the window of the image whose corner is y, with the same weights
everywhere (cross-correlation, as in Deep Learning, 9.6; Lee et al. 2009 flip W in their formulas):

    (v * W)_ky = sum_c sum_i W_kci v_c(y+i),
    (h * W^T)_cx = sum_k sum_i W_kci h_k(x-i)      its transpose: every detector paints its filter.

`Filters.detectors` and `Filters.images` are these two sums, a product of matrices for every offset i: the
page to read, and what autograd traces. The hot twins `fill_detectors`, `fill_images` and `gradient` do the
same in one product each. The K = p q detectors of a pooling block and a filter see together a window of
(rows + p - 1) x (columns + q - 1) pixels, so a block is a dense layer on its window, with the weights

    T_(c, i + r), (k, r) = W_kci      for each place r in the block (a Toeplitz matrix, [pixels, filters K]).

Windows start every p pixels, not every pixel: their copy is p q times smaller than one of all patches, for
a few products with zeros. They are made for ``VALUES`` numbers at a time.

| array | shape |
|---|---|
| images, as rows | [n, channels * height * width] |
| detectors, as rows | [n, P * Q * filters * p * q]: blocks, in a block filters, of a filter its p q places |
| W | [filters, channels, rows, columns] |
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minidgm.arguments import count
from minidgm.backend import get_xp

VALUES = 2**18  # numbers in one chunk of windows: 1 MB in float32


class Filters:
    """Sizes and sums of ``filters`` filters over images, detectors in blocks of ``pool``.

    Parameters
    ----------
    image_shape : (channels, height, width)
    filters : int
    filter_size, pool : (rows, columns)

    Raises
    ------
    ValueError
        For a filter larger than the image, or blocks that do not tile the detectors; says which sizes fit.
    """

    def __init__(
        self, image_shape: tuple[int, ...], filters: int, filter_size: tuple[int, ...], pool: tuple[int, ...]
    ):
        self.channels, self.height, self.width = image_shape
        self.filters, (self.rows, self.columns), (self.p, self.q) = filters, filter_size, pool
        for name, image, size, block in (
            ("height", self.height, self.rows, self.p),
            ("width", self.width, self.columns, self.q),
        ):
            places = image - size + 1
            if places < 1:
                raise ValueError(
                    f"filters of {size} do not fit in images of {name} {image}; use at most {image}"
                )
            if places % block:
                fitting = [s for s in range(1, image + 1) if (image - s + 1) % block == 0]
                near = sorted(fitting, key=lambda s: (abs(s - size), s))[:3]
                padded = -(-places // block) * block + size - 1
                raise ValueError(
                    f"images of {name} {image} with filters of {size} have {places} places, which do not "
                    f"divide into blocks of {block}; filter sizes that fit: {sorted(near)}, or pad the "
                    f"images to {name} {padded}"
                )
        self.P, self.Q = (self.height - self.rows + 1) // self.p, (self.width - self.columns + 1) // self.q
        self.n_visible = self.channels * self.height * self.width
        self.K = self.p * self.q
        self.n_hidden = self.P * self.Q * filters * self.K
        self.window = (self.channels, self.rows + self.p - 1, self.columns + self.q - 1)
        self.pixels = self.window[0] * self.window[1] * self.window[2]

    # The page to read

    def detectors(self, v: Any, W: Any) -> Any:
        """v * W of every filter at every place, [n, n_hidden], from rows v [n, n_visible]."""
        xp = get_xp(v, W)
        images = xp.reshape(v, (v.shape[0], self.channels, self.height, self.width))
        images = xp.transpose(images, (0, 2, 3, 1))
        total: Any = 0.0
        for i in range(self.rows):
            for j in range(self.columns):
                shifted = images[:, i : i + self.P * self.p, j : j + self.Q * self.q]
                total = total + shifted @ xp.transpose(W[:, :, i, j])  # [n, P p, Q q, filters]
        blocks = xp.reshape(total, (v.shape[0], self.P, self.p, self.Q, self.q, self.filters))
        return xp.reshape(xp.transpose(blocks, (0, 1, 3, 5, 2, 4)), (v.shape[0], self.n_hidden))

    def images(self, h: Any, W: Any) -> Any:
        """h * W^T, the transpose: every detector paints its filter, [n, n_visible], from rows h."""
        xp = get_xp(h, W)
        n = h.shape[0]
        maps = xp.transpose(self.as_maps(h), (0, 2, 3, 1))
        i, j = self.rows - 1, self.columns - 1
        maps = xp.pad(maps, ((0, 0), (i, i), (j, j), (0, 0)), mode="constant")
        total: Any = 0.0
        for i in range(self.rows):
            for j in range(self.columns):
                top, left = self.rows - 1 - i, self.columns - 1 - j
                total = total + maps[:, top : top + self.height, left : left + self.width] @ W[:, :, i, j]
        return xp.reshape(xp.transpose(total, (0, 3, 1, 2)), (n, self.n_visible))

    def as_maps(self, h: Any) -> Any:
        """Detectors as images, [n, filters, P * p, Q * q], from rows h [n, n_hidden]."""
        xp, n = get_xp(h), h.shape[0]
        blocks = xp.reshape(h, (n, self.P, self.Q, self.filters, self.p, self.q))
        blocks = xp.transpose(blocks, (0, 3, 1, 4, 2, 5))
        return xp.reshape(blocks, (n, self.filters, self.P * self.p, self.Q * self.q))

    # Hot twins

    def fill_detectors(self, v: Any, W: Any, out: Any) -> Any:
        """Write `detectors` into ``out`` [n, n_hidden], C-contiguous."""
        xp, T = get_xp(v, out), self.toeplitz(W)
        for rows in self._chunks(v.shape[0]):
            xp.matmul(self._windows(v[rows]), T, out=out[rows].reshape(-1, self.filters * self.K))
        return out

    def fill_images(self, h: Any, W: Any, out: Any) -> Any:
        """Write `images` into ``out`` [n, n_visible], C-contiguous: windows that overlap add up."""
        xp, T = get_xp(h, out), self.toeplitz(W)
        out[...] = 0.0
        images = out.reshape(-1, self.channels, self.height, self.width)
        for rows in self._chunks(h.shape[0]):
            painted = xp.matmul(T, h[rows].reshape(-1, self.filters * self.K).T)  # [pixels, n P Q]
            painted = painted.reshape(*self.window, -1, self.P, self.Q).transpose(3, 0, 1, 2, 4, 5)
            canvas = images[rows]
            for i in range(self.window[1]):
                for j in range(self.window[2]):
                    below, right = i + self.P * self.p, j + self.Q * self.q
                    canvas[:, :, i : below : self.p, j : right : self.q] += painted[:, :, i, j]
        return out

    def gradient(self, v: Any, h: Any, out: Any) -> Any:
        """Write d/dW sum_i h_i . (v_i * W) = sum over places of v h into ``out``, of the shape of W."""
        xp = get_xp(v, h, out)
        total = xp.zeros((self.pixels, self.filters * self.K), dtype=h.dtype)
        for rows in self._chunks(v.shape[0]):
            total += xp.matmul(self._windows(v[rows]).T, h[rows].reshape(-1, self.filters * self.K))
        out[...] = 0.0
        T = total.reshape(*self.window, self.filters, self.p, self.q)
        for r in range(self.p):
            for s in range(self.q):
                part = T[:, r : r + self.rows, s : s + self.columns, :, r, s]
                out += part.transpose(3, 0, 1, 2)
        return out

    def toeplitz(self, W: Any) -> Any:
        """Weights from a block's window to its detectors, [pixels, filters * K]."""
        xp = get_xp(W)
        T = xp.zeros((*self.window, self.filters, self.p, self.q), dtype=W.dtype)
        for r in range(self.p):
            for s in range(self.q):
                T[:, r : r + self.rows, s : s + self.columns, :, r, s] = W.transpose(1, 2, 3, 0)
        return T.reshape(self.pixels, self.filters * self.K)

    def _chunks(self, n: int) -> Iterator[slice]:
        step = max(1, VALUES // (self.P * self.Q * self.pixels))
        return (slice(start, start + step) for start in range(0, n, step))

    def _windows(self, v: Any) -> Any:
        """Copy the windows of all blocks, [n P Q, pixels]."""
        xp, n = get_xp(v), v.shape[0]
        if xp is np:
            images = v.reshape(n, self.channels, self.height, self.width)
            row, channel, down, right = images.strides
            shape = (n, self.P, self.Q, *self.window)
            strides = (row, self.p * down, self.q * right, channel, down, right)
            windows = np.lib.stride_tricks.as_strided(images, shape, strides, writeable=False)
            return windows.reshape(n * self.P * self.Q, self.pixels)
        first = xp.arange(self.P)[:, None] * (self.p * self.width) + xp.arange(self.Q) * self.q
        channels, rows, columns = self.window
        offset = xp.arange(channels)[:, None, None] * (self.height * self.width)
        offset = offset + xp.arange(rows)[:, None] * self.width + xp.arange(columns)
        index = first.reshape(-1, 1) + offset.reshape(1, -1)  # [P Q, pixels]
        return xp.take(v, index, axis=1).reshape(n * self.P * self.Q, self.pixels)


def pair(name: str, value: Any) -> tuple[int, int]:
    """Return (rows, columns) from one number or two.

    >>> pair("pool", 2)
    (2, 2)
    """
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(f"{name}={value!r}; expected one number, or two (rows, columns)")
        return count(name, value[0]), count(name, value[1])
    return count(name, value), count(name, value)


def image(shape: Any) -> tuple[int, int, int]:
    """Return (channels, height, width) from two or three numbers.

    >>> image((28, 28))
    (1, 28, 28)
    """
    if not isinstance(shape, (tuple, list)) or len(shape) not in (2, 3):
        raise ValueError(f"image_shape={shape!r}; expected (height, width) or (channels, height, width)")
    sizes = [count("image_shape", size) for size in shape]
    return (1, sizes[0], sizes[1]) if len(sizes) == 2 else (sizes[0], sizes[1], sizes[2])
