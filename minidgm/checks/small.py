"""Models small enough to enumerate: constructed from a class, or in the likeness of a large instance."""

from __future__ import annotations

import inspect
import math
from typing import Any

MAX_JOINT = 64
SMALL = {"n_visible": 3, "n_hidden": 2}
SIZES = {"visible": ("n_visible", "num_visible", "n_v"), "hidden": ("n_hidden", "num_hidden", "n_h")}


def construct(model_class: Any, backend: str | None, dtype: str | None) -> Any:
    """A small instance of a class: what its method ``small`` makes, or three visible and two hidden units."""
    if callable(getattr(model_class, "small", None)):
        return model_class.small(dtype=dtype or "float64", **({"backend": backend} if backend else {}))
    try:
        accepted = set(inspect.signature(model_class).parameters)
    except (TypeError, ValueError):
        accepted = set()
    options: dict[str, Any] = {key: value for key, value in SMALL.items() if key in accepted}
    options |= {"dtype": dtype or "float64"} if "dtype" in accepted else {}
    options |= {"backend": backend} if "backend" in accepted and backend else {}
    try:
        return model_class(**options)
    except TypeError as error:
        arguments = ", ".join(f"{key}={value!r}" for key, value in options.items())
        raise TypeError(
            f"{model_class.__name__}({arguments}) does not construct: {error}. "
            "Pass an instance instead, or let the other arguments have defaults"
        ) from error


def _units(model: Any) -> dict[str, Any]:
    return {side: getattr(model, side, None) for side in SIZES}


def is_small(model: Any) -> bool:
    """Whether an instance has few enough joint states to be checked as it is."""
    total = 1.0
    for side, unit in _units(model).items():
        n = next((getattr(model, name) for name in SIZES[side] if hasattr(model, name)), 0)
        states = unit.n_states(n) if hasattr(unit, "n_states") else 2.0 ** int(n)
        if math.isinf(states):
            total *= 1.0 if n <= 2 else math.inf
        else:
            total *= states
    return total <= MAX_JOINT


def small_sizes(model: Any) -> dict[str, int]:
    """Numbers of units, no larger than the model's, that make a small twin of it."""
    sizes = {}
    for side, unit in _units(model).items():
        name = f"n_{side}"
        given = getattr(model, name, None)
        if not given:
            continue
        k = getattr(unit, "k", 1)
        continuous = hasattr(unit, "n_states") and math.isinf(unit.n_states(k))
        sizes[name] = min(given, 2 * k if k > 1 or continuous else SMALL[name])
    return sizes
