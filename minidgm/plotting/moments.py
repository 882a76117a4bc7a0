"""Bias and noise of gradient estimators, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from minidgm.plotting.style import COLORS, INK, new_figure, style_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOOR = 1e-12


def estimators(moments: Sequence[Any], title: str | None = None) -> Figure:
    """Bars for what `minidgm.evaluation.gradient_moments` found: bias, and standard deviation, on one scale.

    Parameters
    ----------
    moments : sequence of GradientMoments
    title : str, optional

    Notes
    -----
    Both are lengths of vectors in the unit of the gradient; the dashed line is the length of the exact
    gradient. A bias at the level of rounding is written "unbiased".
    """
    if not moments:
        raise ValueError("no moments to show; pass what gradient_moments returned")
    figure = new_figure(5.6, 1.1 + 0.42 * len(moments) + 0.3 * bool(title), title)
    axes = figure.subplots()
    exact = max(float((moments[0].exact ** 2).sum()) ** 0.5, FLOOR)
    deviations = [math.sqrt(m.total_variance) for m in moments]
    values = [m.bias for m in moments] + deviations
    low = max(min([v for v in [*values, exact] if v > 1e-6 * exact], default=exact), FLOOR) / 3.0
    for i, (m, deviation) in enumerate(zip(moments, deviations, strict=True)):
        for offset, value, color, name in (
            (-0.18, deviation, COLORS[0], "standard deviation"),
            (0.18, m.bias, COLORS[1], "bias"),
        ):
            small = value <= 1e-6 * exact
            label = name if not i else None
            axes.barh(i + offset, low if small else value, 0.32, color=color, label=label)
            if small:
                axes.text(
                    1.1 * low,
                    i + offset,
                    "unbiased" if name == "bias" else "no noise",
                    va="center",
                    fontsize=8,
                    color=INK,
                )
    axes.axvline(exact, color=INK, lw=1, ls="--", label="length of the gradient")
    axes.set_xscale("log")
    axes.set_xlim(left=low)
    axes.set_yticks(range(len(moments)), [m.name for m in moments])
    axes.invert_yaxis()
    style_axes(axes, "length, in the unit of the gradient", "")
    axes.legend(fontsize=8, frameon=False, labelcolor=INK, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
