"""Strict fake device: NumPy arrays that behave as CUDA arrays do, so that GPU discipline is tested without
a GPU.

A :class:`StrictArray` refuses what a CuPy array refuses (``numpy.asarray``, arithmetic with host arrays),
keeps 0-d results as arrays, and counts each *host read*: everything that on a GPU would stop the host until
the device has finished (``float``, ``bool``, ``int``, ``item``, ``get``, ``nonzero``, indexing by a mask,
printing). The namespace :data:`xp` offers only names and keywords that CuPy has (``cupy_api.json``, listed
from CuPy itself).

>>> a = xp.asarray([1.0, 2.0, 3.0])
>>> with count_host_reads() as reads:
...     total = a.sum()
...     value = float(total)
>>> value, reads.count
(6.0, 1)
>>> xp.vecdot(a, a)
Traceback (most recent call last):
...
AttributeError: CuPy 14.2.0 has no cupy.vecdot, so a model that uses it would fail on a GPU
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from minidgm.checks.host_reads import HostReads, count_host_reads, note_host_read
from minidgm.checks.signatures import api, check_call

__all__ = ["HostReads", "StrictArray", "count_host_reads", "special", "xp"]

# CuPy returns a 0-d device array where NumPy returns a Python bool or int.
_SCALAR_ON_HOST = {"allclose", "array_equal", "array_equiv", "count_nonzero"}
# CuPy reads the size of the result from the device.
_SYNCHRONIZE = {"argwhere", "bincount", "compress", "extract", "flatnonzero", "nonzero", "unique"}
_NO_TWIN = {"data", "dump", "dumps", "tofile"}
_UFUNC_METHODS = {"accumulate", "at", "outer", "reduce", "reduceat"}
_FROM_HOST = {"array", "asarray", "ascontiguousarray", "asfortranarray"}


def _refuse_host(x: np.ndarray, where: str) -> None:
    raise TypeError(
        f"{where} got a NumPy array of shape {x.shape} together with device arrays; CuPy refuses the mix. "
        "Move it with minidgm.backend.asarray(x, backend)"
    )


def _unwrap(x: Any, where: str) -> Any:
    if isinstance(x, StrictArray):
        return x._host
    if isinstance(x, (int, float)):
        return x
    if isinstance(x, np.ndarray):
        _refuse_host(x, where)
    if isinstance(x, (list, tuple)):
        return type(x)([_unwrap(item, where) for item in x])
    if isinstance(x, slice) and any(isinstance(i, StrictArray) for i in (x.start, x.stop, x.step)):
        note_host_read("index()")
        return slice(*(_unwrap(i, where) for i in (x.start, x.stop, x.step)))
    return x


def _wrap(x: Any) -> Any:
    if isinstance(x, (np.ndarray, np.generic)):
        return StrictArray(x)
    if isinstance(x, (list, tuple)):
        return type(x)(*map(_wrap, x)) if hasattr(x, "_fields") else type(x)([_wrap(item) for item in x])
    return x


def _call(function: Callable[..., Any], where: str, args: Any, kwargs: dict[str, Any]) -> Any:
    out = kwargs.get("out")
    args = [_unwrap(a, where) for a in args]
    if kwargs:
        kwargs = {key: _unwrap(value, where) for key, value in kwargs.items()}
    with np.errstate(all="ignore"):  # a CUDA device neither warns nor raises
        result = function(*args, **kwargs)
    return result if out is None and result is None else _wrap(result) if out is None else out


@cache
def _known_ufunc(ufunc: np.ufunc) -> tuple[str, Any]:
    for section in ("cupy", "cupyx.scipy.special"):
        if ufunc.__name__ in api()[section]:
            return f"{section}.{ufunc.__name__}", api()[section][ufunc.__name__]
    raise TypeError(f"CuPy {api()['version']} has no ufunc {ufunc.__name__}")


class StrictArray(NDArrayOperatorsMixin):
    """An array on the fake device; made by ``xp`` functions or ``minidgm.backend.asarray(x, "strict")``.

    Parameters
    ----------
    host : array_like
        The values. No copy: the array becomes the device's memory.
    """

    __slots__ = ("_host",)
    _host: np.ndarray

    def __init__(self, host: Any):
        self._host = np.asarray(host)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._host.shape

    @property
    def dtype(self) -> np.dtype:
        return self._host.dtype

    @property
    def ndim(self) -> int:
        return self._host.ndim

    @property
    def size(self) -> int:
        return self._host.size

    @property
    def T(self) -> StrictArray:
        return StrictArray(self._host.T)

    @property
    def base(self) -> StrictArray | None:
        return None if self._host.base is None else StrictArray(self._host.base)

    def __getattr__(self, name: str) -> Any:
        methods = api()["cupy.ndarray"]
        if name.startswith("_") or name not in methods or not hasattr(np.ndarray, name) or name in _NO_TWIN:
            has = "the strict device has no twin of" if name in methods else f"CuPy {api()['version']} has no"
            raise AttributeError(f"{has} cupy.ndarray.{name}")
        attribute = getattr(self._host, name)
        if not callable(attribute):
            return _wrap(attribute)

        def method(*args: Any, **kwargs: Any) -> Any:
            check_call(f"ndarray.{name}", methods[name], len(args), kwargs)
            if name in _SYNCHRONIZE:
                note_host_read(f"{name}()")
            return _call(attribute, f"ndarray.{name}", args, kwargs)

        return method

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError(
            "implicit conversion of a device array to a NumPy array; CuPy refuses it. "
            "Use minidgm.backend.to_numpy(x) where a copy on the host is meant, and xp functions elsewhere"
        )

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        where, parameters = _known_ufunc(ufunc)
        out = kwargs.get("out")
        if isinstance(out, tuple) and len(out) == 1:
            kwargs["out"] = out[0]
        if method != "__call__":
            return _call(getattr(ufunc, method), where, inputs, kwargs)
        check_call(where, parameters, 0, kwargs)
        return _call(ufunc, where, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        namespace = xp
        for part in function.__module__.split(".")[1:]:
            namespace = getattr(namespace, part)
        return getattr(namespace, function.__name__)(*args, **kwargs)

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Iterator[StrictArray]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> StrictArray:
        key = _unwrap(key, "an index")
        parts = key if isinstance(key, tuple) else (key,)
        if any(isinstance(k, np.ndarray) and k.dtype.kind == "b" for k in parts):
            note_host_read("mask")
        return StrictArray(self._host[key])

    def __setitem__(self, key: Any, value: Any) -> None:
        with np.errstate(all="ignore"):
            self._host[_unwrap(key, "an index")] = _unwrap(value, "an assignment")

    def get(self, stream: Any = None, order: Any = "C", out: Any = None, blocking: bool = True) -> Any:
        """Copy to the host: the explicit way off the device."""
        note_host_read("get()")
        if out is None:
            return np.array(self._host, order=order)
        out[...] = self._host
        return out

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        """Copy from a host array of the same shape and dtype."""
        if arr.shape != self.shape or arr.dtype != self.dtype:
            raise ValueError(f"set() got {arr.dtype}{arr.shape}, this array is {self.dtype}{self.shape}")
        self._host[...] = arr

    def item(self, *args: Any) -> Any:
        """Read one element as a Python scalar."""
        note_host_read("item()")
        return self._host.item(*args)

    def tobytes(self, order: Any = "C") -> bytes:
        """Copy to the host as bytes."""
        note_host_read("tobytes()")
        return self._host.tobytes(order)

    def tolist(self) -> Any:
        """Read all elements as nested lists of Python scalars."""
        note_host_read("tolist()")
        return self._host.tolist()

    def __bool__(self) -> bool:
        note_host_read("bool()")
        return bool(self._host)

    def __float__(self) -> float:
        note_host_read("float()")
        return float(self._host.item())

    def __int__(self) -> int:
        note_host_read("int()")
        return int(self._host.item())

    def __complex__(self) -> complex:
        note_host_read("complex()")
        return complex(self._host.item())

    def __index__(self) -> int:
        note_host_read("index()")
        return self._host.__index__()

    def __repr__(self) -> str:
        note_host_read("repr()")
        return repr(self._host).replace("array", "StrictArray", 1)

    def __str__(self) -> str:
        note_host_read("str()")
        return str(self._host)

    def __format__(self, spec: str) -> str:
        note_host_read("format()")
        return format(self._host, spec)

    def __copy__(self) -> StrictArray:
        return StrictArray(self._host.copy())

    def __deepcopy__(self, memo: Any) -> StrictArray:
        return StrictArray(self._host.copy())

    def __reduce__(self) -> Any:
        return StrictArray, (self._host.copy(),)


class _Namespace:
    """A NumPy (or SciPy) module seen through CuPy's list of names and signatures."""

    def __init__(self, section: str, name: str, modules: dict[str, _Namespace] | None = None):
        self.__name__ = f"minidgm.checks.strict.{name}"
        self._section = section
        self._global = name
        self.__dict__.update(modules or {})

    def _host_module(self) -> Any:
        if self._section == "cupyx.scipy.special":
            import scipy.special

            return scipy.special
        return {"cupy": np, "cupy.linalg": np.linalg, "cupy.fft": np.fft}[self._section]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "random":
            raise AttributeError("draw with a minidgm Generator, which is the same on every backend")
        listed = api()[self._section]
        if name not in listed:
            what = f"CuPy {api()['version']} has no {self._section}.{name}"
            raise AttributeError(f"{what}, so a model that uses it would fail on a GPU")
        if name == "ndarray":
            return StrictArray
        if name == "asnumpy":
            return lambda a, **_: a.get() if isinstance(a, StrictArray) else np.asarray(a)
        host = getattr(self._host_module(), name, None)
        if host is None and name not in ("newaxis",):
            raise AttributeError(f"the strict device has no twin of {self._section}.{name}")
        value = host
        if callable(host) and not isinstance(host, type):
            value = _Function(f"{self._section}.{name}", name, host, listed[name])
        setattr(self, name, value)
        return value

    def __reduce__(self) -> str:
        return self._global

    def __repr__(self) -> str:
        return f"<{self._section} on the strict fake device>"


