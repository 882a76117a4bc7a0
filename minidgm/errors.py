"""Errors that say what came, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class DataError(ValueError):
    """Data that a model cannot mean: wrong width, rank, dtype, domain, or not finite."""


class IntractableError(ValueError):
    """An exact quantity was asked for where enumeration is out of reach; the message says what to call."""


class DivergenceError(FloatingPointError):
    """Training met a value that is not finite; names the step, the tensor and the likely cause."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, or that belongs to another run."""


class ModelFileError(ValueError):
    """A model file that is corrupted, truncated, foreign, or of another class or version."""


class BackendError(RuntimeError):
    """A backend that this machine cannot offer; the message says what to install or run."""


class IdentityError(AssertionError):
    """An identity that does not hold; ``report`` has every result."""

    def __init__(self, message: str, report: Any = None):
        super().__init__(message)
        self.report = report


def nearest(name: object, names: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known name, or ``""``.

    >>> nearest("bernouli", ["bernoulli", "gaussian"])
    "; did you mean 'bernoulli'?"
    """
    original = {n.lower(): n for n in names}
    close = difflib.get_close_matches(str(name).lower(), original, n=1, cutoff=0.5)
    return f"; did you mean {original[close[0]]!r}?" if close else ""


def unknown(kind: str, name: object, names: Iterable[str]) -> ValueError:
    """Build the error for a name that is not in a catalogue.

    >>> raise unknown("unit", "gausian", ["bernoulli", "gaussian"])
    Traceback (most recent call last):
    ...
    ValueError: unknown unit 'gausian'; did you mean 'gaussian'? Known: bernoulli, gaussian.
    """
    names = list(names)
    hint = nearest(name, names)
    known = f"{'Known' if hint else 'known'}: {', '.join(names)}."
    return ValueError(f"unknown {kind} {name!r}{hint or ';'} {known}")
