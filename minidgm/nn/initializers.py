r"""Initial weights whose layers neither swell nor shrink what passes through them.

For y = x W with independent weights of variance s^2 and W [fan_in, fan_out], Var y = fan_in s^2 E[x^2] on
the way forward and Var dx = fan_out s^2 E[dy^2] on the way back.

    glorot      s^2 = 2 / (fan_in + fan_out)     between the two, for tanh units (Glorot & Bengio 2010)
    he          s^2 = 2 / fan_in                 a rectifier halves E[x^2] (He et al. 2015)
    orthogonal  W^T W = I, or W W^T = I          lengths stay exactly (Saxe, McClelland & Ganguli 2014)

A convolution's fans count the filter's positions too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from minidgm.backend import asarray, to_numpy
from minidgm.errors import unknown

__all__ = ["fans", "fill", "glorot", "he", "orthogonal"]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Inputs of an output and outputs of an input, for W [fan_in, fan_out] or [out, in, height, width].

    >>> fans((784, 200)), fans((16, 3, 5, 5))
    ((784, 200), (75, 400))
    """
    if len(shape) == 2:
        return shape[0], shape[1]
    area = math.prod(shape[2:])
    return shape[1] * area, shape[0] * area


def glorot(shape: tuple[int, ...], rng: Any, dtype: str) -> Any:
    """Uniform weights of variance 2 / (fan_in + fan_out)."""
    return _uniform(shape, math.sqrt(6.0 / sum(fans(shape))), rng, dtype)


def he(shape: tuple[int, ...], rng: Any, dtype: str) -> Any:
    """Normal weights of variance 2 / fan_in."""
    return math.sqrt(2.0 / fans(shape)[0]) * rng.normal(shape, dtype=dtype)


def orthogonal(shape: tuple[int, ...], rng: Any, dtype: str) -> Any:
    """A matrix with orthonormal rows or columns, whichever are fewer; further axes count as columns.

    QR of normal numbers, signs fixed by R's diagonal: uniform over such matrices (Mezzadri 2007). On the
    host.
    """
    import numpy as np

    rows, columns = shape[0], math.prod(shape[1:])
    noise = to_numpy(rng.normal((max(rows, columns), min(rows, columns)), dtype="float64"))
    q, r = np.linalg.qr(noise)
    q = q * np.sign(np.diagonal(r))
    return asarray((q if rows >= columns else q.T).reshape(shape), rng.backend, dtype)


def _uniform(shape: tuple[int, ...], width: float, rng: Any, dtype: str) -> Any:
    return width * (2.0 * rng.uniform(shape, dtype=dtype) - 1.0)


INITIALIZERS: dict[str, Callable[..., Any]] = {"glorot": glorot, "he": he, "orthogonal": orthogonal}


def fill(weights: Any, name: str, rng: Any) -> None:
    """Write initial values into an array, in place.

    Raises
    ------
    ValueError
        For an unknown name, with the nearest.
    """
    if name not in INITIALIZERS:
        raise unknown("initializer", name, INITIALIZERS)
    weights[...] = INITIALIZERS[name](tuple(weights.shape), rng, str(weights.dtype))
