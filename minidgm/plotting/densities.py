"""Two-dimensional densities as heat maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from minidgm.plotting.style import COLORS, DPI, INK, host, style_axes, style_color_bar

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def density_2d(
    log_density: Callable[[np.ndarray], Any],
    bounds: tuple[float, float, float, float] = (-3.0, 3.0, -3.0, 3.0),
    samples: Any = None,
    title: str | None = None,
    resolution: int = 240,
    batch_size: int = 10_000,
) -> Figure:
    """A two-dimensional density as a heat map, with samples on top if there are any.

    Parameters
    ----------
    log_density : callable
        ``log_density(x) -> [n]`` in nats, at points [n, 2] that come as a NumPy float32 array.
    bounds : (left, right, bottom, top)
    samples : array [m, 2], optional
    title : str, optional
    resolution : int
        Points a side.
    batch_size : int
        Points a call.
    """
    left, right, bottom, top = bounds
    if not (left < right and bottom < top):
        raise ValueError(
            f"bounds={bounds!r}; expected (left, right, bottom, top) with left < right, bottom < top"
        )
    u = left + (np.arange(resolution) + 0.5) * (right - left) / resolution
    v = bottom + (np.arange(resolution) + 0.5) * (top - bottom) / resolution
    points = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2).astype(np.float32)
    batches = [points[i : i + batch_size] for i in range(0, len(points), batch_size)]
    values = np.concatenate([host(log_density(batch)).reshape(-1) for batch in batches])
    if values.shape != (len(points),):
        raise ValueError(
            f"log_density returned {values.shape} for {len(points)} points; expected one value a point"
        )
    density = np.exp(values.astype(np.float64)).reshape(resolution, resolution)
    width, height = 3.4, 3.4 * min(max((top - bottom) / (right - left), 0.3), 3.0)
    figure, axes, strip = _canvas(width, height, title)
    image = axes.imshow(
        density, origin="lower", extent=bounds, cmap="Blues", vmin=0, interpolation="bilinear", aspect="auto"
    )
    if samples is not None:
        s = host(samples)
        axes.plot(s[:, 0], s[:, 1], ".", ms=2.6, color=COLORS[1], alpha=0.6, mew=0)
        axes.set_xlim(left, right)
        axes.set_ylim(bottom, top)
    style_axes(axes, "$x_1$", "$x_2$", grid=False)
    style_color_bar(figure.colorbar(image, cax=strip), "density (per unit area)")
    return figure


def _canvas(width: float, height: float, title: str | None) -> tuple[Figure, Axes, Axes]:
    """A figure, its main axes of this size in inches, and the axes of a color bar as high."""
    from matplotlib.figure import Figure

    left, right, below, above = 0.55, 1.0, 0.48, 0.4 if title else 0.12
    size = (left + width + right, below + height + above)
    figure = Figure(figsize=size, dpi=DPI)
    axes = figure.add_axes((left / size[0], below / size[1], width / size[0], height / size[1]))
    strip = figure.add_axes(
        ((left + width + 0.1) / size[0], below / size[1], 0.12 / size[0], height / size[1])
    )
    if title:
        figure.text(left / size[0], 1 - 0.12 / size[1], title, fontsize=11, color=INK, va="top")
    return figure, axes, strip
