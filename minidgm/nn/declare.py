"""Nets as short lists: names and numbers to layers, and layers to what a model file can hold."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from minidgm.errors import unknown
from minidgm.nn.layer import Layer

__all__ = ["declare", "describe"]


def declare(layers: Sequence[Any]) -> list[Layer]:
    """Make layers from a list of layers, names, tuples of a name and its arguments, or what `describe` gave.

    Raises
    ------
    ValueError
        For a name that no layer has (with the nearest).
    TypeError
        For anything else, and for arguments that a layer does not take.

    Examples
    --------
    >>> declare([("dense", 200), "tanh", ("dense", 10)])
    [Dense(n_out=200), Tanh(), Dense(n_out=10)]
    """
    if isinstance(layers, (str, Layer)):
        layers = [layers]
    return [_one(item) for item in layers]


def describe(layers: Sequence[Layer]) -> list[Any]:
    """Return what `declare` makes the same layers from: pairs of a name and its arguments, JSON-able.

    >>> from minidgm import nn
    >>> describe([nn.Dense(2)])
    [['Dense', {'n_out': 2, 'bias': True, 'init': 'glorot'}]]
    """
    return [[type(layer).__name__, _plain(layer.config())] for layer in layers]


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in config.items()}


def _one(item: Any) -> Layer:
    if isinstance(item, Layer):
        return item
    name, *arguments = [item] if isinstance(item, str) else item if isinstance(item, Sequence) else [None]
    if not isinstance(name, str):
        raise TypeError(
            f"{item!r} is no layer; expected one of minidgm.nn, a name, or a tuple such as ('dense', 10)"
        )
    cls = _named(name)
    if len(arguments) == 1 and isinstance(arguments[0], dict):
        options = dict(arguments[0])
        if "inner" in options:
            options["inner"] = _one(options["inner"])
        if "layers" in options:
            options["layers"] = declare(options["layers"])
        arguments = []
    else:
        options = {}
    try:
        return cls(*arguments, **options)
    except TypeError as error:
        raise TypeError(f"{item!r}: {error}; {cls.__name__}{inspect.signature(cls)}") from None


def _named(name: str) -> Any:
    from minidgm import nn

    classes = {
        known: found
        for known in nn.__all__
        if inspect.isclass(found := getattr(nn, known)) and issubclass(found, Layer) and found is not Layer
    }
    by_case = {known.lower(): found for known, found in classes.items()}
    key = name.lower().replace("_", "")
    if key not in by_case:
        raise unknown("layer", name, classes)
    return by_case[key]
