"""Fused CUDA kernels, compiled at first use: draws, optimizer steps and row sums in one pass each.

Every function here has an array twin that the tests compare it with; without a GPU the kernels' source is
compiled for the host and for PTX where a compiler is present. Only reached with CuPy arrays.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import numpy as np

__all__ = [
    "adam_update",
    "bernoulli",
    "bernoulli_from_logits",
    "random_words",
    "sgd_update",
    "sigmoid",
    "softplus_sum",
    "source",
]

_THREADS = 256
_MOST_BLOCKS = 4096
_NULL = np.uint64(0)


def source() -> str:
    """Return the CUDA source of the kernels."""
    return resources.files("minidgm.kernels").joinpath("fused.cu").read_text(encoding="utf-8")


@cache
def _module(dtype: str) -> Any:
    import cupy

    real = {"float32": "float", "float64": "double"}[dtype]
    return cupy.RawModule(code=source(), options=(f"-DREAL={real}",))


def _launch(name: str, dtype: Any, n_items: int, arguments: tuple[Any, ...]) -> None:
    if n_items:
        blocks = min(-(-n_items // _THREADS), _MOST_BLOCKS)
        _module(np.dtype(dtype).name).get_function(name)((blocks,), (_THREADS,), arguments)


def _stream(key: tuple[int, int], counter: int) -> tuple[Any, ...]:
    return np.uint32(key[0]), np.uint32(key[1]), np.uint64(counter)


def random_words(xp: Any, key: tuple[int, int], counter: int, n: int) -> Any:
    """Twin of :func:`minidgm.kernels.philox.words`: uint32 [n]."""
    out = xp.empty(n, dtype=xp.uint32)
    _launch("random_words", "float32", -(-n // 4), (out, np.uint64(n), *_stream(key, counter)))
    return out


def bernoulli(xp: Any, p: Any, out: Any, key: tuple[int, int], counter: int) -> Any:
    """Write draws with probabilities ``p`` into ``out``, both of one shape and dtype."""
    p, target = xp.ascontiguousarray(p), _contiguous(xp, out)
    _launch("bernoulli", p.dtype, -(-p.size // 4), (p, target, np.uint64(p.size), *_stream(key, counter)))
    return _written(out, target)


def bernoulli_from_logits(
    xp: Any, x: Any, bias: Any, out: Any, mean: Any, key: tuple[int, int], counter: int
) -> Any:
    """Write draws with probabilities sigmoid(x + bias) into ``out``; ``bias`` and ``mean`` may be None."""
    x, target = xp.ascontiguousarray(x), _contiguous(xp, out)
    target_mean = None if mean is None else _contiguous(xp, mean)
    arguments = (
        x,
        _NULL if bias is None else xp.ascontiguousarray(bias),
        target,
        _NULL if target_mean is None else target_mean,
        np.uint64(x.size),
        np.uint64(x.shape[-1] if x.ndim else 1),
    )
    _launch("bernoulli_from_logits", x.dtype, -(-x.size // 4), (*arguments, *_stream(key, counter)))
    if mean is not None:
        _written(mean, target_mean)
    return _written(out, target)


def sigmoid(xp: Any, x: Any, bias: Any, out: Any) -> Any:
    """Write sigmoid(x + bias) into ``out``; ``bias`` may be None."""
    x, target = xp.ascontiguousarray(x), _contiguous(xp, out)
    bias = _NULL if bias is None else xp.ascontiguousarray(bias)
    width = np.uint64(x.shape[-1] if x.ndim else 1)
    _launch("sigmoid", x.dtype, x.size, (x, bias, target, np.uint64(x.size), width))
    return _written(out, target)


def sgd_update(
    p: Any, g: Any, velocity: Any, rate: float, momentum: float, nesterov: bool, decay: float, scale: Any
) -> None:
    """Update ``p`` and ``velocity`` in place, contiguous arrays of one dtype.

    Parameters
    ----------
    p, g : array [n]
        Parameters and their gradient.
    velocity : array [n] or None
    rate, momentum, decay : float
    nesterov : bool
    scale : float or 0-d array
        Factor of the gradient.
    """
    real = p.dtype.type
    factor, host_factor = _scale(scale, real)
    previous = _NULL if velocity is None else velocity
    settings = (real(rate), real(momentum), np.int32(nesterov), real(decay), factor, host_factor)
    _launch("sgd", p.dtype, p.size, (p, g, previous, np.uint64(p.size), *settings))


def adam_update(
    p: Any,
    g: Any,
    first: Any,
    second: Any,
    betas: tuple[float, float],
    step: float,
    eps: float,
    decay: float,
    shrink: float,
    scale: Any,
) -> None:
    """Update ``p`` and both moments in place, contiguous arrays of one dtype.

    Parameters
    ----------
    p, g, first, second : array [n]
        Parameters, their gradient, and decayed sums of the gradient and of its square.
    betas : tuple of float
    step, eps : float
        The step is ``step * first / (sqrt(second) + eps)``: both carry the corrections of the moments.
    decay : float
        Added to the gradient, times ``p``.
    shrink : float
        Factor of ``p``: 1, or 1 - rate * decay for decoupled decay.
    scale : float or 0-d array
        Factor of the gradient.
    """
    real = p.dtype.type
    settings = tuple(real(value) for value in (*betas, step, eps, decay, shrink))
    _launch(
        "adam", p.dtype, p.size, (p, g, first, second, np.uint64(p.size), *settings, *_scale(scale, real))
    )


def softplus_sum(x: Any, scale: float, axis: int) -> Any:
    """Twin of :func:`minidgm.numerics.softplus_sum`: float64."""
    return _softplus_sum()(x, x.dtype.type(scale), axis=axis)


@cache
def _softplus_sum() -> Any:
    import cupy

    return cupy.ReductionKernel(
        in_params="T x, T scale",
        out_params="float64 y",
        map_expr="(double)(max(scale * x, (T)0) + log1p(exp(-abs(scale * x))))",
        reduce_expr="a + b",
        post_map_expr="y = a",
        identity="0",
        name="softplus_sum",
        reduce_type="double",
    )


def _contiguous(xp: Any, out: Any) -> Any:
    return out if out.flags.c_contiguous else xp.empty(out.shape, dtype=out.dtype)


def _written(out: Any, target: Any) -> Any:
    if target is not out:
        out[...] = target
    return out


def _scale(scale: Any, real: Any) -> tuple[Any, Any]:
    # The kernels read the factor from the device where it was computed there.
    on_host = isinstance(scale, (int, float, np.generic))
    return (_NULL, real(scale)) if on_host else (scale, real(1.0))
