"""Groups of units of which at most one is on: means and draws in one pass over the fields."""

from __future__ import annotations

from typing import Any

__all__ = ["at_most_one"]

BLOCK = 65536  # elements of a block on the host: its passes stay in the second-level cache
SAFE = 60.0  # exp of less than this, summed over any group, is finite in float32


def at_most_one(xp: Any, x: Any, k: int, bias: Any, u: Any, draw: Any, mean: Any) -> None:
    """Write the probabilities of groups of ``k`` neighbouring columns and a draw from them.

    Unit j of a group is on with probability exp(x_j) / (1 + sum_l exp(x_l)), and none with what is left.

    Parameters
    ----------
    xp : module
        Namespace of the arrays.
    x : array [n, d]
        Fields; d is a multiple of k. May be ``draw`` or ``mean``.
    bias : array [d] or None
        Added to every row.
    u : array [n, d / k] or None
        Uniform numbers, one a group: unit j is drawn where u lies in the j-th piece of [0, 1).
    draw, mean : array [n, d] or None
        Results; not both None.
    """
    n, d = x.shape
    step = max(1, BLOCK // max(d, 1)) if xp.__name__ == "numpy" else max(n, 1)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        parts = (None if a is None else a[rows] for a in (u, draw, mean))
        _block(xp, x[rows], k, bias, *parts)


def _block(xp: Any, x: Any, k: int, bias: Any, u: Any, draw: Any, mean: Any) -> None:
    e = draw if mean is None else mean
    e = xp.add(x, 0.0 if bias is None else bias, out=e)
    columns = [e[:, j::k] for j in range(k)]
    idle: Any = 1.0
    if xp.__name__ != "numpy" or not e.max(initial=0.0) < SAFE:
        top = xp.maximum(columns[0], 0.0)
        for column in columns[1:]:
            xp.maximum(top, column, out=top)
        for column in columns:
            xp.subtract(column, top, out=column)
        idle = xp.exp(-top)
    xp.exp(e, out=e)
    total = columns[0] + idle
    for column in columns[1:]:
        xp.add(total, column, out=total)
    if draw is not None:
        _draw(xp, columns, xp.multiply(u, total), draw, k)
    if mean is not None:
        xp.divide(1.0, total, out=total)
        for column in columns:
            xp.multiply(column, total, out=column)


def _draw(xp: Any, columns: list[Any], place: Any, draw: Any, k: int) -> None:
    # ``draw`` may be the memory of the columns: each is added before it is overwritten.
    cumulated = columns[0].copy()
    below = place < cumulated
    draw[:, 0::k] = below
    for j in range(1, k):
        xp.add(cumulated, columns[j], out=cumulated)
        here = place < cumulated
        draw[:, j::k] = here ^ below
        below = here
