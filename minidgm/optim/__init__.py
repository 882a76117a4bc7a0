"""Optimizers: one pass over the parameters' buffer a step, and schedules for their rates."""

from __future__ import annotations

from typing import Any

from minidgm.errors import unknown
from minidgm.optim import schedules
from minidgm.optim.adam import Adam, AdamW
from minidgm.optim.base import Optimizer
from minidgm.optim.schedules import Constant, Cosine, Linear, Step, Warmup
from minidgm.optim.sgd import SGD, Momentum, Nesterov

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "Linear",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "Step",
    "Warmup",
    "from_config",
    "from_name",
    "schedules",
]

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adam": Adam,
    "adamw": AdamW,
}


def from_name(name: str, **settings: Any) -> Optimizer:
    """Build an optimizer by name, in any case.

    >>> from_name("adam", learning_rate=0.01).rate
    0.01
    >>> from_name("addam")
    Traceback (most recent call last):
    ...
    ValueError: unknown optimizer 'addam'; did you mean 'adam'? Known: sgd, momentum, nesterov, adam, adamw.
    """
    try:
        return OPTIMIZERS[name.lower()](**settings)
    except KeyError:
        raise unknown("optimizer", name, OPTIMIZERS) from None


def from_config(config: dict[str, Any]) -> Optimizer:
    """Build an optimizer from its ``config()``.

    >>> from_config(SGD(Linear(0.1, steps=100), momentum=0.5).config()).momentum
    0.5
    """
    settings = dict(config)
    rate = settings.get("learning_rate")
    if isinstance(rate, dict):
        settings["learning_rate"] = schedules.from_config(rate)
    elif isinstance(rate, str):
        raise ValueError(f"the learning rate was a {rate}, which cannot be rebuilt from its name")
    return from_name(settings.pop("name"), **settings)
