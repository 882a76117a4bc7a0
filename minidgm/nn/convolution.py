r"""Convolution (cross-correlation, as everywhere in this field) and its adjoint, the transposed convolution.

    y[n, o, p, q] = b_o + sum_{c i j} W[o, c, i, j] x[n, c, p s + i d, q s + j d]

The windows u = windows(x) (`minidgm.nn.windows`) make it a product of matrices for every image, [o, c i j]
times [c i j, p q]. With G groups, output channels of group g see the input channels of group g only. The
passes:

    y = W u + b,      dW = sum_n dy u^T,      db = sum_{n p q} dy,      dx = paint(W^T dy).

| symbol | shape | meaning |
|---|---|---|
| x, y | [n, c, height, width], [n, o, P, Q] | images in and out |
| W, b | [o, c / G, rows, columns], [o] | filters, biases |

The transposed convolution exchanges y and dx: y = paint(W^T x) + b. It is the adjoint of the convolution
with the same W, <A x, y> = <x, A^T y>, and not its inverse. W is then [in, out / G, rows, columns].

Windows are copied for a few images at a time, so that no array of batch x places x filter area ever
exists; the backward pass makes them again rather than keep them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from minidgm.arguments import count
from minidgm.backend import get_xp
from minidgm.nn.initializers import fill
from minidgm.nn.layer import Layer, Shape, wants
from minidgm.nn.windows import Grid, Pair, pair

__all__ = ["Conv1d", "Conv2d", "ConvTranspose2d"]

VALUES = 2**18  # numbers in the windows of one chunk: 1 MB in float32


class Conv2d(Layer):
    """Convolution of images.

    Parameters
    ----------
    n_out : int
        Filters, the channels of y.
    size, stride, dilation : int or (int, int)
    padding : int or (int, int)
        Zeros on both sides, down and across.
    groups : int
        Divides the channels of x and of y.
    bias : bool
    init : {"he", "glorot", "orthogonal"}

    Examples
    --------
    >>> Conv2d(16, 5, stride=2, padding=2).output_shape((1, 28, 28))
    (16, 14, 14)
    """

    pairs = ("size", "stride", "padding", "dilation")

    def __init__(
        self,
        n_out: int,
        size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        init: str = "he",
    ):
        self.n_out, self.groups = count("n_out", n_out), count("groups", groups)
        self.size, self.stride = pair("size", size), pair("stride", stride)
        self.padding, self.dilation = pair("padding", padding, 0), pair("dilation", dilation)
        self.bias, self.init = bool(bias), init
        if n_out % groups:
            raise ValueError(f"n_out={n_out} channels do not divide into {groups} groups")
        (down, across) = self.padding
        self.grid = Grid(self.size, self.stride, self.dilation, ((down, down), (across, across)))

    def output_shape(self, input_shape: Shape) -> Shape:
        wants(self, input_shape, 3, "[channels, height, width]")
        if input_shape[0] % self.groups:
            raise ValueError(f"{input_shape[0]} channels do not divide into {self.groups} groups")
        return (self.n_out, *self.grid.places((input_shape[1], input_shape[2])))

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        W: dict[str, Shape] = {"W": (self.n_out, input_shape[0] // self.groups, *self.size)}
        return W | {"b": (self.n_out,)} if self.bias else W

    def initialize(self, params: Mapping[str, Any], rng: Any) -> None:
        fill(params["W"], self.init, rng)

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        y = correlate(x, params["W"], self.grid, self.groups)
        if self.bias:
            y = y + params["b"][:, None, None]
        return y, (x, params["W"])

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        x, W = cache
        dx = paint_filters(dy, W, x.shape[2:], self.grid, self.groups)
        return dx, self.parameter_gradients(dy, cache, out)

    def parameter_gradients(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> Any:
        x, W = cache
        grads = {"W": filter_gradient(x, dy, W.shape, self.grid, self.groups, _of(out, "W"))}
        if self.bias:
            grads["b"] = get_xp(dy).sum(dy, axis=(0, 2, 3), out=_of(out, "b"))
        return grads

    def jvp(self, dx: Any, cache: Any) -> Any:
        return correlate(dx, cache[1], self.grid, self.groups)


class ConvTranspose2d(Layer):
    """Transposed convolution: every pixel of x paints its filter, W [n_in, n_out / groups, rows, columns].

    Parameters
    ----------
    n_out, size, stride, padding, dilation, groups, bias, init
        Those of the `Conv2d` whose adjoint this is; ``padding`` crops y.
    output_padding : int or (int, int)
        Pixels added to the bottom and the right of y, less than the stride: of the sizes that the
        convolution would shrink to x, which one.

    Examples
    --------
    >>> ConvTranspose2d(1, 4, stride=2, padding=1).output_shape((16, 14, 14))
    (1, 28, 28)
    """

    pairs = (*Conv2d.pairs, "output_padding")

    def __init__(
        self,
        n_out: int,
        size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        output_padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        init: str = "he",
    ):
        self.n_out, self.groups = count("n_out", n_out), count("groups", groups)
        self.size, self.stride = pair("size", size), pair("stride", stride)
        self.padding, self.dilation = pair("padding", padding, 0), pair("dilation", dilation)
        self.output_padding = pair("output_padding", output_padding, 0)
        self.bias, self.init = bool(bias), init
        if n_out % groups:
            raise ValueError(f"n_out={n_out} channels do not divide into {groups} groups")
        if any(extra >= step for extra, step in zip(self.output_padding, self.stride, strict=True)):
            raise ValueError(f"output_padding={output_padding!r} must be less than stride={stride!r}")
        (down, across) = self.padding
        self.grid = Grid(self.size, self.stride, self.dilation, ((down, down), (across, across)))

    def output_shape(self, input_shape: Shape) -> Shape:
        wants(self, input_shape, 3, "[channels, height, width]")
        if input_shape[0] % self.groups:
            raise ValueError(f"{input_shape[0]} channels do not divide into {self.groups} groups")
        image = self._image((input_shape[1], input_shape[2]))
        if min(image) < 1:
            raise ValueError(f"{self!r} crops all of an image of {list(input_shape)}; lower the padding")
        return (self.n_out, *image)

    def _image(self, places: Pair) -> Pair:
        height, width = self.grid.image(places)
        return height + self.output_padding[0], width + self.output_padding[1]

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        W: dict[str, Shape] = {"W": (input_shape[0], self.n_out // self.groups, *self.size)}
        return W | {"b": (self.n_out,)} if self.bias else W

    def initialize(self, params: Mapping[str, Any], rng: Any) -> None:
        # A pixel of y sums over the filters of about size / stride^2 pixels of x, all of its channels.
        W = params["W"]
        fill(W.transpose(1, 0, 2, 3), self.init, rng)

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        y = paint_filters(x, params["W"], self._image(x.shape[2:]), self.grid, self.groups)
        if self.bias:
            y = y + params["b"][:, None, None]
        return y, (x, params["W"])

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        x, W = cache
        grads = {"W": filter_gradient(dy, x, W.shape, self.grid, self.groups, _of(out, "W"))}
        if self.bias:
            grads["b"] = get_xp(dy).sum(dy, axis=(0, 2, 3), out=_of(out, "b"))
        return correlate(dy, W, self.grid, self.groups), grads

    def jvp(self, dx: Any, cache: Any) -> Any:
        x, W = cache
        return paint_filters(dx, W, self._image(x.shape[2:]), self.grid, self.groups)


class Conv1d(Layer):
    """Convolution of sequences, x [n, channels, length].

    Parameters
    ----------
    n_out, size, stride, dilation, groups, bias, init
        As for `Conv2d`, one number each.
    padding : int
        Zeros at both ends.
    causal : bool
        Pad at the beginning only, by dilation (size - 1): y at a time sees x up to that time. Takes the
        place of ``padding``.
    """

    def __init__(
        self,
        n_out: int,
        size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        causal: bool = False,
        bias: bool = True,
        init: str = "he",
    ):
        if causal and padding:
            raise ValueError(f"padding={padding}, causal=True: a causal layer pads the beginning by itself")
        self.n_out, self.size, self.stride, self.padding = n_out, count("size", size), stride, padding
        self.dilation, self.groups, self.causal = dilation, groups, bool(causal)
        self.bias, self.init = bool(bias), init
        self._image = Conv2d(n_out, (1, size), (1, stride), (0, padding), (1, dilation), groups, bias, init)
        if causal:
            ends = ((0, 0), (self.dilation * (self.size - 1), 0))
            self._image.grid = self._image.grid._replace(padding=ends)

    def output_shape(self, input_shape: Shape) -> Shape:
        wants(self, input_shape, 2, "[channels, length]")
        n_out, _, length = self._image.output_shape((input_shape[0], 1, input_shape[1]))
        return n_out, length

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        shapes = self._image.parameter_shapes((input_shape[0], 1, input_shape[1]))
        return {name: (*shape[:2], *shape[3:]) if name == "W" else shape for name, shape in shapes.items()}

    def initialize(self, params: Mapping[str, Any], rng: Any) -> None:
        fill(params["W"], self.init, rng)

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        flat = {name: value[:, :, None] if name == "W" else value for name, value in params.items()}
        y, cache = self._image.forward(flat, x[:, :, None])
        return y[:, :, 0], cache

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        flat = out and {name: value[:, :, None] if name == "W" else value for name, value in out.items()}
        dx, grads = self._image.backward(dy[:, :, None], cache, flat)
        grads["W"] = out["W"] if out else grads["W"][:, :, 0]
        return dx[:, :, 0], grads

    def jvp(self, dx: Any, cache: Any) -> Any:
        return self._image.jvp(dx[:, :, None], cache)[:, :, 0]


def correlate(x: Any, W: Any, grid: Grid, groups: int = 1) -> Any:
    """W u of the windows u of x: [n, o, P, Q]."""
    xp, (n, channels) = get_xp(x, W), x.shape[:2]
    P, Q = grid.places(x.shape[2:])
    weights = W.reshape((groups, W.shape[0] // groups, -1))  # [G, o / G, c i j]
    parts = [
        xp.matmul(weights, grid.windows(x[rows]).reshape((-1, groups, weights.shape[2], P * Q)))
        for rows in _chunks(n, channels, grid, P * Q)
    ]
    y = parts[0] if len(parts) == 1 else xp.concatenate(parts)
    return y.reshape((n, W.shape[0], P, Q))


def paint_filters(y: Any, W: Any, image: Pair, grid: Grid, groups: int = 1) -> Any:
    """paint(W^T y), [n, c, height, width] for images of these sizes: the adjoint of `correlate` in x."""
    xp, (n, _, P, Q) = get_xp(y, W), y.shape
    weights = W.reshape((groups, W.shape[0] // groups, -1))
    channels = groups * W.shape[1]
    transposed = xp.transpose(weights, (0, 2, 1))
    parts = []
    for rows in _chunks(n, channels, grid, P * Q):
        u = xp.matmul(transposed, y[rows].reshape((-1, groups, weights.shape[1], P * Q)))
        parts.append(grid.paint(u.reshape((-1, channels, *grid.size, P, Q)), image))
    return parts[0] if len(parts) == 1 else xp.concatenate(parts)


def filter_gradient(x: Any, dy: Any, shape: Shape, grid: Grid, groups: int, out: Any = None) -> Any:
    """sum_n dy u^T for the windows u of x, of the shape of W."""
    xp, (n, channels) = get_xp(x, dy), x.shape[:2]
    (P, Q), area = dy.shape[2:], shape[1] * shape[2] * shape[3]
    total = xp.zeros(shape, dtype=dy.dtype) if out is None else out
    total[...] = 0.0
    for rows in _chunks(n, channels, grid, P * Q):
        u = xp.transpose(grid.windows(x[rows])[..., :P, :Q], (1, 2, 3, 0, 4, 5))
        d = xp.transpose(dy[rows], (1, 0, 2, 3)).reshape((groups, shape[0] // groups, -1))
        u = u.reshape((groups, area, -1))  # [G, c i j, n P Q]: one product sums over images and places
        total += xp.matmul(d, xp.transpose(u, (0, 2, 1))).reshape(shape)
    return total


def _chunks(n: int, channels: int, grid: Grid, places: int) -> Iterator[slice]:
    step = max(1, VALUES // max(1, channels * grid.size[0] * grid.size[1] * places))
    return (slice(start, start + step) for start in range(0, max(n, 1), step))


def _of(out: Mapping[str, Any] | None, name: str) -> Any:
    return None if out is None else out[name]
