"""Encoder and decoder: nets between rows and codes, whether their shapes meet, and the usual pairs."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

from minidgm import nn
from minidgm.backend import Generator
from minidgm.errors import DataError
from minidgm.latent.likelihoods import likelihood_for
from minidgm.nn import Network, Reshape, describe
from minidgm.nn.network import Scope
from minidgm.parameters import Parameters

__all__ = [
    "coder_params", "convolutional", "decoder_of", "dense", "dense_for", "encoder_of", "layered", "layers_of",
    "plain",
]  # fmt: skip


def layers_of(net: Any) -> list[Any]:
    """Return layers from a list, or those of a `Network`, behind a reshape where its rows are images."""
    if isinstance(net, Network):
        image = len(net.input_shape) > 1
        return [*([Reshape(net.input_shape)] if image else []), *net.layers]
    return Network(net, ()).layers if isinstance(net, str) else list(net)


def decoder_of(layers: Any, n_latent: int, outputs: int, wanted: str) -> tuple[Network, int]:
    """Return the decoder, and the number of visible columns that its output means.

    Raises
    ------
    ValueError
        When its layers do not fit ``n_latent`` or each other, or its output is no row of ``outputs`` numbers
        a column; prints the table.
    """
    decoder = Network(layers_of(layers), (n_latent,))
    size = math.prod(decoder.shape)
    if size % outputs or not size:
        raise ValueError(f"the decoder puts out {size} numbers, {wanted} needs {outputs} a column\n{decoder}")
    return decoder, size // outputs


def encoder_of(layers: Any, n_visible: int, n_out: int, wanted: str, decoder: Network) -> Network:
    """Return the encoder of rows [n_visible] to [n_out].

    Raises
    ------
    ValueError
        When the shapes do not meet; prints both tables.
    """
    try:
        encoder = Network(layers_of(layers), (n_visible,))
    except ValueError as error:
        raise ValueError(
            f"the decoder makes rows of {n_visible} columns, which the encoder does not take: {error}\n\n"
            f"decoder\n{decoder}"
        ) from None
    if encoder.shape != (n_out,):
        raise ValueError(
            f"encoder and decoder do not meet: the encoder puts out {list(encoder.shape)}, expected "
            f"[{n_out}], {wanted}\n\nencoder\n{encoder}\n\ndecoder\n{decoder}"
        )
    return encoder


def coder_params(
    nets: dict[str, Network], backend: str, dtype: str, seed: Any, more: Mapping[str, Any] | None = None
) -> Parameters:
    """Initialized parameters of several nets, each under its name: "encoder/0/W"; drawn on the host.

    Those of the shapes ``more`` follow, and are 0.
    """
    shapes = {f"{name}/{key}": shape for name, net in nets.items() for key, shape in net.shapes.items()}
    shapes |= more or {}
    fixed = [f"{name}/{key}" for name, net in nets.items() for key in net.fixed]
    params, rng = Parameters(shapes, dtype=dtype, fixed=fixed), Generator(seed)
    for name, net in nets.items():
        net.initialize(Scope(params, f"{name}/"), rng)
    return params.to(backend)


def plain(net: Network) -> list[Any]:
    """The layers as names, or JSON-able pairs of a name and the arguments that differ from their defaults."""
    found = []
    for name, options in describe(net.layers):
        defaults = inspect.signature(getattr(nn, name)).parameters
        given = {key: value for key, value in options.items() if defaults[key].default != value}
        found.append([name, given] if given else name)
    return found


def dense(
    n_visible: int,
    n_latent: int,
    hidden: Sequence[int] = (200,),
    activation: str = "tanh",
    codes: int = 2,
    outputs: int = 1,
) -> tuple[list[Any], list[Any]]:
    """Layers of a dense encoder and its mirror image: ``hidden`` widths from the data inward.

    Parameters
    ----------
    n_visible, n_latent : int
    hidden : sequence of int
    activation : str
    codes : int
        Numbers of the encoder for each latent: 2 for mean and log-variance, 1 for a plain code.
    outputs : int
        Numbers of the decoder for each visible column.

    >>> dense(4, 2, [3])
    ([('dense', 3), 'tanh', ('dense', 4)], [('dense', 3), 'tanh', ('dense', 4)])
    """
    up = [item for width in hidden for item in (("dense", width), activation)]
    down = [item for width in reversed(hidden) for item in (("dense", width), activation)]
    return [*up, ("dense", codes * n_latent)], [*down, ("dense", outputs * n_visible)]


def dense_for(data: Any, given: Mapping[str, Any], codes: int = 2) -> dict[str, Any]:
    """Arguments of a model of a data set: a likelihood, and dense nets as wide as its rows call for.

    Parameters
    ----------
    data : Dataset
    given : mapping
        "n_latent", and what else is known: it stays.
    codes
        As for `dense`.

    Raises
    ------
    DataError
        When a given decoder makes rows of another width.
    """
    width, family = int(data.train.shape[1]), likelihood_for(data.train, given)
    hidden = [max(16, min(400, 4 * width))]
    encoder, decoder = dense(width, given["n_latent"], hidden, codes=codes, outputs=family.outputs)
    known = {"encoder": encoder, "decoder": decoder, "likelihood": family.name, **given}
    made = decoder_of(known["decoder"], known["n_latent"], family.outputs, family.name)[1]
    if made != width:
        raise DataError(f"the decoder makes rows of {made} columns, those of {data.name} have {width}")
    return known


def layered(
    n_visible: int,
    n_codes: Sequence[int],
    hidden: Sequence[Sequence[int]],
    activation: str = "tanh",
    outputs: int = 1,
) -> tuple[list[Any], list[Any]]:
    """Dense encoders and decoders between the data and several layers of codes, from the data upward.

    Parameters
    ----------
    n_visible : int
    n_codes : sequence of int
        Codes of each layer.
    hidden : sequence of sequences of int
        Widths between the data and the first codes, and from each layer to the next.
    activation : str
    outputs : int
        Numbers of the lowest decoder for each visible column.

    Raises
    ------
    ValueError
        When ``hidden`` and ``n_codes`` are not of one length.

    >>> encoders, decoders = layered(4, (3, 2), [(5,), ()])
    >>> encoders[1], decoders[1]
    ([('dense', 4)], [('dense', 6)])
    """
    if len(hidden) != len(n_codes):
        raise ValueError(
            f"hidden={hidden!r} has widths for {len(hidden)} nets; expected {len(n_codes)}, one sequence for "
            f"each layer of n_codes={n_codes!r}"
        )
    below = [n_visible, *n_codes[:-1]]
    each = [
        dense(n, codes, widths, activation, outputs=2 if i else outputs)
        for i, (n, codes, widths) in enumerate(zip(below, n_codes, hidden, strict=True))
    ]
    return [up for up, _ in each], [down for _, down in each]


def convolutional(
    image: Sequence[int],
    n_latent: int,
    channels: Sequence[int] = (32, 64),
    size: int = 4,
    activation: str = "relu",
    codes: int = 2,
    outputs: int = 1,
) -> tuple[list[Any], list[Any]]:
    """Layers of a convolutional encoder and of a decoder of transposed convolutions, each halving the image.

    Parameters
    ----------
    image : (channels, height, width) or (height, width)
        Height and width divisible by 2 ** len(channels).
    n_latent : int
    channels : sequence of int
        Filters of each stage, from the data inward.
    size : int
        Of a filter, even.
    activation, codes, outputs
        As for `dense`.

    Raises
    ------
    ValueError
        For an image that does not halve so often, or an odd filter.
    """
    c, h, w = image if len(image) == 3 else (1, *image)
    step = 2 ** len(channels)
    if h % step or w % step or size % 2:
        raise ValueError(
            f"{len(channels)} stages halve an image of {h} x {w} down to no whole size, or size={size} is "
            f"odd; height and width must be multiples of {step}"
        )
    padding = size // 2 - 1
    up: list[Any] = [("reshape", (c, h, w))]
    for filters in channels:
        up += [("conv2d", filters, size, 2, padding), activation]
    inside = (channels[-1], h // step, w // step)
    down: list[Any] = [("dense", math.prod(inside)), activation, ("reshape", inside)]
    for filters in reversed(channels[:-1]):
        down += [("conv_transpose2d", filters, size, 2, padding), activation]
    down += [("conv_transpose2d", outputs * c, size, 2, padding), "flatten"]
    return [*up, "flatten", ("dense", codes * n_latent)], down
