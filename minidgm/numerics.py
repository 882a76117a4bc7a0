"""Stable elementary functions.

The first group is traceable: the same line runs on NumPy, CuPy, the strict device and under autograd, in
float32 and float64, without overflow at +-1e4, and its gradient is right there and at 0. The second group,
whose names end in ``_`` or say what they sum, writes into buffers: for hot paths, each tested against its
traceable twin.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from minidgm.backend import get_backend, get_xp, special

__all__ = [
    "log1mexp",
    "log_ndtr",
    "log_sigmoid",
    "logcosh",
    "logit",
    "logsumexp",
    "sigmoid",
    "sigmoid_",
    "softplus",
    "softplus_sum",
    "xlogy",
]

_LOG_2 = math.log(2.0)
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


def sigmoid(x: Any) -> Any:
    """Logistic function 1 / (1 + exp(-x)), as (1 + tanh(x/2)) / 2: one transcendental, no overflow.

    While autograd traces it is ``exp(-logaddexp(0, -x))``: autograd's derivative of tanh overflows.

    Parameters
    ----------
    x : array [...]

    Returns
    -------
    array [...]
        Absolute error below the rounding of 1; where the logarithm of a small value matters, use
        :func:`log_sigmoid`.

    Examples
    --------
    >>> sigmoid(np.array([-1e4, 0.0, 1e4]))
    array([0. , 0.5, 1. ])
    """
    xp = get_xp(x)
    if xp.__name__ == "autograd.numpy":
        return xp.exp(-xp.logaddexp(0.0, -x))
    return 0.5 * (1.0 + xp.tanh(0.5 * x))


def softplus(x: Any) -> Any:
    """Compute log(1 + exp(x)) = max(x, 0) + log(1 + exp(-abs(x))).

    While autograd traces it is ``logaddexp(0, x)``, the same number, whose derivatives of every order are
    right at 0 too (those of ``abs`` are not).

    Examples
    --------
    >>> softplus(np.array([-1e4, 0.0, 1e4])).round(4)
    array([0.000e+00, 6.931e-01, 1.000e+04])
    """
    xp = get_xp(x)
    if xp.__name__ == "autograd.numpy":
        return xp.logaddexp(0.0, x)
    return xp.maximum(x, 0.0) + xp.log1p(xp.exp(-xp.abs(x)))


def log_sigmoid(x: Any) -> Any:
    """Logarithm of the logistic function, -softplus(-x): exact in relative terms at both ends.

    >>> float(log_sigmoid(np.array(-1e4)))
    -10000.0
    """
    return -softplus(-x)


def logcosh(x: Any) -> Any:
    """Logarithm of the hyperbolic cosine, softplus(2x) - x - log 2.

    >>> logcosh(np.array([0.0, 1e4])).round(4)
    array([   0.    , 9999.3069])
    """
    return softplus(2.0 * x) - x - _LOG_2


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Logarithm of a sum of exponentials, shifted by the maximum.

    Parameters
    ----------
    x : array
        -inf entries contribute nothing; a slice of nothing else gives -inf.
    axis : int, tuple of ints or None
        Summed over; None for all.
    keepdims : bool

    Returns
    -------
    array

    Examples
    --------
    >>> float(logsumexp(np.array([1e4, 1e4])) - 1e4).__round__(4)
    0.6931
    >>> float(logsumexp(np.array([-np.inf, -np.inf])))
    -inf
    """
    xp = get_xp(x)
    largest = xp.max(x, axis=axis, keepdims=True)
    shift = xp.where(xp.isfinite(largest), largest, 0.0)
    total = _log(xp, xp.sum(xp.exp(x - shift), axis=axis, keepdims=True)) + shift
    if keepdims:
        return total
    return xp.reshape(total, ()) if axis is None else xp.squeeze(total, axis=axis)


def log1mexp(x: Any) -> Any:
    """Compute log(1 - exp(x)) for x <= 0; -inf at 0, NaN above.

    Mächler, "Accurately computing log(1 - exp(-|a|))", 2012: log(-expm1(x)) near 0, log1p(-exp(x)) elsewhere.

    >>> log1mexp(np.array([-1e4, -1e-10])).round(4)
    array([ -0.    , -23.0259])
    """
    xp = get_xp(x)
    negative = x < 0.0
    safe = xp.where(negative, x, -1.0)
    near = safe > -_LOG_2
    log_near = xp.log(-xp.expm1(xp.where(near, safe, -1.0)))
    log_far = xp.log1p(-xp.exp(xp.where(near, -1.0, safe)))
    value = xp.where(near, log_near, log_far)
    return xp.where(x == 0.0, -math.inf, xp.where(negative, value, math.nan))


def xlogy(x: Any, y: Any) -> Any:
    """Compute x log(y), with 0 log(0) = 0; the gradient in x is log(y) also at x = 0 < y.

    >>> xlogy(np.array([0.0, 0.0, 2.0]), np.array([0.0, 3.0, 1.0]))
    array([0., 0., 0.])
    """
    xp = get_xp(x, y)
    both_zero = (x == 0.0) & (y == 0.0)
    return xp.where(both_zero, 0.0, x * _log(xp, xp.where(both_zero, 1.0, y)))


def logit(p: Any) -> Any:
    """Inverse of the logistic function, log(p) - log(1 - p); -inf at 0, inf at 1.

    >>> logit(np.array([0.0, 0.5, 1.0]))
    array([-inf,   0.,  inf])
    """
    xp = get_xp(p)
    return _log(xp, p) - _log(xp, 1.0 - p)


