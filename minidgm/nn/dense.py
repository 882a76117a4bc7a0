r"""Dense layer, y = x W + b.

| symbol | shape | meaning |
|---|---|---|
| x, y | [n, ..., n_in], [n, ..., n_out] | rows; further axes are carried along |
| W, b | [n_in, n_out], [n_out] | weights, biases |

y is linear in each of x, W, b. From dL = <dy, dx W + x dW + db> and <A, B C> = <B^T A, C> = <A C^T, B>,

    dx = dy W^T,      dW = x^T dy,      db = 1^T dy      (sums over rows).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.arguments import count
from minidgm.backend import get_xp
from minidgm.nn.initializers import fill
from minidgm.nn.layer import Layer, Shape


class Dense(Layer):
    """Affine map of the last axis.

    Parameters
    ----------
    n_out : int
    bias : bool
    init : {"glorot", "he", "orthogonal"}

    Examples
    --------
    >>> import numpy as np
    >>> layer = Dense(2)
    >>> params = {"W": np.ones((3, 2)), "b": np.zeros(2)}
    >>> y, cache = layer.forward(params, np.eye(3))
    >>> dx, grads = layer.backward(np.ones((3, 2)), cache)
    >>> dx.shape, grads["b"].tolist()
    ((3, 3), [3.0, 3.0])
    """

    def __init__(self, n_out: int, bias: bool = True, init: str = "glorot"):
        self.n_out, self.bias, self.init = count("n_out", n_out), bool(bias), init

    def output_shape(self, input_shape: Shape) -> Shape:
        if not input_shape:
            raise ValueError(f"{self!r} takes rows of at least one axis, got single numbers")
        return (*input_shape[:-1], self.n_out)

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        W: dict[str, Shape] = {"W": (input_shape[-1], self.n_out)}
        return W | {"b": (self.n_out,)} if self.bias else W

    def initialize(self, params: Mapping[str, Any], rng: Any) -> None:
        fill(params["W"], self.init, rng)

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        W, b = params["W"], params["b"] if self.bias else None
        y = x @ W
        if b is None:
            return y, (x, W)
        if get_xp(y, b).__name__ == "autograd.numpy":
            return y + b, (x, W)
        y += b  # into the product's memory
        return y, (x, W)

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        return dy @ cache[1].T, self.parameter_gradients(dy, cache, out)

    def parameter_gradients(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> Any:
        x, xp = cache[0], get_xp(cache[0], dy)
        rows, d_rows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, self.n_out)
        grads = {"W": xp.matmul(rows.T, d_rows, out=None if out is None else out["W"])}
        if self.bias:
            ones = xp.ones(d_rows.shape[0], dtype=dy.dtype)  # a product adds rows faster than a sum
            grads["b"] = xp.matmul(ones, d_rows, out=None if out is None else out["b"])
        return grads

    def jvp(self, dx: Any, cache: Any) -> Any:
        return dx @ cache[1]
