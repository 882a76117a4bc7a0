"""Checks of hyperparameters, so that each error names the argument, what came and what is allowed."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any


def real(name: str, value: Any, low: float = 0.0, below: float = math.inf, positive: bool = False) -> float:
    """Return ``value`` as a float in [low, below), or in (low, below) if ``positive``.

    >>> real("momentum", 1.5, below=1.0)
    Traceback (most recent call last):
    ...
    ValueError: momentum must be in [0, 1), got 1.5
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r} of type {type(value).__name__}")
    number = float(value)
    if not low <= number < below or (positive and number == low):
        raise ValueError(f"{name} must be in {'(' if positive else '['}{low:g}, {below:g}), got {value!r}")
    return number


def count(name: str, value: Any, low: int = 1) -> int:
    """Return ``value`` as an integer of at least ``low``.

    >>> count("epochs", -3)
    Traceback (most recent call last):
    ...
    ValueError: epochs must be an integer of at least 1, got -3
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {value!r} of type {type(value).__name__}")
    if value < low:
        raise ValueError(f"{name} must be an integer of at least {low}, got {value!r}")
    return int(value)
