"""Curves: metrics over training, and series over any axis."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minidgm.plotting.style import COLORS, INK, host, new_figure, style_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def learning_curve(
    history: Any,
    metrics: Sequence[str] | None = None,
    title: str | None = None,
    x: str = "epoch",
    units: Mapping[str, str] | None = None,
) -> Figure:
    """Metrics over the epochs; training and validation of the same metric share a panel.

    Parameters
    ----------
    history : History or list of dict
        What ``fit`` returned, or its records (or the lines of metrics.jsonl).
    metrics : sequence of str, optional
        Which to show; without it every number in the records but epoch, step, seconds and learning rate.
    title : str, optional
    x : str
        The record's key for the horizontal axis, "epoch" or "step"; the count of records if there is none.
    units : mapping, optional
        Unit of a metric for its axis. Log-likelihoods and energies are in nats, times in seconds.
    """
    records = [dict(record) for record in getattr(history, "records", history)]
    names = list(metrics) if metrics is not None else _numeric_keys(records, x)
    missing = [name for name in names if not any(name in record for record in records)]
    if missing or not names:
        known = ", ".join(_numeric_keys(records, x)) or "none"
        raise ValueError(
            f"no metric {', '.join(map(repr, missing)) or 'at all'} in the records; there are {known}"
        )
    panels: dict[str, list[str]] = {}
    for name in names:
        panels.setdefault(_without_part(name), []).append(name)
    ncols = 2 if len(panels) == 4 else min(len(panels), 3)
    nrows = -(-len(panels) // ncols)
    figure = new_figure(3.6 * ncols if ncols > 1 else 5.0, 2.5 * nrows + 0.3 * bool(title), title)
    grid = figure.subplots(nrows, ncols, squeeze=False)
    for axes, (panel, members) in zip(grid.flat, panels.items(), strict=False):
        for i, name in enumerate(members):
            rows = [
                (record.get(x, j + 1), record[name]) for j, record in enumerate(records) if name in record
            ]
            points = np.array([(a, b) for a, b in rows if _is_real(b)], dtype=np.float64).reshape(-1, 2)
            mark = "o" if len(points) == 1 else None
            axes.plot(
                *points.T,
                color=COLORS[i % len(COLORS)],
                lw=1.6,
                marker=mark,
                label=_words(name.replace(panel, "")) or _words(name),
            )
        unit = (units or {}).get(panel, _unit(panel))
        label = _words(panel if len(members) > 1 else members[0]) + (f" ({unit})" if unit else "")
        style_axes(axes, x, textwrap.fill(label, 34, break_on_hyphens=False))
        if len(members) > 1:
            axes.legend(fontsize=8, frameon=False, labelcolor=INK)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    return figure


def series(
    x: Any,
    curves: Mapping[str, Any],
    xlabel: str = "",
    ylabel: str = "",
    title: str | None = None,
    bands: Mapping[str, tuple[Any, Any]] | None = None,
    references: Mapping[str, float] | None = None,
    log_x: bool = False,
) -> Figure:
    """Curves over a common axis, with bands around them and reference values across.

    Parameters
    ----------
    x : array [n]
    curves : mapping of name to array [n]
    xlabel, ylabel : str
        With units.
    title : str, optional
    bands : mapping of name to (low [n], high [n]), optional
        Shaded around the curve of that name: standard errors, ranges.
    references : mapping of name to float, optional
        Dashed horizontal lines: an exact value, a published one.
    log_x : bool
    """
    horizontal = host(x)
    figure = new_figure(5.0, 3.1 + 0.3 * bool(title), title)
    axes = figure.subplots()
    for i, (name, y) in enumerate(curves.items()):
        values = host(y)
        if values.shape != horizontal.shape:
            raise ValueError(f"curve {name!r} came as {values.shape}; expected {horizontal.shape} like x")
        color = COLORS[i % len(COLORS)]
        axes.plot(horizontal, values, color=color, lw=1.6, label=name)
        if bands and name in bands:
            low, high = bands[name]
            axes.fill_between(horizontal, host(low), host(high), color=color, alpha=0.18, lw=0)
    for i, (name, value) in enumerate((references or {}).items()):
        axes.axhline(float(value), color=INK, lw=1, ls=("--", ":", "-.")[i % 3], label=name)
    if log_x:
        axes.set_xscale("log")
    style_axes(axes, xlabel, ylabel)
    if len(curves) + len(references or {}) > 1:
        axes.legend(fontsize=8, frameon=False, labelcolor=INK)
    return figure


def _is_real(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _numeric_keys(records: Iterable[Mapping[str, Any]], x: str) -> list[str]:
    keys = {key: None for record in records for key, value in record.items() if _is_real(value)}
    return [key for key in keys if key not in {x, "epoch", "step", "seconds", "learning_rate"}]


def _without_part(name: str) -> str:
    """The metric that "train_x", "validation_x" and "x" are about."""
    for part in ("train", "validation", "test"):
        name = name.removeprefix(f"{part}_").removesuffix(f"_{part}")
    return name


def _words(name: str) -> str:
    if name == "seconds":
        return "time"
    words = name.strip("_").replace("_", " ").replace("log likelihood", "log-likelihood")
    return words.replace("pseudo log", "pseudo-log")


def _unit(metric: str) -> str:
    if any(word in metric for word in ("likelihood", "energy", "nll", "log_partition", "bound")):
        return "nats"
    return "s" if metric in ("seconds", "time", "duration") else ""
