r"""Normalization: numbers of mean 0 and variance 1 over some axes, then a learned scale and shift.

    z = (x - m) / sqrt(v + eps),      y = scale z + shift,      m, v: mean and variance of x over the axes

| layer | over which axes | scale and shift |
|---|---|---|
| BatchNorm | rows (and positions of an image) | one a feature (a channel) |
| LayerNorm | the last axis of each row | one a feature |
| GroupNorm(groups) | the channels of a group, all positions, of each row | one a channel |

With r = 1 / sqrt(v + eps), the mean <.> over the axes and g = scale dy, from dz = r (dx - <dx> - z <z
dx>), which is its own adjoint,

    dx = r (g - <g> - z <g z>),      dscale = sum z dy,      dshift = sum dy.

(Ioffe & Szegedy 2015; Ba, Kiros & Hinton 2016; Wu & He 2018.) Batch norm keeps running means and variances
for inference, where it is an affine map. They are parameters without a gradient; `update` moves them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.arguments import count, real
from minidgm.backend import get_xp
from minidgm.nn.layer import Layer, Shape, write

__all__ = ["BatchNorm", "GroupNorm", "LayerNorm"]

EPS = 1e-5


def standardize(x: Any, axes: tuple[int, ...], eps: float) -> tuple[Any, Any, Any, Any]:
    """Return z, r, and the mean and variance, with the axes kept."""
    xp = get_xp(x)
    mean = xp.mean(x, axis=axes, keepdims=True)
    centered = x - mean
    variance = xp.mean(centered * centered, axis=axes, keepdims=True)
    r = 1.0 / xp.sqrt(variance + eps)
    return centered * r, r, mean, variance


def tangent(d: Any, z: Any, r: Any, axes: tuple[int, ...]) -> Any:
    """r (d - <d> - z <z d>): the Jacobian of z, which is symmetric, times d."""
    xp = get_xp(d, z)
    return r * (d - xp.mean(d, axis=axes, keepdims=True) - z * xp.mean(d * z, axis=axes, keepdims=True))


class BatchNorm(Layer):
    """Batch normalization of features [n, d] or of the channels of images [n, channels, ...].

    Parameters
    ----------
    momentum : float
        Share of a batch in the running mean and variance, in (0, 1].
    eps : float

    Raises
    ------
    ValueError
        In training, where a feature has a single number: its variance says nothing.
    """

    fixed = ("mean", "variance")

    def __init__(self, momentum: float = 0.1, eps: float = EPS):
        self.momentum = real("momentum", momentum, below=1.0 + 1e-12, positive=True)
        self.eps = real("eps", eps, positive=True)

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return dict.fromkeys(("scale", "shift", "mean", "variance"), (input_shape[0],))

    def initialize(self, params: Mapping[str, Any], rng: Any) -> None:
        for name, value in (("scale", 1.0), ("shift", 0.0), ("mean", 0.0), ("variance", 1.0)):
            params[name][...] = value

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        axes = (0, *range(2, x.ndim))
        scale, shift, mean, variance = (along(params[k], x) for k in ("scale", "shift", "mean", "variance"))
        if not training:
            r = 1.0 / get_xp(variance).sqrt(variance + self.eps)
            z = (x - mean) * r
            return scale * z + shift, (z, r, scale, None, x.shape)
        if x.size // max(x.shape[1], 1) < 2:
            raise ValueError(
                "batch norm in training needs at least two numbers a feature, got a batch of "
                f"{list(x.shape)}; use larger batches, or layer norm"
            )
        z, r, mean, variance = standardize(x, axes, self.eps)
        return scale * z + shift, (z, r, scale, (mean, variance), x.shape)

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        z, r, scale, batch, _ = cache
        xp, axes = get_xp(dy), (0, *range(2, dy.ndim))
        grads = {
            "scale": write(out, "scale", xp.sum(dy * z, axis=axes)),
            "shift": write(out, "shift", xp.sum(dy, axis=axes)),
        }
        for name in self.fixed:
            grads[name] = write(out, name, xp.zeros_like(grads["shift"]))
        g = scale * dy
        return g * r if batch is None else tangent(g, z, r, axes), grads

    def jvp(self, dx: Any, cache: Any) -> Any:
        z, r, scale, batch, _ = cache
        return scale * (dx * r if batch is None else tangent(dx, z, r, (0, *range(2, dx.ndim))))

    def update(self, params: Mapping[str, Any], cache: Any) -> None:
        """Move the running mean and variance toward a training batch's (its unbiased variance)."""
        batch, shape = cache[3], cache[4]
        if batch is None:
            return
        n = 1
        for axis, extent in enumerate(shape):
            n *= 1 if axis == 1 else extent
        for name, value, factor in (("mean", batch[0], 1.0), ("variance", batch[1], n / (n - 1))):
            params[name][...] += self.momentum * (factor * value.reshape(-1) - params[name])


