r"""Triangular affine layer, y = L x + b with a positive diagonal: invertible whatever its parameters.

| symbol | shape | meaning |
|---|---|---|
| x, y | [n, d], [n, d] | rows: y^T = L x^T + b |
| lower | [d, d] | its part strictly below the diagonal is that of L; the rest is not used |
| log_diagonal | [d] | diagonal of L, as logarithms |
| b | [d] | shift |

With x standard normal y is normal with mean b and covariance L L^T; every positive definite matrix has
exactly one such L (Cholesky). dL = dy^T x as for a dense layer: `lower` gets what lies below the diagonal,
`log_diagonal` the diagonal times exp(log_diagonal).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.backend import get_xp
from minidgm.nn.layer import Layer, Shape, wants, write


class Triangular(Layer):
    """Affine map of a row by a lower-triangular matrix; it begins as the identity.

    Examples
    --------
    >>> import numpy as np
    >>> params = {"lower": np.array([[0.0, 0.0], [3.0, 0.0]]), "log_diagonal": np.zeros(2), "b": np.zeros(2)}
    >>> Triangular().forward(params, np.array([[1.0, 2.0]]))[0].tolist()
    [[1.0, 5.0]]
    """

    def output_shape(self, input_shape: Shape) -> Shape:
        wants(self, input_shape, 1, "[d]")
        return input_shape

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        (d,) = input_shape
        return {"lower": (d, d), "log_diagonal": (d,), "b": (d,)}

    def initialize(self, params: Mapping[str, Any], rng: Any) -> None:
        for name in ("lower", "log_diagonal", "b"):
            params[name][...] = 0.0

    @staticmethod
    def matrix(params: Mapping[str, Any]) -> Any:
        """L, [d, d]; traceable."""
        xp = get_xp(*params.values())
        return xp.tril(params["lower"], -1) + xp.diag(xp.exp(params["log_diagonal"]))

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        L = self.matrix(params)
        return x @ L.T + params["b"], (x, L)

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        x, L = cache
        xp = get_xp(x, dy)
        dL = dy.T @ x
        grads = {
            "lower": write(out, "lower", xp.tril(dL, -1)),
            "log_diagonal": write(out, "log_diagonal", xp.diagonal(dL) * xp.diagonal(L)),
            "b": write(out, "b", xp.sum(dy, axis=0)),
        }
        return dy @ L, grads

    def jvp(self, dx: Any, cache: Any) -> Any:
        return dx @ cache[1].T