def _log(xp: Any, x: Any) -> Any:
    # -inf at 0 and NaN below without a floating-point warning.
    positive = x > 0.0
    logarithm = xp.log(xp.where(positive, x, 1.0))
    return xp.where(x == 0.0, -math.inf, xp.where(positive, logarithm, math.nan))


def log_ndtr(x: Any) -> Any:
    """Logarithm of the standard normal distribution function Phi; its derivative is phi(x) / Phi(x).

    >>> log_ndtr(np.array([-1e4, 0.0])).round(4)
    array([-5.00000101e+07, -6.93100000e-01])
    """
    xp = get_xp(x)
    if xp.__name__ == "autograd.numpy":
        return _traced_log_ndtr()(x)
    return special(xp).log_ndtr(x)


@cache
def _traced_log_ndtr() -> Any:
    # autograd's own log cdf would import all of scipy.stats.
    from autograd import numpy as anp
    from autograd.extend import defvjp, primitive
    from scipy.special import log_ndtr as host

    traced = primitive(host)
    defvjp(traced, lambda ans, x: lambda g: g * anp.exp(-0.5 * x * x - _HALF_LOG_2PI - ans))
    return traced


# Elements that a hot twin works on at a time, so that its passes stay in the second-level cache.
_BLOCK = 65536
_FACTORS = 8  # 1 + exp(-|x|) multiplied before a logarithm


def sigmoid_(x: Any, out: Any = None, bias: Any = None) -> Any:
    """Write sigmoid(x + bias) into ``out``, or over ``x`` itself.

    Parameters
    ----------
    x : array of floats [..., n]
    out : array like ``x``, optional
        By default ``x``, which is overwritten.
    bias : array [n], optional
        Added to every row.

    Returns
    -------
    array
        ``out``.

    Examples
    --------
    >>> x = np.zeros(2)
    >>> sigmoid_(x) is x, x
    (True, array([0.5, 0.5]))
    """
    xp = get_xp(x, out=out, bias=bias)
    out = x if out is None else out
    if xp.__name__ == "cupy":
        from minidgm.kernels.cuda import sigmoid as fused

        return fused(xp, x, bias, out)
    if xp is np and x.flags.c_contiguous and out.flags.c_contiguous and x.size > _BLOCK:
        width = 1 if bias is None else x.shape[-1]
        rows_x, rows_out = x.reshape(-1, width), out.reshape(-1, width)
        step = max(1, _BLOCK // width)
        for start in range(0, rows_x.shape[0], step):
            _sigmoid_block(np, rows_x[start : start + step], rows_out[start : start + step], bias)
    else:
        _sigmoid_block(xp, x, out, bias)
    return out


def _sigmoid_block(xp: Any, x: Any, out: Any, bias: Any) -> None:
    if bias is not None:
        x = xp.add(x, bias, out=out)
    xp.multiply(x, 0.5, out=out)
    xp.tanh(out, out=out)
    xp.multiply(out, 0.5, out=out)
    xp.add(out, 0.5, out=out)


def softplus_sum(x: Any, scale: float = 1.0, axis: int = -1) -> Any:
    """Sum softplus(scale * x) along an axis, with one logarithm for eight elements.

    Because sum log(1 + exp(-|y|)) is the logarithm of a product of factors between 1 and 2, products of eight
    factors go through the logarithm. (More would not pay: the loops get shorter than their overhead.)

    Parameters
    ----------
    x : array of float32 or float64 [n, d] (or any rank)
    scale : float
    axis : int

    Returns
    -------
    array of float64 [n]
        The relative error is that of a few roundings in the dtype of ``x``.

    Examples
    --------
    >>> softplus_sum(np.zeros((2, 100)), axis=1).round(4)
    array([69.3147, 69.3147])
    """
    backend = get_backend(x)
    if backend == "cupy":
        from minidgm.kernels.cuda import softplus_sum as fused

        return fused(x, scale, axis)
    if backend != "numpy":
        xp = get_xp(x)
        return xp.sum(softplus(scale * x), axis=axis, dtype=xp.float64)
    rows = x if axis in (-1, x.ndim - 1) else np.moveaxis(x, axis, -1)
    shape, width = rows.shape[:-1], rows.shape[-1]
    rows = rows.reshape(math.prod(shape), width)
    total = np.empty(rows.shape[0])
    step = max(1, _BLOCK // max(width, 1))
    for start in range(0, rows.shape[0], step):
        _softplus_sum_block(rows[start : start + step], scale, total[start : start + step])
    return total.reshape(shape)


def _softplus_sum_block(x: Any, scale: float, total: Any) -> None:
    y = np.multiply(x, scale)
    factors = np.abs(y)
    np.add(y, factors, out=y)
    np.sum(y, axis=1, dtype=np.float64, out=total)
    np.multiply(total, 0.5, out=total)  # max(y, 0) = (y + |y|) / 2
    np.negative(factors, out=factors)
    np.exp(factors, out=factors)
    np.add(factors, 1.0, out=factors)
    if x.shape[1] >= 8 * _FACTORS:
        factors = _products(factors)
    np.log(factors, out=factors)
    np.add(total, np.sum(factors, axis=1, dtype=np.float64), out=total)


def _products(x: Any) -> Any:
    # [n, d] -> [n, ceil(d / _FACTORS)]
    n, width = x.shape
    pieces = -(-width // _FACTORS)
    depth = width // pieces
    products = np.multiply.reduce(x[:, : depth * pieces].reshape(n, depth, pieces), axis=1)
    rest = width - depth * pieces
    np.multiply(products[:, :rest], x[:, depth * pieces :], out=products[:, :rest])
    return products
