"""Where arrays live: NumPy, CuPy, autograd tracing, the strict fake device; kernels aside, the only import
of cupy.

The same line of math runs everywhere because it asks its inputs for their namespace: ``xp = get_xp(v, h)``.
The name of a backend appears only in constructors, :func:`asarray` and :func:`prefetch`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from minidgm.errors import BackendError, unknown
from minidgm.random import Generator

__all__ = [
    "BACKENDS",
    "Generator",
    "asarray",
    "get_backend",
    "get_xp",
    "is_array",
    "namespace",
    "prefetch",
    "special",
    "synchronize",
    "to_numpy",
]

BACKENDS = ("numpy", "cupy", "strict")

_NO_CUPY = (
    "backend='cupy' needs CuPy, which is not installed: pip install \"minidgm[cuda13]\" (driver 580 or "
    "newer) or pip install \"minidgm[cuda12]\" (driver 525 or newer); without a GPU use backend='numpy'"
)
_CUDA_ERROR_NO_DEVICE = 100
_usable: Any = None  # the cupy module once a device has answered


def get_backend(x: Any) -> str | None:
    """Name the backend an array belongs to.

    Parameters
    ----------
    x : object

    Returns
    -------
    {"numpy", "cupy", "autograd", "strict"} or None
        None for what is not an array (Python scalars, lists, None).

    Examples
    --------
    >>> get_backend(np.zeros(3)), get_backend(3.0)
    ('numpy', None)
    """
    if isinstance(x, (np.ndarray, np.generic)):
        return "numpy"
    module = type(x).__module__
    if module == "minidgm.checks.strict":
        return "strict"
    package = module.partition(".")[0]
    return package if package in ("cupy", "autograd") else None


def is_array(x: Any) -> bool:
    """Say whether ``x`` is an array of any backend.

    >>> is_array(np.zeros(3)), is_array([0.0])
    (True, False)
    """
    return get_backend(x) is not None


def namespace(name: str) -> Any:
    """Return the array namespace of a backend by name.

    Parameters
    ----------
    name : {"numpy", "cupy", "strict", "autograd"}

    Returns
    -------
    module
        ``numpy``, ``cupy``, ``minidgm.checks.strict.xp`` or ``autograd.numpy``.

    Raises
    ------
    ValueError
        If there is no such backend.
    BackendError
        If ``name`` is "cupy" and CuPy, a driver or a device is missing; says which, and what to do.

    Examples
    --------
    >>> namespace("numpy").__name__
    'numpy'
    """
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


def _cupy() -> Any:
    global _usable
    try:
        import cupy
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "cupy":
            raise BackendError(_NO_CUPY) from error
        raise BackendError(f"backend='cupy': CuPy is installed but cannot be imported: {error}") from error
    if cupy is _usable:
        return cupy
    runtime = cupy.cuda.runtime
    try:
        n_devices = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        if getattr(error, "status", None) != _CUDA_ERROR_NO_DEVICE:
            built, supported = _version(runtime.runtimeGetVersion), _version(runtime.driverGetVersion)
            raise BackendError(
                f"backend='cupy': CuPy {cupy.__version__} found no usable CUDA driver ({error}); "
                f"it was built for CUDA {built}, the driver supports {supported}. Install or update "
                "the NVIDIA driver (nvidia-smi shows it), or use backend='numpy'"
            ) from error
        n_devices = 0
    if n_devices == 0:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        raise BackendError(
            "backend='cupy': the CUDA driver works but shows no device; CUDA_VISIBLE_DEVICES is "
            f"{'not set' if visible is None else repr(visible)}. Make a device visible "
            "(nvidia-smi -L lists them), or use backend='numpy'"
        )
    _usable = cupy
    return cupy


def _version(ask: Any) -> str:
    try:
        version = int(ask())
    except Exception:
        return "unknown"
    return f"{version // 1000}.{version % 1000 // 10}" if version else "none"


def special(xp: Any) -> Any:
    """Return the special functions that belong to an array namespace.

    Parameters
    ----------
    xp : module
        As returned by :func:`get_xp`.

    Returns
    -------
    module
        ``scipy.special``, ``cupyx.scipy.special``, ``autograd.scipy.special`` or the strict device's.

    Examples
    --------
    >>> float(special(np).gammaln(3.0)).__round__(4)
    0.6931
    """
    name = xp.__name__
    if name == "numpy":
        import scipy.special

        return scipy.special
    if name == "cupy":
        import cupyx.scipy.special

        return cupyx.scipy.special
    if name == "autograd.numpy":
        import autograd.scipy.special

        return autograd.scipy.special
    return sys.modules["minidgm.checks.strict"].special


def get_xp(*arrays: Any, **named: Any) -> Any:
    """Return the namespace that computes with these arrays, and refuse a mix of host and device.

    Parameters
    ----------
    *arrays, **named : arrays, Python scalars or None
        Scalars and None belong anywhere. Names given as keywords appear in the error.

    Returns
    -------
    module
        ``numpy`` where no array came; ``autograd.numpy`` where any array is traced.

    Raises
    ------
    TypeError
        If the arrays are of different backends; says which argument is where.

    Examples
    --------
    >>> get_xp(np.zeros(3), 1.0).__name__
    'numpy'
    >>> from minidgm.checks.strict import xp
    >>> get_xp(v=xp.zeros(3), weights=np.ones(3))
    Traceback (most recent call last):
    ...
    TypeError: weights is a numpy array, but v is on 'strict'; move it with asarray(weights, 'strict')
    """
    for array in (*arrays, *named.values()):
        if type(array) is not np.ndarray:
            break
    else:
        return np  # what a step on the host asks, again and again
    found: str | None = None
    first: Any = None
    for label, array in (*enumerate(arrays), *named.items()):
        backend = get_backend(array)
        if backend is None or backend == found:
            continue
        if found is None:
            found, first = backend, label
        elif found in ("numpy", "autograd") and backend in ("numpy", "autograd"):
            found = "autograd"
        else:
            raise _mix(label, backend, first, found)
    return np if found is None or found == "numpy" else namespace(found)


def _mix(label: Any, backend: str, first: Any, found: str) -> TypeError:
    this, other = (f"argument {i + 1}" if isinstance(i, int) else i for i in (label, first))
    if found == "numpy":  # the host array is the one to move
        this, backend, other, found = other, found, this, backend
    return TypeError(
        f"{this} is a {backend} array, but {other} is on {found!r}; "
        f"move it with asarray({this if ' ' not in this else 'x'}, {found!r})"
    )


def asarray(x: Any, backend: str = "numpy", dtype: Any = None, copy: bool = False) -> Any:
    """Put ``x`` on a backend: the one way onto a device.

    Parameters
    ----------
    x : array of any backend, number or nested list
    backend : {"numpy", "cupy", "strict"}
    dtype : dtype, optional
        By default that of ``x``.
    copy : bool
        Copy even where ``x`` already is such an array.

    Returns
    -------
    array
        Traced (autograd) arrays come back unchanged.

    Examples
    --------
    >>> asarray([0, 1], dtype="float32")
    array([0., 1.], dtype=float32)
    """
    source = get_backend(x)
    if source == "autograd":
        return x
    if backend == "numpy":
        return np.array(to_numpy(x), dtype=dtype) if copy else np.asarray(to_numpy(x), dtype=dtype)
    xp = namespace(backend)
    if source == backend:
        return xp.array(x, dtype=dtype, copy=True) if copy else xp.asarray(x, dtype=dtype)
    return xp.asarray(np.asarray(to_numpy(x), dtype=dtype))


def to_numpy(x: Any) -> np.ndarray:
    """Bring an array to the host: the one way off a device. On CUDA this waits for the device.

    Raises
    ------
    TypeError
        If ``x`` is traced by autograd: it has no value to take out.

    Examples
    --------
    >>> to_numpy([1, 2])
    array([1, 2])
    """
    backend = get_backend(x)
    if backend in ("cupy", "strict"):
        return x.get()
    if backend == "autograd":
        raise TypeError("to_numpy of a value that autograd traces; compute with xp = get_xp(x) instead")
    return np.asarray(x)


def synchronize(backend: str) -> None:
    """Wait until the device has done all work given to it; nothing to do on a host.

    >>> synchronize("numpy")
    """
    xp = namespace(backend)
    if backend == "cupy":
        xp.cuda.get_current_stream().synchronize()


def prefetch(batches: Iterable[Any], backend: str, dtype: Any = None) -> Iterator[Any]:
    """Yield batches on a backend; on CUDA copy each while the one before is being computed with.

    Parameters
    ----------
    batches : iterable of arrays
        On the host, or already on the device.
    backend : {"numpy", "cupy", "strict"}
    dtype : dtype, optional
        Cast on the host, before the copy.

    Yields
    ------
    array
        On CUDA copied from pinned staging buffers on a second stream; the current stream waits for the copy,
        the host does not. On the host the same as :func:`asarray`.

    Examples
    --------
    >>> [batch.shape for batch in prefetch([np.zeros((2, 3)), np.zeros((1, 3))], "numpy")]
    [(2, 3), (1, 3)]
    """
    if backend == "cupy":
        from minidgm.kernels.staging import prefetch_cuda

        yield from prefetch_cuda(batches, dtype, namespace(backend))
    else:
        for batch in batches:
            yield asarray(batch, backend, dtype)