class _Function:
    """One function of the namespace; ufunc methods (``add.at``, ``add.reduce``) hang off it."""

    def __init__(self, where: str, name: str, host: Any, parameters: Any):
        self.__name__ = name
        self._where, self._host, self._parameters = where, host, parameters

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name, where = self.__name__, self._where
        check_call(where, self._parameters, len(args), kwargs)
        if name in _FROM_HOST:
            args = tuple(StrictArray(a.copy()) if isinstance(a, np.ndarray) else a for a in args)
        if name in _SYNCHRONIZE or (name == "where" and len(args) == 1):
            note_host_read(f"{name}()")
        if name in ("arange", "linspace") and any(isinstance(a, StrictArray) for a in args):
            note_host_read(f"{name}()")
        result = _call(self._host, where, args, kwargs)
        return StrictArray(result) if isinstance(result, (bool, int)) and name in _SCALAR_ON_HOST else result

    def __getattr__(self, name: str) -> Any:
        if not isinstance(self._host, np.ufunc) or name not in _UFUNC_METHODS:
            raise AttributeError(f"{self._where} has no attribute {name}")
        method = getattr(self._host, name)
        return lambda *args, **kwargs: _call(method, f"{self._where}.{name}", args, kwargs)

    def __repr__(self) -> str:
        return f"<{self._where} on the strict fake device>"


linalg = _Namespace("cupy.linalg", "linalg")
fft = _Namespace("cupy.fft", "fft")
special = _Namespace("cupyx.scipy.special", "special")
xp = _Namespace("cupy", "xp", {"linalg": linalg, "fft": fft})
