"""Text for a terminal: tables, headings, numbers, and JSON for programs."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

BOLD, DIM, RED, GREEN = "1", "2", "31", "32"


def styled(text: str, style: str, stream: Any = None) -> str:
    """Wrap text in an ANSI style where the stream is a terminal (and NO_COLOR is not set)."""
    stream = stream or sys.stdout
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\033[{style}m{text}\033[0m"


def heading(text: str) -> None:
    """Print a section title on stdout."""
    print(f"\n{styled(text, BOLD)}")


def note(text: str) -> None:
    """Say something on stderr: progress, hints."""
    print(text, file=sys.stderr, flush=True)


def width() -> int:
    """Columns of the terminal; a wide page where there is none."""
    return shutil.get_terminal_size((110, 24)).columns if sys.stdout.isatty() else 110


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[int] = (),
    wrap: int | None = None,
    columns: int | None = None,
    indent: str = "  ",
) -> str:
    """Lay out a table; column ``wrap`` is broken over lines where the page is too narrow.

    Parameters
    ----------
    head : sequence of str
    rows : sequence of rows of str
    right : sequence of int
        Columns that are aligned to the right.
    wrap : int, optional
    columns : int, optional
        Width of the page; that of the terminal by default.

    Examples
    --------
    >>> print(table(["part", "nats"], [["train", "-17.2"], ["test", "-18.03"]], right=[1]))
      part     nats
      ─────  ──────
      train   -17.2
      test   -18.03
    """
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(head), *cells]) for i in range(len(head))]
    if wrap is not None:
        excess = len(indent) + sum(widths) + 2 * (len(widths) - 1) - (columns or width())
        widths[wrap] = max(len(head[wrap]), 16, widths[wrap] - max(0, excess))

    def lay(row: Sequence[str]) -> list[str]:
        parts = [
            textwrap.wrap(cell, widths[i], break_on_hyphens=False) if i == wrap else [cell]
            for i, cell in enumerate(row)
        ]
        lines = []
        for k in range(max(len(part) or 1 for part in parts)):
            line = [part[k] if k < len(part) else "" for part in parts]
            laid = [
                cell.rjust(w) if i in right else cell.ljust(w)
                for i, (cell, w) in enumerate(zip(line, widths, strict=True))
            ]
            lines.append((indent + "  ".join(laid)).rstrip())
        return lines

    rule = indent + "  ".join("─" * w for w in widths)
    return "\n".join([*lay(head), rule, *(line for row in cells for line in lay(row))])


def number(x: float | None, digits: int = 3) -> str:
    """Write a figure of a table; a dash for what is not there.

    >>> number(-17.17512), number(None), number(float("nan")), number(1234567.0)
    ('-17.175', '–', 'nan', '1,234,567')
    """
    if x is None:
        return "–"
    if not math.isfinite(x):
        return str(x)
    return f"{x:,.0f}" if abs(x) >= 1e5 else f"{x:.{digits}f}"


def small(x: float | None) -> str:
    """Write an error in two digits.

    >>> small(3.14159e-16), small(0.0), small(None)
    ('3.1e-16', '0', '–')
    """
    return "–" if x is None else f"{x:.2g}"


def verdict(result: Any) -> str:
    """Colour a check's verdict."""
    return styled(result.verdict, GREEN if result.ok else RED)


def print_json(value: Any) -> None:
    """Print one JSON document on stdout; infinities and NaN, which JSON lacks, become strings."""
    print(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def plain(value: Any) -> Any:
    """Turn a value into what JSON can hold.

    >>> plain({"a": (1, float("inf")), "b": None})
    {'a': [1, 'inf'], 'b': None}
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    elif hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if isinstance(value, (int, bool)) else str(value)
