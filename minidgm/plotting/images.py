"""Images side by side: data and samples, the filters of a model, chains over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minidgm.plotting.style import DPI, FAINT, INK, host, style_color_bar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GAP = 4  # screen pixels between images


def image_grid(
    images: Any,
    shape: tuple[int, int] | None = None,
    ncols: int | None = None,
    title: str | None = None,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Images side by side, dark for high values.

    Parameters
    ----------
    images : array [n, h * w] or [n, h, w]
    shape : (h, w), optional
        Shape of an image; a row of h * w values is taken to be square without it.
    ncols : int, optional
        Images a row; without it, a number that makes the picture somewhat wider than high and fills its rows.
    title : str, optional
    limits : (low, high), optional
        Values drawn white and black; (0, 1) if all values lie within, their range otherwise.

    Examples
    --------
    >>> figure = image_grid(np.eye(4), title="four pixels")
    >>> type(figure).__name__
    'Figure'
    """
    stack = _as_images(images, shape)
    return _tiles(stack, ncols, title, _limits(stack) if limits is None else limits, "gray_r")


def filters(
    W: Any,
    shape: tuple[int, int] | None = None,
    ncols: int | None = None,
    title: str | None = None,
    limit: float | None = None,
) -> Figure:
    """Columns of a weight matrix as images: red excites, blue inhibits, white is zero.

    Parameters
    ----------
    W : array [n_visible, n_hidden]
    shape : (h, w), optional
        How the visible units lie; square without it.
    ncols, title
        As in :func:`image_grid`.
    limit : float, optional
        Weight of the strongest color, the same for all filters; without it the 99.5th percentile of the
        absolute weights (what exceeds it is drawn at full strength).
    """
    W = host(W)
    if W.ndim != 2:
        raise ValueError(f"W came as {W.shape}; expected [n_visible, n_hidden]")
    if limit is None:
        limit = float(np.percentile(np.abs(W), 99.5)) if W.size else 1.0
    limit = limit or 1.0
    return _tiles(_as_images(W.T, shape), ncols, title, (-limit, limit), "RdBu_r", bar="weight")


