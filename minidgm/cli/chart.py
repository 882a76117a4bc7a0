"""Line charts as inline SVG: sharp at any size, in the colours of the page around them."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 340, 52, 150, 14, 40


def line_chart(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    xlabel: str,
    ylabel: str,
    references: Mapping[str, float] | None = None,
) -> str:
    """Draw curves, named at their right ends, and dashed reference lines.

    Parameters
    ----------
    curves : mapping of name to points (x, y)
        At least one, each with at least one point.
    xlabel, ylabel : str
    references : mapping of name to y, optional

    Examples
    --------
    >>> chart = line_chart({"train": [(1, -3.0), (2, -1.0)]}, "epoch", "nats")
    >>> chart.startswith("<svg") and "train" in chart
    True
    """
    references = references or {}
    xs = [x for points in curves.values() for x, _ in points]
    ys = [y for points in curves.values() for _, y in points if math.isfinite(y)] + list(references.values())
    x_ticks, y_ticks = ticks(0.0, max(xs)), ticks(min(ys), max(ys))
    x_end, low, high = max(xs), min(y_ticks[0], min(ys)), max(y_ticks[-1], max(ys))

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (WIDTH - LEFT - RIGHT) * x / (x_end or 1.0)
        down = TOP + (HEIGHT - TOP - BOTTOM) * (high - y) / ((high - low) or 1.0)
        return round(across, 1), round(down, 1)

    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(ylabel)}">'
    ]
    for y in y_ticks:
        _, at = place(0.0, y)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4}" text-anchor="end">{_minus(y)}</text>')
    for x in x_ticks:
        if x <= x_end:
            parts.append(
                f'<text x="{place(x, low)[0]}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{x:g}</text>'
            )
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{html.escape(xlabel)}</text>')
    labels: list[tuple[float, str, str]] = []
    for name, y in references.items():
        _, at = place(0.0, y)
        parts.append(f'<line class="reference" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        labels.append((at, name, ""))
    for i, (name, points) in enumerate(curves.items()):
        path = " ".join("{},{}".format(*place(x, y)) for x, y in points if math.isfinite(y))
        parts.append(f'<polyline class="curve c{i % 2}" points="{path}"/>')
        labels.append((place(*points[-1])[1], name, f' class="c{i % 2}"'))
    for at, name, style in spread_out(labels):
        parts.append(f'<text{style} x="{WIDTH - RIGHT + 8}" y="{at + 4:.1f}">{html.escape(name)}</text>')
    return "".join([*parts, "</svg>"])


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from below ``low`` to above ``high``.

    >>> ticks(0, 1000), ticks(-44.4, -17.2)
    ([0.0, 200.0, 400.0, 600.0, 800.0, 1000.0], [-50.0, -40.0, -30.0, -20.0, -10.0])
    """
    span = (high - low) or 1.0
    unit = 10.0 ** math.floor(math.log10(span / about))
    step = next(m * unit for m in (1, 2, 5, 10) if span / (m * unit) <= about)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, last + 1)]


def spread_out(labels: list[tuple[float, str, str]], apart: float = 16.0) -> list[tuple[float, str, str]]:
    """Move labels down until none covers another."""
    placed: list[tuple[float, str, str]] = []
    for at, name, style in sorted(labels):
        if placed and at - placed[-1][0] < apart:
            at = placed[-1][0] + apart
        placed.append((at, name, style))
    return placed


def _minus(x: float) -> str:
    return f"{x:g}".replace("-", "\N{MINUS SIGN}")