class LayerNorm(Layer):
    """Normalization of each row over its last axis."""

    def __init__(self, eps: float = EPS):
        self.eps = real("eps", eps, positive=True)

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return {"scale": (input_shape[-1],), "shift": (input_shape[-1],)}

    def initialize(self, params: Mapping[str, Any], rng: Any) -> None:
        params["scale"][...], params["shift"][...] = 1.0, 0.0

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        z, r, _, _ = standardize(x, (-1,), self.eps)
        return params["scale"] * z + params["shift"], (z, r, params["scale"])

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        z, r, scale = cache
        xp, axes = get_xp(dy), tuple(range(dy.ndim - 1))
        grads = {
            "scale": write(out, "scale", xp.sum(dy * z, axis=axes)),
            "shift": write(out, "shift", xp.sum(dy, axis=axes)),
        }
        return tangent(scale * dy, z, r, (-1,)), grads

    def jvp(self, dx: Any, cache: Any) -> Any:
        z, r, scale = cache
        return scale * tangent(dx, z, r, (-1,))


class GroupNorm(Layer):
    """Normalization of each row over groups of channels, [n, channels, ...]."""

    def __init__(self, groups: int, eps: float = EPS):
        self.groups, self.eps = count("groups", groups), real("eps", eps, positive=True)

    def output_shape(self, input_shape: Shape) -> Shape:
        if input_shape[0] % self.groups:
            raise ValueError(f"{input_shape[0]} channels do not divide into {self.groups} groups")
        return input_shape

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return {"scale": (input_shape[0],), "shift": (input_shape[0],)}

    def initialize(self, params: Mapping[str, Any], rng: Any) -> None:
        params["scale"][...], params["shift"][...] = 1.0, 0.0

    def _grouped(self, x: Any) -> Any:
        size = 1
        for extent in x.shape[1:]:
            size *= extent
        return x.reshape((x.shape[0], self.groups, size // self.groups))

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        z, r, _, _ = standardize(self._grouped(x), (2,), self.eps)
        scale = along(params["scale"], x)
        return scale * z.reshape(x.shape) + along(params["shift"], x), (z, r, scale)

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        z, r, scale = cache
        xp, axes = get_xp(dy), (0, *range(2, dy.ndim))
        grads = {
            "scale": write(out, "scale", xp.sum(dy * z.reshape(dy.shape), axis=axes)),
            "shift": write(out, "shift", xp.sum(dy, axis=axes)),
        }
        return tangent(self._grouped(scale * dy), z, r, (2,)).reshape(dy.shape), grads

    def jvp(self, dx: Any, cache: Any) -> Any:
        z, r, scale = cache
        return scale * tangent(self._grouped(dx), z, r, (2,)).reshape(dx.shape)


def along(values: Any, x: Any) -> Any:
    """Values [channels] with an axis for every axis of x, the channels second."""
    return values.reshape((1, -1, *(1,) * (x.ndim - 2)))