def chains(
    samples: Any,
    shape: tuple[int, int] | None = None,
    steps: Sequence[int] | None = None,
    title: str | None = None,
) -> Figure:
    """Markov chains over time: a row a chain, a column a moment.

    Parameters
    ----------
    samples : array [n_moments, n_chains, h * w] or [n_moments, n_chains, h, w]
    shape : (h, w), optional
    steps : sequence of int, optional
        How many sweeps had been made at each moment.
    title : str, optional
    """
    samples = host(samples)
    if samples.ndim not in (3, 4):
        raise ValueError(f"samples came as {samples.shape}; expected [n_moments, n_chains, n_visible]")
    n_moments, n_chains = samples.shape[:2]
    if steps is not None and len(steps) != n_moments:
        raise ValueError(f"{len(steps)} steps came for {n_moments} moments; expected one each")
    stack = _as_images(np.swapaxes(samples, 0, 1).reshape(n_chains * n_moments, *samples.shape[2:]), shape)
    figure = _tiles(stack, n_moments, title, _limits(stack), "gray_r", below=0.38)
    axes = figure.axes[0]
    wide = axes.get_xlim()[1] / n_moments
    shown = range(0, n_moments, -(-n_moments // 12))
    axes.set_xticks([(i + 0.5) * wide for i in shown], [str(i if steps is None else steps[i]) for i in shown])
    axes.tick_params(labelsize=8, length=0, pad=2, colors=INK)
    axes.set_xlabel("sweeps" if steps is not None else "moment", fontsize=9, color=INK, labelpad=2)
    return figure


def _as_images(images: Any, shape: tuple[int, int] | None) -> np.ndarray:
    """Bring rows or images to [n, h, w]."""
    stack = host(images)
    if stack.ndim == 3 and shape is None:
        return stack
    if stack.ndim < 2:
        raise ValueError(f"images came as {stack.shape}; expected [n, h * w] or [n, h, w]")
    size = math.prod(stack.shape[1:])
    if shape is None:
        side = math.isqrt(size)
        if side * side != size:
            raise ValueError(f"{size} pixels do not make a square image; give shape=(height, width)")
        shape = (side, side)
    if math.prod(shape) != size:
        raise ValueError(f"shape={tuple(shape)} asks for {math.prod(shape)} pixels; the images have {size}")
    return stack.reshape(len(stack), *shape)


def _limits(stack: np.ndarray) -> tuple[float, float]:
    """(0, 1) for grey levels, the range of the values for anything else."""
    low, high = (float(stack.min()), float(stack.max())) if stack.size else (0.0, 1.0)
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def _columns(n: int, aspect: float) -> int:
    """Columns that make n images a picture about 1.5 times as wide as high and leave the fewest gaps."""
    target = math.sqrt(1.5 * n * aspect)
    near = range(max(1, math.ceil(0.75 * target)), max(1, math.floor(1.35 * target)) + 1)
    return min(near, key=lambda ncols: (-n % ncols, abs(ncols - target)), default=max(1, round(target)))


def _tiles(
    stack: np.ndarray,
    ncols: int | None,
    title: str | None,
    limits: tuple[float, float],
    colors: str,
    bar: str | None = None,
    below: float = 0.0,
) -> Figure:
    """Draw images [n, h, w] in thin frames, each pixel a whole number of screen pixels."""
    import matplotlib
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize, to_rgba
    from matplotlib.figure import Figure

    n, h, w = stack.shape
    if 0 in stack.shape:
        raise ValueError(f"no images to show: they came as {stack.shape}")
    if ncols is None:
        ncols = _columns(n, h / w)
    elif ncols < 1:
        raise ValueError(f"ncols={ncols}; expected at least 1 column")
    nrows = -(-n // ncols)
    pixel = max(1, min(round(600 / max(nrows * h, ncols * w)), 24))
    high, wide = h * pixel + GAP, w * pixel + GAP
    colored = ScalarMappable(Normalize(*limits, clip=True), matplotlib.colormaps[colors])
    canvas = np.ones((nrows * high + GAP, ncols * wide + GAP, 4))
    for i, image in enumerate(colored.cmap(colored.norm(stack.astype(np.float64)))):  # [h, w, 4]
        top, left = GAP + (i // ncols) * high, GAP + (i % ncols) * wide
        canvas[top - 1 : top + high - GAP + 1, left - 1 : left + wide - GAP + 1] = to_rgba(FAINT)
        canvas[top : top + high - GAP, left : left + wide - GAP] = image.repeat(pixel, 0).repeat(pixel, 1)

    width, height = canvas.shape[1] / DPI, canvas.shape[0] / DPI
    above, beside, edge = (0.32 if title else 0.0), (0.75 if bar else 0.0), 0.06
    figure = Figure(figsize=(width + beside + 2 * edge, height + above + below + 2 * edge), dpi=DPI)
    total_w, total_h = figure.get_size_inches()
    axes = figure.add_axes((edge / total_w, (edge + below) / total_h, width / total_w, height / total_h))
    axes.imshow(
        canvas, interpolation="nearest", aspect="auto", extent=(0, canvas.shape[1], canvas.shape[0], 0)
    )
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if title:
        left = (edge + GAP / DPI) / total_w
        figure.text(left, 1 - (edge + 0.07) / total_h, title, fontsize=11, color=INK, va="top")
    if bar:
        left = (edge + width + 0.06) / total_w
        bottom, tall = (edge + below + GAP / DPI) / total_h, (height - 2 * GAP / DPI) / total_h
        style_color_bar(
            figure.colorbar(colored, cax=figure.add_axes((left, bottom, 0.12 / total_w, tall))), bar
        )
    return figure
