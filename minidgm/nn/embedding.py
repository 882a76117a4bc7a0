r"""Embedding: a vector for every symbol, y_t = W_(x_t).

| symbol | shape | meaning |
|---|---|---|
| x | [n, ...] | symbols, whole numbers from 0 to n_symbols - 1 |
| y | [n, ..., n_out] | their vectors |
| W | [n_symbols, n_out] | a row a symbol |

It is a dense layer on one-hot inputs e(x) without the product, so dW = e(x)^T dy: rows of dy added up by
symbol. Symbols are steps apart and have no derivative: dx is None, there is no jvp, and tangents of a net
start behind its embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.arguments import count, real
from minidgm.backend import get_xp
from minidgm.nn.layer import Layer, Shape

__all__ = ["Embedding"]

VALUES = 2**22  # numbers in one block of one-hot rows: 16 MB in float32


class Embedding(Layer):
    """Look up a vector for every symbol. Initial vectors are normal, of standard deviation ``scale``.

    That symbols lie in range is for whoever brings them to check: here it would wait for the device.
    """

    def __init__(self, n_symbols: int, n_out: int, scale: float = 0.02):
        self.n_symbols, self.n_out = count("n_symbols", n_symbols), count("n_out", n_out)
        self.scale = real("scale", scale)

    def output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.n_out)

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return {"W": (self.n_symbols, self.n_out)}

    def initialize(self, params: Mapping[str, Any], rng: Any) -> None:
        W = params["W"]
        W[...] = self.scale * rng.normal(W.shape, dtype=str(W.dtype))

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        if x.dtype.kind not in "iu":
            raise TypeError(f"symbols have dtype {x.dtype}; expected whole numbers, such as int64")
        return params["W"][x], x

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        """Return (None, {"W": dW})."""
        xp = get_xp(dy)
        dW = xp.zeros((self.n_symbols, self.n_out), dtype=dy.dtype) if out is None else out["W"]
        dW[...] = 0.0
        symbols, rows = cache.reshape(-1), dy.reshape(-1, self.n_out)
        listed = xp.arange(self.n_symbols)[:, None]
        step = max(1, VALUES // self.n_symbols)
        for i in range(0, rows.shape[0], step):
            one_hot = (listed == symbols[None, i : i + step]).astype(dy.dtype)  # [n_symbols, rows]
            dW += one_hot @ rows[i : i + step]
        return None, {"W": dW}

    def jvp(self, dx: Any, cache: Any) -> Any:
        raise NotImplementedError("symbols do not move; start the tangent behind the Embedding")
