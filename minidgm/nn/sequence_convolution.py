r"""Convolutions of sequences, x [n, channels, length]: those of images of height 1, also causal, and adjoint.

    y[n, o, t] = b_o + sum_{c i} W[o, c, i] x[n, c, t s + i d - before],      before = padding on the left

A causal convolution pads d (size - 1) zeros before the sequence and none behind it, so that with stride 1 y
at a time sees x up to that time, and is as long as x. A transposed convolution lets x at time p paint the
times from p s on; a causal one crops its end only, to s times the length of x: y at time t sees x up to
time t / s.
(So the causal ones are not each other's adjoint: the adjoint of seeing the past is seeing the future.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.arguments import count
from minidgm.nn.convolution import Conv2d, ConvTranspose2d, Filtering
from minidgm.nn.layer import Layer, Shape, wants

__all__ = ["Conv1d", "ConvTranspose1d"]


class SequenceFiltering(Layer):
    """A layer of filters on sequences: one on images of height 1."""

    image: Filtering

    def output_shape(self, input_shape: Shape) -> Shape:
        wants(self, input_shape, 2, "[channels, length]")
        n_out, _, length = self.image.output_shape((input_shape[0], 1, input_shape[1]))
        return n_out, length

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        shapes = self.image.parameter_shapes((input_shape[0], 1, input_shape[1]))
        return {name: (*shape[:2], *shape[3:]) if name == "W" else shape for name, shape in shapes.items()}

    def initialize(self, params: Mapping[str, Any], rng: Any) -> None:
        self.image.initialize(_flat(params), rng)

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        y, cache = self.image.forward(_flat(params), x[:, :, None])
        return y[:, :, 0], cache

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        dx, grads = self.image.backward(dy[:, :, None], cache, None if out is None else _flat(out))
        return dx[:, :, 0], {**grads, "W": grads["W"][:, :, 0]}

    def parameter_gradients(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> Any:
        grads = self.image.parameter_gradients(dy[:, :, None], cache, None if out is None else _flat(out))
        return {**grads, "W": grads["W"][:, :, 0]}

    def jvp(self, dx: Any, cache: Any) -> Any:
        return self.image.jvp(dx[:, :, None], cache)[:, :, 0]


class Conv1d(SequenceFiltering):
    """Convolution of sequences.

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
        self.image = Conv2d(n_out, (1, size), (1, stride), (0, padding), (1, dilation), groups, bias, init)
        if causal:
            ends = ((0, 0), (self.dilation * (self.size - 1), 0))
            self.image.grid = self.image.grid._replace(padding=ends)


class ConvTranspose1d(SequenceFiltering):
    """Transposed convolution of sequences, W [n_in, n_out / groups, size].

    Parameters
    ----------
    n_out, size, stride, padding, output_padding, dilation, groups, bias, init
        As for `ConvTranspose2d`, one number each: the adjoint of the `Conv1d` of the same numbers.
    causal : bool
        Crop the end only: y is ``stride`` times as long as x and at time t sees x up to t / stride. Takes
        the place of ``padding`` and ``output_padding``.

    Raises
    ------
    ValueError
        For a causal layer whose filters do not reach across a stride.

    Examples
    --------
    >>> ConvTranspose1d(1, 4, stride=2, padding=1).output_shape((16, 14))
    (1, 28)
    """

    def __init__(
        self,
        n_out: int,
        size: int,
        stride: int = 1,
        padding: int = 0,
        output_padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        causal: bool = False,
        bias: bool = True,
        init: str = "he",
    ):
        if causal and (padding or output_padding):
            raise ValueError(
                f"padding={padding}, output_padding={output_padding}, causal=True: a causal layer crops the "
                "end by itself"
            )
        self.n_out, self.size, self.stride, self.padding = n_out, count("size", size), stride, padding
        self.output_padding, self.dilation, self.groups = output_padding, dilation, groups
        self.causal, self.bias, self.init = bool(causal), bool(bias), init
        extra, spread = (0, output_padding), (1, dilation)
        self.image = ConvTranspose2d(
            n_out, (1, size), (1, stride), (0, padding), extra, spread, groups, bias, init
        )
        if causal:
            crop = dilation * (size - 1) + 1 - stride
            if crop < 0:
                raise ValueError(
                    f"causal filters of size={size} and dilation={dilation} leave gaps at stride={stride}; "
                    "make them as long as the stride"
                )
            self.image.grid = self.image.grid._replace(padding=((0, 0), (0, crop)))


def _flat(params: Mapping[str, Any]) -> dict[str, Any]:
    """Filters of sequences as filters of images of height 1."""
    return {name: value[:, :, None] if name == "W" else value for name, value in params.items()}
