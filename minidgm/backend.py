"""Where arrays live: the one place that knows NumPy, CuPy, autograd tracing and the strict fake device."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np

from minidgm.errors import BackendError, unknown
from minidgm.random import Generator

__all__ = ["BACKENDS", "Generator", "asarray", "get_backend", "get_xp", "is_array", "namespace", "synchronize", "to_numpy"]

BACKENDS = ("numpy", "cupy", "strict")


def get_backend(x: Any) -> str | None:
    """Name the backend an array belongs to, or None for what is not an array."""
    if isinstance(x, (np.ndarray, np.generic)):
        return "numpy"
    module = type(x).__module__
    if module.startswith("cupy"):
        return "cupy"
    if module.startswith("autograd"):
        return "autograd"
    if module == "minidgm.checks.strict":
        return "strict"
    return None


def is_array(x: Any) -> bool:
    """Say whether ``x`` is an array of any backend."""
    return get_backend(x) is not None


def namespace(name: str) -> Any:
    """Return the array namespace of a backend by name."""
    if name == "numpy":
        return np
    if name == "cupy":
        return _cupy()
    if name == "strict":
        from minidgm.checks import strict

        return strict.xp
    if name == "autograd":
        import autograd.numpy

        return autograd.numpy
    raise unknown("backend", name, BACKENDS)


def _cupy() -> ModuleType:
    try:
        import cupy
    except ImportError as error:
        raise BackendError("backend='cupy' needs CuPy, which is not installed") from error
    return cupy


def get_xp(*arrays: Any, **named: Any) -> Any:
    """Return the namespace that computes with these arrays; refuse a mix of host and device."""
    found: str | None = None
    for label, array in [*((f"argument {i}", a) for i, a in enumerate(arrays)), *named.items()]:
        backend = get_backend(array)
        if backend is None or backend == found:
            continue
        if found is None or {found, backend} == {"numpy", "autograd"}:
            found = "autograd" if "autograd" in (found, backend) else backend
        else:
            raise TypeError(f"{label} is a {backend} array, the others are {found} arrays")
    return namespace(found or "numpy")


def asarray(x: Any, backend: str = "numpy", dtype: Any = None) -> Any:
    """Put ``x`` on a backend."""
    if backend == "numpy":
        return np.asarray(to_numpy(x), dtype=dtype)
    xp = namespace(backend)
    return xp.asarray(x if get_backend(x) == backend else to_numpy(x), dtype=dtype)


def to_numpy(x: Any) -> np.ndarray:
    """Bring an array to the host."""
    if get_backend(x) in ("cupy", "strict"):
        return x.get()
    return np.asarray(x)


def synchronize(backend: str) -> None:
    """Wait for the device."""
    if backend == "cupy":
        sys.modules["cupy"].cuda.get_current_stream().synchronize()
