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

The sums are those of `minidgm.nn.correlation`, computed by `minidgm.nn.fast_correlation`; the backward pass
makes the windows again rather than keep them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.arguments import count
from minidgm.backend import get_xp
from minidgm.nn.fast_correlation import correlate, filter_gradient, paint_filters, side_by_side
from minidgm.nn.initializers import fill
from minidgm.nn.layer import Layer, Shape, wants
from minidgm.nn.windows import Grid, Pair, pair

__all__ = ["Conv2d", "ConvTranspose2d", "Filtering"]


class Filtering(Layer):
    """A layer of filters on images: what a convolution and its adjoint share."""

    pairs: tuple[str, ...] = ("size", "stride", "padding", "dilation")

    def __init__(
        self,
        n_out: int,
        size: int | Pair,
        stride: int | Pair,
        padding: int | Pair,
        dilation: int | Pair,
        groups: int,
        bias: bool,
        init: str,
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
        return (self.n_out, *self.extent((input_shape[1], input_shape[2])))

    def extent(self, image: Pair) -> Pair:
        """Height and width of y from those of x."""
        raise NotImplementedError

    def channels(self, n_in: int) -> Pair:
        """The first two axes of W."""
        raise NotImplementedError

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        W: dict[str, Shape] = {"W": (*self.channels(input_shape[0]), *self.size)}
        return W | {"b": (self.n_out,)} if self.bias else W

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        dy = side_by_side(dy)
        return self.input_gradient(dy, cache), self.parameter_gradients(dy, cache, out)

    def parameter_gradients(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> Any:
        dy, W = side_by_side(dy), None if out is None else out["W"]
        grads = {"W": self.filter_gradient(dy, cache, W)}
        if self.bias:
            grads["b"] = get_xp(dy).sum(dy, axis=(0, 2, 3), out=None if out is None else out["b"])
        return grads

    def input_gradient(self, dy: Any, cache: Any) -> Any:
        """Return dx."""
        raise NotImplementedError

    def filter_gradient(self, dy: Any, cache: Any, out: Any) -> Any:
        """Return dW."""
        raise NotImplementedError


class Conv2d(Filtering):
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
        super().__init__(n_out, size, stride, padding, dilation, groups, bias, init)

    def extent(self, image: Pair) -> Pair:
        return self.grid.places(image)

    def channels(self, n_in: int) -> Pair:
        return self.n_out, n_in // self.groups

    def initialize(self, params: Mapping[str, Any], rng: Any) -> None:
        fill(params["W"], self.init, rng)

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        y = correlate(x, params["W"], self.grid, self.groups, params["b"] if self.bias else None)
        return y, (x, params["W"])

    def input_gradient(self, dy: Any, cache: Any) -> Any:
        x, W = cache
        return paint_filters(dy, W, x.shape[2:], self.grid, self.groups)

    def filter_gradient(self, dy: Any, cache: Any, out: Any) -> Any:
        x, W = cache
        return filter_gradient(x, dy, W.shape, self.grid, self.groups, out)

    def jvp(self, dx: Any, cache: Any) -> Any:
        return correlate(dx, cache[1], self.grid, self.groups)


class ConvTranspose2d(Filtering):
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

    pairs = (*Filtering.pairs, "output_padding")

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
        super().__init__(n_out, size, stride, padding, dilation, groups, bias, init)
        self.output_padding = pair("output_padding", output_padding, 0)
        if any(extra >= step for extra, step in zip(self.output_padding, self.stride, strict=True)):
            raise ValueError(f"output_padding={output_padding!r} must be less than stride={stride!r}")

    def extent(self, image: Pair) -> Pair:
        height, width = self.grid.image(image)
        found = height + self.output_padding[0], width + self.output_padding[1]
        if min(found) < 1:
            raise ValueError(f"{self!r} crops all of an image of {list(image)}; lower the padding")
        return found

    def channels(self, n_in: int) -> Pair:
        return n_in, self.n_out // self.groups

    def initialize(self, params: Mapping[str, Any], rng: Any) -> None:
        # A pixel of y sums over the filters of about size / stride^2 pixels of x, all of its channels.
        fill(params["W"].transpose(1, 0, 2, 3), self.init, rng)

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        W, bias = params["W"], params["b"] if self.bias else None
        y = paint_filters(x, W, self.extent(x.shape[2:]), self.grid, self.groups, bias)
        return y, (x, W)

    def input_gradient(self, dy: Any, cache: Any) -> Any:
        return correlate(dy, cache[1], self.grid, self.groups)

    def filter_gradient(self, dy: Any, cache: Any, out: Any) -> Any:
        x, W = cache
        return filter_gradient(dy, x, W.shape, self.grid, self.groups, out)

    def jvp(self, dx: Any, cache: Any) -> Any:
        x, W = cache
        return paint_filters(dx, W, self.extent(x.shape[2:]), self.grid, self.groups)
