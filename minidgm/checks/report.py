"""What a check found: one result an identity, printed as a table."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Result:
    """The verdict on one identity.

    Attributes
    ----------
    name, equation, source, number : str
        As in the catalogue.
    verdict : str
        ``"holds"``, ``"fails"`` (the two sides differ) or ``"raises"`` (a method raised where it should
        answer).
    worst_error : float
        Largest error over all examples: absolute below 1, relative above; statistic / threshold for
        statistical ones.
    tolerance : float
        What was allowed.
    examples : int
        How many examples were drawn.
    message : str
        For a failure: smallest failing example, the two sides, the likely cause. Else notes, or ``""``.
    """

    name: str
    equation: str
    verdict: str
    worst_error: float
    tolerance: float
    source: str = ""
    number: str = ""
    examples: int = 0
    message: str = ""

    @property
    def ok(self) -> bool:
        """Whether the identity holds."""
        return self.verdict == "holds"


@dataclass(frozen=True)
class Report:
    """Every result of one :func:`minidgm.checks.check_model`.

    ``print(report)`` shows a table and, below it, each failure in full.

    Attributes
    ----------
    model : str
        What was checked.
    results : tuple of Result
    not_applicable : dict
        Identity name -> the method it lacks, or another reason.
    notes : tuple of str
        What was done to the model before checking (a small twin in its place, for example).
    seconds : float
    """

    model: str
    results: tuple[Result, ...]
    not_applicable: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every identity that applies holds, and at least one applied."""
        return bool(self.results) and all(r.ok for r in self.results)

    @property
    def failures(self) -> tuple[Result, ...]:
        """The results that do not hold."""
        return tuple(r for r in self.results if not r.ok)

    def __getitem__(self, name: str) -> Result:
        for result in self.results:
            if result.name == name:
                return result
        raise KeyError(
            f"{name!r} was not checked"
            + (f": {self.not_applicable[name]}" if name in self.not_applicable else "")
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {
            "model": self.model,
            "ok": self.ok,
            "notes": list(self.notes),
            "seconds": self.seconds,
            "results": [
                {**{k: getattr(r, k) for k in r.__dataclass_fields__}, "worst_error": _json(r.worst_error)}
                for r in self.results
            ],
            "not_applicable": dict(self.not_applicable),
        }

    def __str__(self) -> str:
        remarks = "".join(f"\n  note: {r.name}: {r.message}" for r in self.results if r.ok and r.message)
        return self.table() + remarks + "".join("\n\n" + r.message for r in self.failures)

    def table(self) -> str:
        """Return the table alone: number, identity, equation, worst error, tolerance, verdict."""
        head = ("no.", "identity", "equation", "worst error", "allowed", "verdict")
        rows = [
            (r.number, r.name, r.equation, show_number(r.worst_error), show_number(r.tolerance), r.verdict)
            for r in self.results
        ]
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
            for row in [head, *rows]
        ]
        lines.insert(1, "  ".join("-" * w for w in widths))
        held = sum(r.ok for r in self.results)
        title = f"{self.model}: {held} of {len(self.results)} identities hold"
        if not self.results:
            title = f"{self.model}: no identity applies; it needs methods such as energy(v, h) or log_prob(v)"
        notes = [f"  note: {note}" for note in self.notes]
        return "\n".join([title, *notes, "", *lines] if self.results else [title, *notes])


def show_number(x: float) -> str:
    """Write an error in two digits.

    >>> show_number(0.0), show_number(1.0), show_number(3.14159e-16), show_number(float("inf"))
    ('0', '1', '3.1e-16', 'inf')
    """
    return f"{x:.2g}"


def show_array(x: Any) -> str:
    """Write an array as short as it can be read back by a person."""
    if isinstance(x, (list, tuple, str)):
        return str(x)
    with np.printoptions(precision=10, suppress=False, threshold=64, linewidth=100):
        return str(np.asarray(x)).replace("\n\n", "\n")


def failure_message(
    model: str,
    identity: Any,
    label: str,
    sides: tuple[Any, Any] | None,
    problem: str,
    example: dict[str, Any],
) -> str:
    """Compose the message of one failure: equation, example, both sides, likely cause."""
    lines = [f"{model}: {identity.name} does not hold"]
    lines.append(f"  equation      {identity.equation}" + (f"   ({label})" if label else ""))
    if identity.source:
        lines.append(
            f"  source        {identity.source}"
            + (f"; identity {identity.number}" if identity.number else "")
        )
    lines.append(f"  problem       {problem}")
    if sides is not None:
        for name, side in zip(("left side", "right side"), sides, strict=True):
            lines.append(_entry(name, show_array(side)))
    for i, (name, value) in enumerate(example.items()):
        if i == 0:
            lines.append("  smallest failing example")
        lines.append(_entry("  " + name, show_array(value)))
    if identity.likely_cause:
        lines.append(f"  likely cause  {identity.likely_cause}")
    return "\n".join(lines)


def _entry(name: str, text: str) -> str:
    pad = max(14, len(name) + 1)
    return f"  {name:<{pad - 1}} " + textwrap.indent(text, " " * (pad + 2)).lstrip()


def _json(x: float) -> float | str:
    return x if np.isfinite(x) else str(x)
