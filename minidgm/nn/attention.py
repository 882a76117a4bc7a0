r"""Multi-head self-attention (Vaswani et al. 2017), causal or not, over x [n, time, d].

    q, k, v = x W + b, split in three, each into H heads of width e = d / H
    A = softmax(q k^T / sqrt(e))  over the times that are looked at,      y = (A v, heads side by side) U + c

| symbol | shape | meaning |
|---|---|---|
| W, b | [d, 3 d], [3 d] | queries, keys, values |
| A | [n, H, time, time] | row t: how much t looks at each time; with ``causal``, at none after t |
| U, c | [d, d], [d] | mixes the heads |

Backwards, with o = A v: dA = do v^T, dv = A^T do; softmax's Jacobian is diag(A) - A A^T on each row, so dS
= A (dA - <A, dA>) for the scores S; dq = dS k / sqrt(e), dk = dS^T q / sqrt(e). (Leaving the second term
of the Jacobian out is a bug that has shipped.) The mask needs no derivative: where A = 0, dS = 0. Forwards,
the same symmetric Jacobian: dS = (dq k^T + q dk^T) / sqrt(e), dA = A (dS - <A, dS>), do = dA v + A dv.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from minidgm.arguments import count
from minidgm.backend import get_xp
from minidgm.nn.initializers import fill
from minidgm.nn.layer import Layer, Shape, wants, write

__all__ = ["SelfAttention"]

MASKED = -1e30


class SelfAttention(Layer):
    """Every time looks at every time, or with ``causal`` at itself and those before.

    Parameters
    ----------
    n_heads : int
        Divides the width of x.
    causal : bool

    Examples
    --------
    >>> SelfAttention(2).parameter_shapes((10, 8))["W"]
    (8, 24)
    """

    def __init__(self, n_heads: int, causal: bool = True, init: str = "glorot"):
        self.n_heads, self.causal, self.init = count("n_heads", n_heads), bool(causal), init

    def output_shape(self, input_shape: Shape) -> Shape:
        wants(self, input_shape, 2, "[time, width]")
        if input_shape[1] % self.n_heads:
            raise ValueError(f"a width of {input_shape[1]} does not divide into {self.n_heads} heads")
        return input_shape

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        d = input_shape[1]
        return {"W": (d, 3 * d), "b": (3 * d,), "U": (d, d), "c": (d,)}

    def initialize(self, params: Mapping[str, Any], rng: Any) -> None:
        d = params["U"].shape[0]
        for part in range(3):
            fill(params["W"][:, part * d : (part + 1) * d], self.init, rng)
        fill(params["U"], self.init, rng)

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        xp, (_, T, d) = get_xp(x, params["W"], params["b"]), x.shape
        projected = x @ params["W"] + params["b"]
        q, k, v = (self._split(projected[:, :, i * d : (i + 1) * d]) for i in range(3))
        scores = xp.matmul(q, xp.swapaxes(k, -1, -2)) / self._scale(d)
        if self.causal:
            future = xp.arange(T)[None, :] > xp.arange(T)[:, None]
            scores = xp.where(future, MASKED, scores)
        e = xp.exp(scores - xp.max(scores, axis=-1, keepdims=True))
        A = e / xp.sum(e, axis=-1, keepdims=True)
        mixed = self._join(xp.matmul(A, v))
        return mixed @ params["U"] + params["c"], (x, params["W"], params["U"], q, k, v, A, mixed)

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        x, W, U, q, k, v, A, mixed = cache
        xp, (n, T, d) = get_xp(dy), x.shape
        do = self._split(dy @ U.T)
        dA, dv = xp.matmul(do, xp.swapaxes(v, -1, -2)), xp.matmul(xp.swapaxes(A, -1, -2), do)
        dS = _softmax_jvp(A, dA) / self._scale(d)
        dq, dk = xp.matmul(dS, k), xp.matmul(xp.swapaxes(dS, -1, -2), q)
        projected = xp.concatenate([self._join(g) for g in (dq, dk, dv)], axis=2)
        rows, d_rows, dy_rows = x.reshape(n * T, d), projected.reshape(n * T, 3 * d), dy.reshape(n * T, d)
        grads = {
            "W": write(out, "W", rows.T @ d_rows),
            "b": write(out, "b", xp.sum(d_rows, axis=0)),
            "U": write(out, "U", mixed.reshape(n * T, d).T @ dy_rows),
            "c": write(out, "c", xp.sum(dy_rows, axis=0)),
        }
        return projected @ W.T, grads

    def jvp(self, dx: Any, cache: Any) -> Any:
        _, W, U, q, k, v, A, _ = cache
        xp, d = get_xp(dx, W), dx.shape[-1]
        projected = dx @ W
        dq, dk, dv = (self._split(projected[:, :, i * d : (i + 1) * d]) for i in range(3))
        dS = xp.matmul(dq, xp.swapaxes(k, -1, -2)) + xp.matmul(q, xp.swapaxes(dk, -1, -2))
        dA = _softmax_jvp(A, dS / self._scale(d))
        return self._join(xp.matmul(dA, v) + xp.matmul(A, dv)) @ U

    def _scale(self, d: int) -> float:
        """sqrt(e)."""
        return math.sqrt(d / self.n_heads)

    def _split(self, x: Any) -> Any:
        """[n, time, d] -> [n, heads, time, d / heads]."""
        n, T, d = x.shape
        return get_xp(x).transpose(x.reshape((n, T, self.n_heads, d // self.n_heads)), (0, 2, 1, 3))

    def _join(self, x: Any) -> Any:
        """[n, heads, time, d / heads] -> [n, time, d]."""
        n, heads, T, e = x.shape
        return get_xp(x).transpose(x, (0, 2, 1, 3)).reshape((n, T, heads * e))


def _softmax_jvp(A: Any, d: Any) -> Any:
    """A (d - <A, d>) on each row: the Jacobian of softmax, which is symmetric, times d."""
    return A * (d - get_xp(A, d).sum(A * d, axis=-1, keepdims=True))
