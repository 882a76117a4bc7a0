"""The look that all pictures share, and their way out as PNG."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from minidgm.backend import to_numpy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: a qualitative palette that color-blind readers can tell apart (Okabe and Ito, 2008)
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")
INK, FAINT, LINE = "#333333", "#D9DDE2", "#888888"
DPI = 100  # one image pixel is a whole number of screen pixels at this resolution and its multiples


def to_png_bytes(figure: Figure, dpi: int = 2 * DPI) -> bytes:
    """Render a figure; the same figure gives the same bytes."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return stream.getvalue()


def to_base64(figure: Figure, dpi: int = 2 * DPI) -> str:
    """Render a figure for ``<img src="data:image/png;base64,...">``."""
    return base64.b64encode(to_png_bytes(figure, dpi)).decode("ascii")


def host(x: Any) -> np.ndarray:
    """An array on the host, wherever it came from."""
    return np.asarray(to_numpy(x))


def new_figure(width: float, height: float, title: str | None) -> Figure:
    """A figure of this size in inches, laid out so that nothing overlaps."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(width, height), dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    return figure


def style_axes(axes: Axes, xlabel: str, ylabel: str, grid: bool = True) -> None:
    """Label the axes and take away what carries no information."""
    from matplotlib.ticker import MaxNLocator

    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom") or not grid)
        spine.set_color(LINE)
        spine.set_linewidth(0.8)
    axes.tick_params(labelsize=8, colors=INK, color=LINE, length=3)
    axes.set_xlabel(xlabel, fontsize=9, color=INK)
    axes.set_ylabel(ylabel, fontsize=9, color=INK)
    if grid:
        axes.grid(color=FAINT, lw=0.6)
        axes.set_axisbelow(True)
    if xlabel in ("epoch", "step"):
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))


def style_color_bar(bar: Any, label: str) -> None:
    """Label a color bar, without a frame."""
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, colors=INK, color=LINE, length=3)
    bar.set_label(label, fontsize=9, color=INK)
