r"""A log-variance beside every mean, the same for all inputs: y = [x, l].

| symbol | shape | meaning |
|---|---|---|
| x | [n, d] | means |
| y | [n, 2 d] | means, then log-variances |
| log_variance | [d] or [1] | l, one for each column or one for all |

y is linear in x and in l: dx = dy[:, :d], dl = the sum of dy[:, d:] over rows (over columns too, where one l
serves them all). At the end of a net that puts out means, it makes the Gaussian of constant variance that a
linear-Gaussian model needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.backend import get_xp
from minidgm.nn.layer import Layer, Shape, wants, write

__all__ = ["SharedVariance"]


class SharedVariance(Layer):
    """Append a learned log-variance that does not depend on the input; it starts at 0.

    Parameters
    ----------
    isotropic : bool
        Whether one number serves all columns.

    Examples
    --------
    >>> import numpy as np
    >>> SharedVariance().forward({"log_variance": np.array([-1.0])}, np.array([[3.0]]))[0]
    array([[ 3., -1.]])
    """

    def __init__(self, isotropic: bool = False):
        self.isotropic = bool(isotropic)

    def output_shape(self, input_shape: Shape) -> Shape:
        wants(self, input_shape, 1, "[d]")
        return (2 * input_shape[0],)

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return {"log_variance": (1 if self.isotropic else input_shape[0],)}

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        xp = get_xp(x, params["log_variance"])
        return xp.concatenate([x, xp.zeros_like(x) + params["log_variance"]], axis=-1), x.shape[-1]

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        total = dy[:, cache:].sum(axis=0)
        found = total.sum(axis=0, keepdims=True) if self.isotropic else total
        return dy[:, :cache], {"log_variance": write(out, "log_variance", found)}

    def jvp(self, dx: Any, cache: Any) -> Any:
        xp = get_xp(dx)
        return xp.concatenate([dx, xp.zeros_like(dx)], axis=-1)
