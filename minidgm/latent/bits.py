r"""log p(x | a) of bits from logits, and its gradient, on a host: few passes over blocks that stay in cache.

| symbol | shape | meaning |
|---|---|---|
| a | [k n, d] | logits; row s n + i belongs to row i of x |
| x | [n, d] | bits, or their means |
| h | [k n, d] | s(a) - 1/2 = tanh(a/2) / 2 |

With softplus(a) = (a + abs(a))/2 - log s(abs(a)), and s(abs(a)) = 1/2 + abs(h),

    log p = sum_j x_j a_j - softplus(a_j) = sum_j ((2 x_j - 1) a_j - abs(a_j))/2 + log(1/2 + abs(h_j)),
    d log p/da_j = x_j - s(a_j) = x_j - 1/2 - h_j:

one tanh serves both, and as no term is positive, nothing cancels. The twin that reads as the density is
`minidgm.nn.losses.Bernoulli`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

BLOCK = 65536  # values at a time


def forward(a: Any, x: Any) -> tuple[Any, Any]:
    """Return (log p(x | a) [k n], what `backward` needs); a and x are not written to."""
    sign, (rows, d) = x + x, a.shape  # 2 x - 1
    sign -= 1.0
    h, log_p = np.empty_like(a), np.empty(rows, dtype=a.dtype)
    half, one = np.full(d, 0.5, dtype=a.dtype), np.ones(d, dtype=a.dtype)
    spare = np.empty((2, _step(x), d), dtype=a.dtype)
    for block, part in _blocks(a, x):
        field, out = a[block], h[block]
        u, w = spare[:, : len(field)]
        np.multiply(field, 0.5, out=out)
        np.tanh(out, out=out)
        np.multiply(out, 0.5, out=out)
        np.abs(out, out=u)
        np.add(u, 0.5, out=u)
        np.log(u, out=u)
        total = u @ one
        np.multiply(sign[part], field, out=u)
        np.abs(field, out=w)
        np.subtract(u, w, out=u)
        np.add(total, u @ half, out=log_p[block])
    return log_p, (h, sign)


def backward(weights: Any, cache: Any) -> Any:
    """Gradient in a of sum_i weights_i log p(x_i | a_i), [k n, d]."""
    h, sign = cache
    out, center = np.empty_like(h), 0.5 * sign
    for block, part in _blocks(h, sign):
        np.subtract(center[part], h[block], out=out[block])
        np.multiply(out[block], weights[block, None], out=out[block])
    return out


def _step(x: Any) -> int:
    """Rows of a block: x in equal blocks."""
    n, d = x.shape
    return max(1, -(-n // max(1, -(-n * d // BLOCK))))


def _blocks(a: Any, x: Any) -> Iterator[tuple[slice, slice]]:
    """Rows of a, and those of x that they belong to."""
    n, step = x.shape[0], _step(x)
    for first in range(0, a.shape[0], max(1, n)):
        for start in range(0, n, step):
            stop = min(start + step, n)
            yield slice(first + start, first + stop), slice(start, stop)
