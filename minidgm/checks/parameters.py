"""The parameters of any model: the mapping ``params``, or else its floating-point arrays."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from minidgm.backend import asarray, get_backend


def parameters_of(model: Any) -> dict[str, Any]:
    """Return the named parameter arrays of any model."""
    params = getattr(model, "params", None)
    if isinstance(params, Mapping):
        return dict(params)
    found = {}
    for name, value in vars(model).items():
        if get_backend(value) is not None and getattr(value, "ndim", 0) >= 1 and value.dtype.kind == "f":
            found[name] = value
    return found


def set_parameters(model: Any, values: Mapping[str, Any]) -> None:
    """Write values into a model's arrays: in place where they are writable floats, else by assignment."""
    for name, value in values.items():
        target = parameters_of(model)[name]
        backend = get_backend(target) or "numpy"
        if target.dtype.kind == "f" and getattr(getattr(target, "flags", None), "writeable", True):
            target[...] = asarray(value, backend, str(target.dtype))
        elif isinstance(getattr(model, "params", None), Mapping):
            model.params[name] = asarray(value, backend, "float64")
        else:
            setattr(model, name, asarray(value, backend, "float64"))


def with_parameters(model: Any, values: Mapping[str, Any]) -> Any:
    """Return a shallow copy of a model that computes with other arrays, traced ones too."""
    if callable(getattr(model, "with_params", None)):
        return model.with_params(dict(values))
    twin = copy.copy(model)
    if isinstance(getattr(model, "params", None), Mapping):
        twin.params = dict(values)
    else:
        for name, value in values.items():
            setattr(twin, name, value)
    return twin
