r"""Pooling and its undoing: fewer pixels, and more.

    MaxPool2d       y = the largest of each window; dy goes back there, to the first of equals
    AveragePool2d   y = the mean of each window; dy goes back in equal parts
    MaxUnpool2d     the adjoint of max pooling at stored places: values where the largest were, else 0
    Upsample2d      every pixel becomes factor x factor equal ones; dy adds up over them

All but the maximum are linear, and the maximum is linear as long as its winners stay. Windows are those of
`minidgm.nn.windows`; images [n, channels, height, width].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.backend import get_xp
from minidgm.nn.layer import Layer, Shape, wants
from minidgm.nn.windows import Grid, Pair, pair

__all__ = ["AveragePool2d", "MaxPool2d", "MaxUnpool2d", "Upsample2d"]


class Pool2d(Layer):
    """Windows of ``size`` every ``stride`` pixels, by default side by side."""

    pairs = ("size", "stride")

    def __init__(self, size: int | Pair, stride: int | Pair | None = None):
        self.size = pair("size", size)
        self.stride = self.size if stride is None else pair("stride", stride)
        self.grid = Grid(self.size, self.stride)

    def output_shape(self, input_shape: Shape) -> Shape:
        wants(self, input_shape, 3, "[channels, height, width]")
        return (input_shape[0], *self.grid.places((input_shape[1], input_shape[2])))

    def _windows(self, x: Any) -> Any:
        """[n, channels, pixels of a window, P, Q]."""
        u = self.grid.windows(x)
        return u.reshape((*x.shape[:2], self.size[0] * self.size[1], *u.shape[-2:]))

    def _paint(self, u: Any, image: Pair) -> Any:
        return self.grid.paint(u.reshape((*u.shape[:2], *self.size, *u.shape[-2:])), image)


class MaxPool2d(Pool2d):
    """Largest of each window; the cache holds where: (winners [n, channels, P, Q], (height, width))."""

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        xp, u = get_xp(x), self._windows(x)
        return xp.max(u, axis=2), (xp.argmax(u, axis=2), x.shape[2:])

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        winners, image = cache
        return self._paint(self._chosen(winners, dy.dtype) * dy[:, :, None], image), {}

    def jvp(self, dx: Any, cache: Any) -> Any:
        chosen = self._chosen(cache[0], dx.dtype)
        return get_xp(dx).sum(chosen * self._windows(dx), axis=2)

    def _chosen(self, winners: Any, dtype: Any) -> Any:
        """One-hot along the pixels of a window, [n, channels, pixels, P, Q]."""
        pixels = get_xp(winners).arange(self.size[0] * self.size[1])
        return (pixels[:, None, None] == winners[:, :, None]).astype(dtype)


class MaxUnpool2d(Layer):
    """Put values where a `MaxPool2d` of the same windows found its largest; elsewhere 0.

    ``forward`` takes that pass's cache as ``where``.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[[1.0, 2.0], [4.0, 3.0]]]])
    >>> y, where = MaxPool2d(2).forward({}, x)
    >>> MaxUnpool2d(2).forward({}, y, where=where)[0][0, 0].tolist()
    [[0.0, 0.0], [4.0, 0.0]]
    """

    pairs = ("size", "stride")

    def __init__(self, size: int | Pair, stride: int | Pair | None = None):
        self.pool = MaxPool2d(size, stride)
        self.size, self.stride = self.pool.size, self.pool.stride

    def output_shape(self, input_shape: Shape) -> Shape:
        wants(self, input_shape, 3, "[channels, height, width]")
        return (input_shape[0], *self.pool.grid.image((input_shape[1], input_shape[2])))

    def forward(
        self,
        params: Mapping[str, Any],
        x: Any,
        *,
        training: bool = False,
        rng: Any = None,
        where: Any = None,
    ) -> Any:
        if where is None:
            raise ValueError("MaxUnpool2d needs where=, the cache of the max pooling that it undoes")
        return self.pool.backward(x, where)[0], where

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        return self.pool.jvp(dy, cache), {}

    def jvp(self, dx: Any, cache: Any) -> Any:
        return self.pool.backward(dx, cache)[0]


class AveragePool2d(Pool2d):
    """Mean of each window."""

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        return get_xp(x).mean(self._windows(x), axis=2), x.shape[2:]

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        pixels = self.size[0] * self.size[1]
        n, channels, P, Q = dy.shape
        parts = get_xp(dy).broadcast_to((dy / pixels)[:, :, None], (n, channels, pixels, P, Q))
        return self._paint(parts, cache), {}

    def jvp(self, dx: Any, cache: Any) -> Any:
        return self.forward({}, dx)[0]


class Upsample2d(Layer):
    """Nearest-neighbor enlargement by a whole factor, down and across."""

    pairs = ("factor",)

    def __init__(self, factor: int | Pair = 2):
        self.factor = pair("factor", factor)

    def output_shape(self, input_shape: Shape) -> Shape:
        wants(self, input_shape, 3, "[channels, height, width]")
        return (input_shape[0], input_shape[1] * self.factor[0], input_shape[2] * self.factor[1])

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        xp, (down, across) = get_xp(x), self.factor
        return xp.repeat(xp.repeat(x, down, axis=2), across, axis=3), None

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        (n, channels, height, width), (down, across) = dy.shape, self.factor
        blocks = dy.reshape((n, channels, height // down, down, width // across, across))
        return get_xp(dy).sum(blocks, axis=(3, 5)), {}

    def jvp(self, dx: Any, cache: Any) -> Any:
        return self.forward({}, dx)[0]
