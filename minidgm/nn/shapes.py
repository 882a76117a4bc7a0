"""Layers that move numbers and change none: rows in other shapes and with other orders of axes.

Each is a permutation of numbers, so that its adjoint is its inverse.

| layer | from | to |
|---|---|---|
| Flatten() | any shape | [d] |
| Reshape(shape) | any shape of as many numbers | shape: what `Flatten` undid, for one |
| Transpose(axes) | [d_0, d_1, ...] | [d_(axes 0), d_(axes 1), ...] |
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from minidgm.backend import get_xp
from minidgm.nn.layer import Layer, Shape

__all__ = ["Flatten", "Reshape", "Transpose"]


class Reshape(Layer):
    """Rows in another shape, in the same order."""

    def __init__(self, shape: Sequence[int]):
        self.shape = tuple(shape)

    def output_shape(self, input_shape: Shape) -> Shape:
        if math.prod(input_shape) != math.prod(self.shape):
            raise ValueError(
                f"{self!r} needs rows of {math.prod(self.shape)} numbers, got {list(input_shape)}"
            )
        return self.shape

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        return x.reshape((x.shape[0], *self.shape)), x.shape

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        return dy.reshape(cache), {}

    def jvp(self, dx: Any, cache: Any) -> Any:
        return dx.reshape((dx.shape[0], *self.shape))


class Flatten(Layer):
    """Rows as vectors."""

    def output_shape(self, input_shape: Shape) -> Shape:
        return (math.prod(input_shape),)

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        return x.reshape((x.shape[0], math.prod(x.shape[1:]))), x.shape

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        return dy.reshape(cache), {}

    def jvp(self, dx: Any, cache: Any) -> Any:
        return dx.reshape((dx.shape[0], math.prod(dx.shape[1:])))


class Transpose(Layer):
    """Axes of a row in another order, by default the opposite: [channels, time] to [time, channels].

    It stands between convolutions of sequences, whose channels come first, and recurrent layers or
    attention, whose channels come last.

    Parameters
    ----------
    axes : sequence of int, optional
        For each axis of a row of y, which one of x it is; counted without the axis of the batch.

    Raises
    ------
    ValueError
        When ``axes`` does not name each axis of a row once.

    Examples
    --------
    >>> Transpose().output_shape((16, 100))
    (100, 16)
    >>> Transpose((1, 2, 0)).output_shape((3, 28, 32))
    (28, 32, 3)
    """

    def __init__(self, axes: Sequence[int] | None = None):
        self.axes = None if axes is None else tuple(axes)
        if self.axes is not None and sorted(self.axes) != list(range(len(self.axes))):
            raise ValueError(f"axes={axes!r}; expected each of 0, ..., {len(self.axes) - 1} once")

    def output_shape(self, input_shape: Shape) -> Shape:
        if self.axes is not None and len(self.axes) != len(input_shape):
            raise ValueError(f"{self!r} takes rows of {len(self.axes)} axes, got {list(input_shape)}")
        return tuple(input_shape[axis] for axis in self._order(len(input_shape)))

    def _order(self, n: int) -> tuple[int, ...]:
        return tuple(reversed(range(n))) if self.axes is None else self.axes

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        order = self._order(x.ndim - 1)
        return get_xp(x).transpose(x, (0, *(axis + 1 for axis in order))), order

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        back = (cache.index(axis) + 1 for axis in range(len(cache)))
        return get_xp(dy).transpose(dy, (0, *back)), {}

    def jvp(self, dx: Any, cache: Any) -> Any:
        return self.forward({}, dx)[0]
